"""The progress line of a run on stderr: tasks done, tasks per second, time left, failures.

On a terminal the line is redrawn in place. Elsewhere (a log file) a new line is printed about once a minute.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TextIO

from sweeper.plan.duration import duration
from sweeper.store.progress import NodeProgress

PLAIN_SECONDS = 60.0
LIVE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Status:
    """The progress of a run. Tasks are counted over the whole job, `settled` over this run."""

    tasks: int
    done: int  # in the store, including those of this run
    failed: int
    blocked: int
    running: int  # packs that a worker is performing
    settled: int  # tasks of this run that ended
    elapsed: float  # seconds since the first worker of this run began with its pack
    left: float | None  # estimated seconds until the end; None if not known yet
    waiting: str = ""  # what the run waits for while no worker is busy
    starting: int = 0  # packs whose worker is being set up
    queued: int = 0  # packs that wait for a worker or for a model
    left_range: tuple[float, float] | None = None  # seconds between which the end lies in nine of ten cases
    nodes: tuple[NodeProgress, ...] = ()
    measured: bool = False  # True: measured times of done tasks correct the estimates

    @property
    def rate(self) -> float:
        """The tasks per second of this run."""
        return self.settled / self.elapsed if self.elapsed > 0 else 0.0


Display = Callable[[Status], None]


def line(status: Status) -> str:
    """Return the progress line of a status.

    >>> line(Status(tasks=300, done=120, failed=0, blocked=0, running=2, settled=60, elapsed=30, left=90))
    '120/300 tasks (40%), 2.0 a second, 1 min 30 s left'
    """
    share = 100 * status.done / status.tasks if status.tasks else 100.0
    parts = [f"{status.done:,}/{status.tasks:,} tasks ({share:.0f}%)"]
    if status.settled:
        parts.append(format_rate(status.rate))
    if status.left is not None and status.done + status.failed + status.blocked < status.tasks:
        source = " by measured times" if status.measured else ""
        parts.append(f"{left_text(status.left, status.left_range)} left{source}")
    if status.failed:
        parts.append(f"{status.failed:,} failed")
    if status.blocked:
        parts.append(f"{status.blocked:,} blocked")
    return ", ".join(parts) + (f"; {status.waiting}" if status.waiting else "")


def left_text(left: float, left_range: tuple[float, float] | None) -> str:
    """Return the estimated time until the end, with its spread if that is known.

    >>> left_text(4000, (3700, 4400))
    '1 h 6 min (1 h 1 min to 1 h 13 min)'
    """
    return duration(left) + (f" ({duration(left_range[0])} to {duration(left_range[1])})" if left_range else "")


def format_rate(per_second: float) -> str:
    """Return a number of tasks a second in the unit that fits.

    >>> format_rate(0.05)
    '3.0 a minute'
    """
    if per_second >= 1:
        return f"{per_second:.1f} a second"
    if per_second >= 1 / 60:
        return f"{60 * per_second:.1f} a minute"
    return f"{3600 * per_second:.1f} an hour"


class PlainDisplay:
    """A progress display for log files: a line in `period` seconds, when a run begins to wait, and at the end.

    The first line, if it is not empty, is `first`.
    """

    def __init__(
        self,
        out: TextIO | None = None,
        period: float = PLAIN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        first: str = "",
    ):
        self._first = first
        self._out, self._period, self._clock = out or sys.stderr, period, clock
        self._next, self._shown, self._latest, self._waiting = clock() + period, "", "", False

    def __call__(self, status: Status) -> None:
        """Print the line if the period since the last one is over."""
        self._latest = line(status)
        begins_to_wait = bool(status.waiting) and not self._waiting
        self._waiting = bool(status.waiting)
        if begins_to_wait or self._clock() >= self._next:
            self._print()

    def _print(self) -> None:
        self._next = self._clock() + self._period
        if self._latest and self._latest != self._shown:
            self._shown = self._latest
            print(self._latest, file=self._out, flush=True)

    def __enter__(self) -> Self:
        if self._first:
            print(self._first, file=self._out, flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._print()


class _Elapsed:
    """A text for rich, followed by the time since it was made."""

    def __init__(self, text: str):
        self._text, self._start = text, time.monotonic()

    def __rich__(self) -> str:
        return f"{self._text}, {duration(time.monotonic() - self._start)}"


class LiveDisplay:
    """A progress display for terminals: the line is redrawn in place, with a spinner while the sweep runs.

    Until the first status it shows the text `first`, and for how long.
    """

    def __init__(self, first: str) -> None:
        from rich.console import Console

        self._status = Console(stderr=True).status(_Elapsed(first))
        self._next = 0.0
        self._latest = ""

    def __call__(self, status: Status) -> None:
        """Redraw the line, at most four times a second."""
        self._latest = line(status)
        if (seconds := time.monotonic()) >= self._next:
            self._next = seconds + LIVE_SECONDS
            self._status.update(self._latest)

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()
        if self._latest:
            print(self._latest, file=sys.stderr, flush=True)


def display(first: str) -> PlainDisplay | LiveDisplay:
    """Return the display that fits stderr: a live line on a terminal, plain lines elsewhere.

    Args:
        first: What the run waits for before its first status.
    """
    is_live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return LiveDisplay(first) if is_live else PlainDisplay(first=first)
