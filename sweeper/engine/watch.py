"""The watchdog of a worker: a thread that checks time and memory while a task computes.

A task that hangs can't be interrupted from within, so the watchdog ends the whole process, after it has committed the
buffered rows and stored a last report. It does the same when the machine runs out of memory and its worker holds more
than its share, below Ray's own threshold (95 %), because a kill by Ray ends Tune's whole fit. If Ray's threshold is set
to another value, SWEEPER_MEMORY_LIMIT (a fraction of the machine, for every node) should stay below it.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from .faults import Fault
from .pack_scheduler import Report
from .work import Work

PERIOD = 2.0  # seconds between two checks
MEMORY_LIMIT = float(os.environ.get("SWEEPER_MEMORY_LIMIT", "0.90"))  # of the machine; Ray kills at 0.95

CGROUP = Path("/sys/fs/cgroup")


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    return psutil.Process().memory_info().rss


def machine_memory(cgroup: Path = CGROUP) -> tuple[int, int]:
    """Return the (used, total) bytes of the machine, or of its container if that has a lower limit.

    Page cache that can be dropped does not count as used, as in Ray's own monitor.
    """
    machine = psutil.virtual_memory()
    total, used = machine.total, machine.total - machine.available
    try:  # read by hand, because psutil does not know the limits of containers
        limit = int((cgroup / "memory.max").read_text())
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        inside = int((cgroup / "memory.current").read_text()) - int(stat["inactive_file"]) - int(stat["active_file"])
    except (OSError, KeyError, ValueError):  # no cgroup, or "max": no limit
        return used, total
    return (inside, limit) if limit < total else (used, total)


class Watch:
    """The watchdog of one worker process.

    `pulse(pack id, bytes) -> ending` reports to the broker, `store_last_report` stores the last report there, and `die`
    ends the process; tests pass their own.
    """

    def __init__(
        self,
        *,
        timeout: float,
        neighbours: int,
        pulse: Callable[[str, int], bool],
        store_last_report: Callable[[str, Report], None],
        die: Callable[[], None] = lambda: os._exit(1),
        memory: Callable[[], tuple[int, int]] = machine_memory,
        resident: Callable[[], int] = resident,
    ):
        self.work: Work | None = None  # set by the worker as packs come and go
        self._timeout, self._neighbours = timeout, neighbours
        self._pulse, self._store_last_report, self._die = pulse, store_last_report, die
        self._memory, self._resident = memory, resident
        self._stopped = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="sweeper-watch", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def look(self) -> None:
        """Check once: report to the broker, then compare time and memory with their limits."""
        work = self.work
        if work is None:
            return
        mine = self._resident()
        work.ending = self._pulse(work.pack.id, mine) or work.ending
        if work.idle > self._timeout:
            self._take_down(work, Fault.TIMEOUT, f"no task ended within {self._timeout:g} s")
        elif self._too_much(mine):
            self._take_down(work, Fault.MEMORY, f"the worker held {mine / 2**30:.1f} GiB when the machine ran short")

    def _too_much(self, mine: int) -> bool:
        used, total = self._memory()
        return used > MEMORY_LIMIT * total and mine > MEMORY_LIMIT * total / self._neighbours / 2

    def _take_down(self, work: Work, fault: Fault, message: str) -> None:
        try:
            self._store_last_report(work.pack.id, work.abandon(fault, message))
        finally:  # even if the store or the driver fails, the task must not go on
            self._die()

    def _run(self) -> None:
        while not self._stopped.wait(min(PERIOD, self._timeout / 4)):
            self.look()
