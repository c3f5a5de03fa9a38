"""Ctrl-C, SIGTERM and SIGHUP: the first signal requests a clean end of the run, the second ends it at once.

A closed terminal or a lost connection sends SIGHUP, often twice (the kernel's and the shell's), so SIGHUP never counts
as the second signal. A run under `nohup` ignores it, as the user asked.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import Self

GRACE_SECONDS = 10.0


class Overdue(BaseException):
    """The end of the grace period.

    It is not an `Exception`, because Tune catches those and then cleans up for several seconds.
    """


class Interrupt:
    """A context in which the first signal sets `end_requested` and a second SIGINT or SIGTERM raises KeyboardInterrupt.

    Python delivers signals only to the main thread; in another thread, only `request_end` can request the end.
    """

    def __init__(self, grace: float = GRACE_SECONDS, clock: Callable[[], float] = time.monotonic):
        self.end_requested = False
        self._grace, self._clock = grace, clock
        self._requested_at = 0.0
        self._old_handlers: dict[int, object] = {}
        # Found out at the start: a terminal that was closed is no longer recognized as one.
        self._terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]

    def request_end(self) -> None:
        """Request the end of the run. The grace period starts at the first call; later calls have no effect."""
        if not self.end_requested:
            self.end_requested, self._requested_at = True, self._clock()

    def raise_if_overdue(self) -> None:
        """Raise Overdue if the end of the run was requested longer ago than the grace period."""
        if self.end_requested and self._clock() - self._requested_at > self._grace:
            raise Overdue

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _silence(self._terminals)
        elif self.end_requested:
            self._restore()
            raise KeyboardInterrupt
        self.request_end()

    def _restore(self) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._old_handlers.clear()

    def arm(self) -> None:
        """Install the signal handlers. Called again after `ray.init`, which replaces that of SIGTERM."""
        if threading.current_thread() is threading.main_thread():
            hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
            for number in (signal.SIGINT, signal.SIGTERM, *hangup):
                old_handler = signal.signal(number, self._on_signal)
                self._old_handlers.setdefault(number, old_handler)

    def __enter__(self) -> Self:
        self.arm()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()


def _silence(descriptors: Iterable[int]) -> None:
    """Send what is written to a closed terminal nowhere: each write to it would raise an OSError and end the run."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
