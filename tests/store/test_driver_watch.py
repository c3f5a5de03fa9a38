"""Tests of what a process sees of the driver of a store, whose clock may be wrong."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sweeper.store.driver_watch import DriverWatch
from sweeper.store.holder import Holder
from sweeper.store.lease import Lease
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Folder

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Machine:
    """A storage with the lease of a driver on another machine, and a machine that looks at it."""

    def __init__(self, folder: Path):
        self.objects = Folder(folder)
        self.seconds, self.now = 0.0, NOW
        self.watch = DriverWatch(self.objects, clock=lambda: self.seconds, now=lambda: self.now)

    def send_heartbeat(self, number: int, stored: datetime, ahead: timedelta = timedelta()) -> None:
        """Write a heartbeat at a time of the storage's clock; the driver's clock is `ahead` of it."""
        holder = replace(Holder.of_this_process(120.0), host="other-host", at=(stored + ahead).isoformat())
        assert self.objects.create(store_paths.lease(number), holder.to_json())
        os.utime(self.objects.root / store_paths.lease(number), (stored.timestamp(),) * 2)

    def pass_seconds(self, seconds: float) -> None:
        """Let the time of the looking machine go on."""
        self.seconds, self.now = self.seconds + seconds, self.now + timedelta(seconds=seconds)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine and an empty storage."""
    return Machine(tmp_path)


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_the_clock_of_the_driver_changes_no_age(machine: Machine, days: int):
    machine.send_heartbeat(1, NOW - timedelta(seconds=9), ahead=timedelta(days=days))
    seen = machine.watch.look()
    assert seen is not None
    assert (seen.age, seen.clock_ahead, seen.is_silent) == (9.0, 86400 * days, False)


def test_heartbeats_that_go_on_are_counted_whatever_the_clocks_say(machine: Machine):
    machine.send_heartbeat(1, NOW - timedelta(days=1))  # the clock of the storage is a day behind
    first = machine.watch.look()
    assert first is not None
    assert first.is_silent, "one look can't tell"
    machine.pass_seconds(5)
    machine.send_heartbeat(2, NOW - timedelta(days=1))
    assert (seen := machine.watch.look())
    assert (seen.age, seen.is_silent) == (0.0, False)
    machine.pass_seconds(130)
    assert (seen := machine.watch.look())
    assert (seen.age, seen.is_silent) == (130.0, True)


def test_the_age_is_unknown_if_the_storage_is_ahead_until_the_silence_was_seen(machine: Machine):
    machine.send_heartbeat(1, NOW + timedelta(days=1))
    assert (seen := machine.watch.look())
    assert (seen.age, seen.is_silent) == (None, False)
    machine.pass_seconds(121)
    assert (seen := machine.watch.look())
    assert (seen.age, seen.is_silent) == (121.0, True)


def test_a_driver_of_this_machine_is_seen_while_it_holds_the_store(tmp_path: Path):
    watch = DriverWatch(Folder(tmp_path))
    assert watch.look() is None
    with Lease(Folder(tmp_path)):
        assert (seen := watch.look())
        assert seen.holder.pid == os.getpid()
        assert seen.age is not None
        assert seen.age < 60
    assert watch.look() is None
