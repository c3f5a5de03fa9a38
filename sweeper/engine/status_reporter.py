"""The reporter of a run's status: it asks the scheduler, the pool and the broker, and passes the status to displays."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from sweeper.plan.duration import duration

from .dispatch import Dispatch
from .node_use import BusyWorker, NodeUse
from .pack_scheduler import PackScheduler
from .progress import Display
from .worker_pool import WorkerPool

SAMPLE_SECONDS = 2.0  # between two samples of the use of each node
# Seconds of the set-up of workers after which the user is told that the run waits for it.
SET_UP_SECONDS = 2.0


class StatusReporter:
    """The reporter of a run; `displays` are called with the status several times a second.

    Args:
        displays: Called with the status.
        driver_waits: Returns what the driver waits for, if it can't reach the store.
    """

    def __init__(self, *displays: Display, driver_waits: Callable[[], str] = lambda: ""):
        self._displays, self._driver_waits = displays, driver_waits
        self._node_use, self._next_sample = NodeUse(), 0.0

    def report(self, scheduler: PackScheduler, pool: WorkerPool, dispatch: Dispatch) -> None:
        """Pass the present status to the displays.

        Args:
            scheduler: Its packs and tasks.
            pool: Its nodes, and what it waits for.
            dispatch: The broker, which knows what the workers do.
        """
        workers = dispatch.busy_workers()
        if time.monotonic() >= self._next_sample:
            self._next_sample = time.monotonic() + SAMPLE_SECONDS
            self._node_use.sample(pool.nodes, pool.places(), workers)
        counts = scheduler.frontier.counts()
        waiting = pool.waiting_text() or set_up_text(workers) if counts.ready or counts.running else ""
        outage = outage_text(workers) or self._driver_waits()
        waiting = "; ".join(filter(None, [outage or waiting, *scheduler.stop_notes()]))
        status = replace(scheduler.status(workers), waiting=waiting, nodes=self._node_use.nodes)
        for display in self._displays:
            display(status)


def outage_text(workers: Sequence[BusyWorker]) -> str:
    """Return how many workers wait for a store that can't be reached, and why; "" if none does."""
    texts = [worker.waiting for worker in workers if worker.waiting]
    return f"{len(texts):,} of {len(workers):,} workers: {texts[0]}" if texts else ""


def set_up_text(workers: Sequence[BusyWorker]) -> str:
    """Return that the run waits for workers to be set up, and for how long; "" if one works or they just began."""
    seconds = max((worker.seconds for worker in workers), default=0.0)
    if any(worker.began for worker in workers) or seconds < SET_UP_SECONDS:
        return ""
    subject, verb = ("1 worker", "imports") if len(workers) == 1 else (f"{len(workers):,} workers", "import")
    return f"waiting until {subject} {verb} torch and the job's code, {duration(seconds)}"
