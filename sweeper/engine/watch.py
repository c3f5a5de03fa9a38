"""The watchdog of a worker: a thread that checks time and memory while a task computes.

A task that hangs can't be interrupted from within, so the watchdog ends the whole process, after it has committed the
buffered rows and stored a last report. It does the same when 90 % of the machine's memory are used and its worker holds
more than its share. This limit is below Ray's own (95 %), because a kill by Ray ends Tune's whole fit. If Ray's limit
is set to another value, set SWEEPER_MEMORY_LIMIT (a fraction of the machine's memory) on every node to less than it.
"""

import os
import threading
from collections.abc import Callable

import psutil

from sweeper.machine import machine_memory

from .faults import Fault
from .pack_scheduler import Report
from .work import Work

PERIOD = 2.0  # seconds between two checks
MEMORY_LIMIT = float(os.environ.get("SWEEPER_MEMORY_LIMIT", "0.90"))  # fraction of the machine's memory


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    return psutil.Process().memory_info().rss


class Watch:
    """The watchdog of one worker process.

    Args:
        workers_per_node: The number of workers that share the machine's memory.
        pulse: Reports a pack id (None between packs), the bytes that the worker holds and the seconds since a task
            ended; returns True if the run is ending.
        store_last_report: Stores the last report on a pack.
        end_process: Ends this process.
        memory: Returns the (used, total) bytes of the machine.
        resident: Returns the bytes that this process holds.
    """

    def __init__(
        self,
        *,
        workers_per_node: int,
        pulse: Callable[[str | None, int, float], bool],
        store_last_report: Callable[[str, Report], None],
        end_process: Callable[[], None] = lambda: os._exit(1),
        memory: Callable[[], tuple[int, int]] = machine_memory,
        resident: Callable[[], int] = resident,
    ):
        self.work: Work | None = None  # the current pack, set by the worker; None between packs
        self._workers_per_node = workers_per_node
        self._pulse, self._store_last_report, self._end_process = pulse, store_last_report, end_process
        self._memory, self._resident = memory, resident
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="sweeper-watch", daemon=True).start()

    def stop(self) -> None:
        """Let the thread end, without waiting for it."""
        self._stopped.set()

    def check(self) -> None:
        """Check once: report to the broker, then compare time and memory with their limits."""
        work = self.work
        worker_bytes = self._resident()
        if work is None:
            self._pulse(None, worker_bytes, 0.0)
            return
        work.ending = self._pulse(work.pack.id, worker_bytes, work.idle) or work.ending
        limit = work.order.time_limit
        if work.idle > limit.seconds:
            self._end_worker(work, Fault.TIMEOUT, f"no task ended within {limit}")
        elif self._holds_too_much(worker_bytes):
            self._end_worker(
                work,
                Fault.MEMORY,
                f"the worker held {worker_bytes / 2**30:.1f} GiB when the machine ran short of memory",
            )

    def _holds_too_much(self, worker_bytes: int) -> bool:
        used, total = self._memory()
        return used > MEMORY_LIMIT * total and worker_bytes > MEMORY_LIMIT * total / self._workers_per_node / 2

    def _end_worker(self, work: Work, fault: Fault, message: str) -> None:
        try:
            self._store_last_report(work.pack.id, work.abandon(fault, message))
        finally:  # the task must end even if the store or the driver fails
            self._end_process()

    def _run(self) -> None:
        while not self._stopped.wait(self._period()):
            self.check()

    def _period(self) -> float:
        """Return the seconds until the next check; a short time limit needs more of them."""
        work = self.work
        return PERIOD if work is None else min(PERIOD, work.order.time_limit.seconds / 4)
