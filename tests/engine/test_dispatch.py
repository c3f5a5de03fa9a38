"""Tests of the pack broker: workers that make no progress are killed, the others are left alone."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.toys import toy_sweep

from sweeper.engine.death import WorkerPlace
from sweeper.engine.dispatch import IDLE_SECONDS, ORDERLY_SECONDS, SETUP_SECONDS, Dispatch, PackBroker, Settings
from sweeper.engine.faults import Fault
from sweeper.engine.interrupt import RayLost
from sweeper.engine.node_use import BusyWorker
from sweeper.engine.pack_scheduler import Order, Report
from sweeper.plan.plan import Plan
from sweeper.plan.time_limit import TimeLimit
from sweeper.spec.job.sweep import Engine

WORKER = ("192.0.2.1", 7)
ORDER = Order(next(iter(Plan.of(toy_sweep()).packs())), 0, True, TimeLimit(10.0, "engine.timeout"))
PACK = ORDER.pack.id
LIMIT = 10.0 + ORDERLY_SECONDS


class Broker(PackBroker):
    """A broker with a clock that the test sets; it records the actors that it kills."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.killed: list[Any] = []
        super().__init__(SimpleNamespace(), clock=lambda: self.seconds, kill=self.killed.append)  # type: ignore[arg-type]
        self.offer(ORDER)

    def kills_at(self, seconds: float) -> bool:
        """Let time pass with a look at the workers each second, and return True if one is killed."""
        killed_before = len(self.killed)
        for _ in range(int(seconds)):
            self.seconds += 1
            self.kill_overdue()
        return len(self.killed) > killed_before


@pytest.fixture
def broker() -> Broker:
    """Return a broker whose worker has fetched a pack and begun to work on it."""
    broker = Broker()
    assert broker.fetch(PACK, WORKER, "actor") == ORDER
    broker.pulse(WORKER, PACK, 0, 0.0)
    return broker


def test_a_worker_that_falls_silent_is_killed_after_its_time_limit(broker):
    assert not broker.kills_at(LIMIT - 1)
    assert broker.kills_at(2)
    assert broker.killed == ["actor"]
    report = broker.last_report(PACK)
    assert (report.fault, report.over) == (Fault.TIMEOUT, True)
    assert (
        report.error == "no task ended within 10 s (engine.timeout), and the worker did not respond, so it was killed"
    )
    assert not broker.kills_at(1000), "it is killed once"


def test_the_time_since_the_last_task_counts_not_that_since_the_last_pulse(broker):
    assert not broker.kills_at(9)
    broker.pulse(WORKER, PACK, 0, 9.0)
    assert not broker.kills_at(LIMIT - 10)
    assert broker.kills_at(2)


def test_a_worker_whose_tasks_end_is_not_killed(broker):
    for _ in range(10):
        assert not broker.kills_at(LIMIT - 2)
        broker.pulse(WORKER, PACK, 0, 1.0)


def test_the_report_of_an_orderly_end_is_kept(broker):
    report = Report(fault=Fault.TIMEOUT, error="in order", over=True, finished=[0])
    broker.store_last_report(PACK, report)
    assert broker.kills_at(LIMIT + 1)
    assert broker.last_report(PACK) == report


def test_a_worker_has_more_time_for_its_first_pack_until_it_begins():
    broker = Broker()
    broker.fetch(PACK, WORKER, "actor")
    assert not broker.kills_at(LIMIT + SETUP_SECONDS - 1)
    broker.withdraw(PACK)
    broker.offer(replace(ORDER, attempt=1))
    broker.fetch(PACK, WORKER)
    assert broker.kills_at(LIMIT + 1), "it is set up"


def test_a_worker_without_a_pack_is_killed_if_it_falls_silent(broker):
    broker.withdraw(PACK)
    assert not broker.kills_at(IDLE_SECONDS - 1)
    broker.pulse(WORKER, None, 0, 0.0)
    assert not broker.kills_at(IDLE_SECONDS - 1)
    assert broker.kills_at(2)
    assert broker.last_report(PACK) is None


def test_time_in_which_the_driver_did_not_run_does_not_count(broker):
    broker.seconds += 1000
    broker.kill_overdue()
    assert broker.killed == []
    assert broker.kills_at(LIMIT + 1)


def test_a_worker_is_busy_from_its_fetch_and_works_from_its_first_pulse():
    broker = Broker()
    assert broker.busy_workers() == [], "a pack that was offered has no worker yet"
    broker.fetch(PACK, WORKER, "actor", WorkerPlace("box", "node 1", 7, ()))
    broker.seconds += 5
    assert broker.busy_workers() == [BusyWorker(PACK, "node 1", 5.0, began=False)]
    broker.pulse(WORKER, PACK, 0, 0.0)
    assert broker.busy_workers() == [BusyWorker(PACK, "node 1", 5.0, began=True)]
    broker.withdraw(PACK)
    assert broker.busy_workers() == []


SETTINGS = Settings("r", "store", "opener", "performer", {}, toy_sweep().data, Engine())


class BrokerOfManyStarts(PackBroker):
    """A broker whose process is killed at its first starts, as Ray does where memory runs out."""

    def __init__(self, settings: Any):
        starts = Path(os.environ["TOYS"]).with_name("starts")
        with starts.open("a") as file:
            file.write("x")
        if len(starts.read_text()) < 3:
            os.kill(os.getpid(), signal.SIGKILL)
        super().__init__(settings)


def test_a_broker_that_is_killed_at_its_start_is_started_again(ray_up, monkeypatch):
    monkeypatch.setattr("sweeper.engine.dispatch.PackBroker", BrokerOfManyStarts)
    monkeypatch.setattr("sweeper.engine.dispatch.RESTART_SECONDS", 0.1)
    dispatch = Dispatch(SETTINGS)
    assert dispatch.busy_workers() == []
    dispatch.close()
    monkeypatch.setattr("sweeper.engine.dispatch.STARTS", 1)
    Path(os.environ["TOYS"]).with_name("starts").unlink()
    with pytest.raises(RayLost, match="the pack broker died 1 times at its start, at last with: The actor died"):
        Dispatch(SETTINGS)
