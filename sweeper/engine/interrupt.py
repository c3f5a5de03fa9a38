"""Ctrl-C, SIGTERM and SIGHUP: the first signal requests a clean end of the run, the second ends it at once.

A closed terminal or a lost connection sends SIGHUP, often twice (the kernel's and the shell's), so SIGHUP never counts
as the second signal. A run under `nohup` ignores it, as the user asked.

While tasks run, the first signal lets them end. Before that (while the job is read, while Ray starts) it raises
KeyboardInterrupt. Python may not get to either while the main thread is in a call of Ray, so the driver's guard also
receives each signal (`guard_process.py`): it acknowledges it, and kills a driver that does not end in time.
"""

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from .guard import Guard
from .guard_process import print_line

# Seconds that running tasks have to end. `ray job stop` kills a driver after 3 s.
GRACE_SECONDS = 10.0
GRACE_IN_RAY_JOB = 1.0
IN_RAY_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # the variable is set in the driver of a Ray job
END_AT_ONCE_SECONDS = 3.0  # from a signal until the guard kills a driver that has no running task
# Seconds after the grace period in which the driver records its end; then its guard kills it. Shutting Ray down takes a
# few, more on a busy machine.
END_SECONDS = 20.0


class Overdue(BaseException):
    """The end of the grace period.

    It is not an `Exception`, because Tune catches those and then cleans up for several seconds.
    """


class RayLost(BaseException):
    """The loss of Ray: its raylet on this machine or its GCS is gone. Its text is the reason."""


class Interrupt:
    """A context in which the first signal requests the end and a second SIGINT or SIGTERM raises KeyboardInterrupt.

    Python delivers signals only to the main thread; in another thread, only `request_end` can request the end.
    """

    def __init__(self, grace: float | None = None, clock: Callable[[], float] = time.monotonic):
        self.end_requested = False
        self.signals = 0  # SIGINT and SIGTERM that were received, or 1 if only SIGHUP was
        self.command = ""  # that continues the run, once its start is recorded
        self.lost = ""  # why Ray is lost, as the guard found out
        self._grace = _grace() if grace is None else grace
        self._clock = clock
        self._requested_at = 0.0
        self._at_once = False
        self._old_handlers: dict[int, object] = {}
        self._guard: Guard | None = None
        # Found out at the start: a terminal that was closed is no longer recognized as one.
        self._terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]

    def request_end(self) -> None:
        """Request the end of the run. The grace period starts at the first call; later calls have no effect."""
        if not self.end_requested:
            self.end_requested, self._requested_at = True, self._clock()

    def raise_if_overdue(self) -> None:
        """Raise an error if the run must end now.

        Raises:
            Overdue: The end of the run was requested longer ago than the grace period.
            RayLost: The guard has found that Ray is gone.
        """
        if self.end_requested and self._clock() - self._requested_at > self._grace:
            raise Overdue
        self.raise_if_lost()

    def raise_if_lost(self) -> None:
        """Raise RayLost if the guard has found that Ray is gone."""
        if self._guard:
            self.lost = self._guard.lost
        if self.lost:
            raise RayLost(self.lost)

    def raise_if_ending(self) -> None:
        """Raise an error if the run must end and has no task that could end first.

        Raises:
            KeyboardInterrupt: The end of the run was requested.
            RayLost: The guard has found that Ray is gone.
        """
        if self.end_requested:
            raise KeyboardInterrupt
        self.raise_if_lost()

    def end_at_once(self) -> None:
        """Let the first signal raise KeyboardInterrupt, as no task is running."""
        self._at_once = True
        self.tell_guard(limit=END_AT_ONCE_SECONDS, notice=self._notice())

    def let_tasks_end(self) -> None:
        """Let the first signal request the end, so that running tasks end and are stored."""
        self._at_once = False
        self.tell_guard(limit=self._grace + END_SECONDS, notice=self._notice())

    def tell_guard(self, **fields: Any) -> None:
        """Send fields of `guard_process.State` to the driver's guard, if there is one."""
        if self._guard:
            self._guard.tell(**fields)

    def record_start(self, row: Mapping[str, Any], store: str, opener: str, command: str) -> None:
        """Give the guard what it needs to record the end of a run in the driver's place.

        Args:
            row: The fields of the end row that the driver knows.
            store: The URL of the store.
            opener: "module:class" of the store.
            command: The command that continues the run.
        """
        self.command = command
        fields = {"row": row, "store": store, "opener": opener, "command": command}
        self.tell_guard(**fields, path=sys.path, notice=self._notice())

    def record_end(self) -> None:
        """Tell the guard that the end row of the run is stored."""
        self.tell_guard(row={})

    def _notice(self) -> str:
        """Return what is printed at the first signal."""
        if not self.command:
            return "stopping; no task has started"
        time_left = "" if self._at_once else f", running tasks have {self._grace:g} s to end"
        return f"stopping; finished tasks are kept{time_left}; `{self.command}` continues"

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _silence(self._terminals)
            self.signals = max(1, self.signals)
        else:
            self.signals += 1
        is_first = not self.end_requested
        self.request_end()
        if is_first and not self._guard:
            print_line(self._notice())
        if self.signals > 1:
            self._restore()
        if self.signals > 1 or (is_first and self._at_once):
            raise KeyboardInterrupt

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
        with suppress(OSError):  # no process can be started; the handlers alone do what they can
            self._guard = Guard()
        self.arm()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        self.end_guard()

    def end_guard(self) -> None:
        """End the guard, which has then printed its answer to a signal; what is printed next stands after it."""
        if self._guard:
            self._guard.close()
            self._guard = None


def resume_command(store: str, job: str, trust: bool = False) -> str:
    """Return the command that continues a job of a store; `trust` is True if it runs a user's code."""
    options = f"--store {shlex.quote(store)} --job {shlex.quote(job)}"
    return f"sweeper resume {options}{' --trust' if trust else ''}"


def rerun_command(store: str, trust: bool = False) -> str:
    """Return the command that performs one task of a store again; the id of the task is added to it."""
    return f"sweeper rerun --store {shlex.quote(store)}{' --trust' if trust else ''}"


def _grace() -> float:
    return GRACE_IN_RAY_JOB if IN_RAY_JOB in os.environ else GRACE_SECONDS


def _silence(descriptors: Iterable[int]) -> None:
    """Send what is written to a closed terminal nowhere: each write to it would raise an OSError and end the run."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
