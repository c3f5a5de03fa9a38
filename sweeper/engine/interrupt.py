"""Ctrl-C and SIGTERM: the first signal requests a clean end of the run, the second ends it at once."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

GRACE_SECONDS = 10.0


class Overdue(BaseException):
    """The end of the grace period. It is not an `Exception`, because Tune would clean up at length after one."""


class Interrupt:
    """A context in which the first SIGINT or SIGTERM sets `asked` and a second raises KeyboardInterrupt.

    Outside the main thread Python delivers no signals; then `ask` is the only way to request an end.
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
        """Raise Overdue if the end of the run was requested longer ago than the grace period."""
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
        """Install the signal handlers; called again after `ray.init`, which replaces that of SIGTERM."""
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
