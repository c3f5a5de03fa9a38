"""Tests of the watchdog of a worker, and of the memory that it reads."""

from mmap import mmap
from types import SimpleNamespace
from typing import Any

import pytest

from sweeper.engine.faults import Fault
from sweeper.engine.pack_scheduler import Report
from sweeper.engine.watch import Watch, resident
from sweeper.plan.time_limit import TimeLimit

GIB = 2**30


class Worker:
    """A simulated worker with a watchdog; `actions` are the calls that the watchdog made."""

    def __init__(self, idle: float = 0.0, own_bytes: int = GIB, used: int = 10 * GIB, total: int = 100 * GIB):
        self.actions: list[Any] = []
        self.work = SimpleNamespace(
            pack=SimpleNamespace(id="pack"),
            order=SimpleNamespace(time_limit=TimeLimit(60, "engine.timeout")),
            idle=idle,
            ending=False,
            abandon=self.abandon,
        )
        self.watch = Watch(
            workers_per_node=4,
            pulse=self.pulse,
            store_last_report=lambda pack_id, report: self.actions.append((pack_id, report.fault, report.error)),
            end_process=lambda: self.actions.append("ended"),
            memory=lambda: (used, total),
            resident=lambda: own_bytes,
        )
        self.watch.work = self.work  # type: ignore[assignment]
        self.run_is_ending = False

    def pulse(self, pack_id: str | None, memory: int, idle: float) -> bool:
        """Record a report to the broker."""
        self.actions.append(("pulse", pack_id, memory, idle))
        return self.run_is_ending

    def abandon(self, fault: Fault, message: str) -> Report:
        """Return a last report, as `Work.abandon` does."""
        return Report(fault=fault, error=message, over=True)


def test_below_its_limits_the_watchdog_only_reports_to_the_broker():
    worker = Worker()
    worker.watch.check()
    assert worker.actions == [("pulse", "pack", GIB, 0.0)]
    worker.run_is_ending = True
    worker.watch.check()
    assert worker.work.ending


def test_a_task_that_takes_too_long_ends_the_process():
    worker = Worker(idle=61)
    worker.watch.check()
    message = "no task ended within 60 s (engine.timeout)"
    assert worker.actions[1:] == [("pack", Fault.TIMEOUT, message), "ended"]


def test_each_pack_has_a_time_limit_of_its_own():
    worker = Worker(idle=61)
    worker.work.order.time_limit = TimeLimit(62, "5 times its estimate, by engine.timeout: auto")
    worker.watch.check()
    assert worker.actions[1:] == []


@pytest.mark.parametrize(
    ("worker_gib", "used_gib", "ends"),
    [
        (30, 91, True),  # the limit is exceeded, and the worker holds more than half of its share of 22 GiB
        (30, 89, False),
        (5, 91, False),  # the other workers hold most of the memory
    ],
)
def test_a_worker_that_holds_too_much_memory_ends(worker_gib, used_gib, ends):
    worker = Worker(own_bytes=worker_gib * GIB, used=used_gib * GIB)
    worker.watch.check()
    faults = [action[1] for action in worker.actions[1:-1]]
    assert (faults, worker.actions[-1] == "ended") == (([Fault.MEMORY], True) if ends else ([], False))


def test_the_process_ends_even_if_the_store_fails():
    worker = Worker(idle=61)

    def abandon(fault: Fault, message: str) -> Report:
        raise OSError("no store")

    worker.work.abandon = abandon
    with pytest.raises(OSError):
        worker.watch.check()
    assert worker.actions[-1] == "ended"


def test_between_packs_the_watchdog_only_says_that_the_worker_lives():
    worker = Worker(idle=61, used=99 * GIB, own_bytes=50 * GIB)
    worker.watch.work = None
    worker.watch.check()
    assert worker.actions == [("pulse", None, 50 * GIB, 0.0)]


def test_resident_counts_the_memory_of_this_process():
    bytes_before = resident()
    with mmap(-1, 50_000_000) as ballast:  # memory of its own: the allocator may have as much that was used before
        ballast.write(b"x" * len(ballast))
        assert resident() - bytes_before > 40_000_000
        assert len(ballast) < resident()
