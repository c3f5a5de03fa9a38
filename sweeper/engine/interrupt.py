"""Ctrl-C and SIGTERM: the first asks a run to end well, the second to leave at once."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

GRACE_SECONDS = 10.0


class Overdue(BaseException):
    """The grace period is over. Not an `Exception`: Tune would take its time to clean up after one."""


class Interrupt:
    """A context in which the first SIGINT or SIGTERM sets `asked` and a second raises KeyboardInterrupt.

    Outside the main thread, where Python has no signals, it stays silent and `ask` is the only way.
    """

    def __init__(self, grace: float = GRACE_SECONDS, clock: Callable[[], float] = time.monotonic):
        self.asked = False
        self._grace, self._clock = grace, clock
        self._since = 0.0
        self._before: dict[int, object] = {}

    def ask(self) -> None:
        if not self.asked:
            self.asked, self._since = True, self._clock()

    def raise_if_overdue(self) -> None:
        """Raises Overdue when the run was asked to end longer ago than the grace period."""
        if self.asked and self._clock() - self._since > self._grace:
            raise Overdue

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            self._restore()
            raise KeyboardInterrupt
        self.ask()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()

    def arm(self) -> None:
        """Takes the signals; again after `ray.init`, which takes SIGTERM for itself."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.signal(number, self._on_signal)
                self._before.setdefault(number, before)

    def __enter__(self) -> Self:
        self.arm()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
