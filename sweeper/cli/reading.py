"""The end of a command that only reads a store: at once after Ctrl-C, and after a time limit.

DuckDB runs a query outside of Python, where no signal handler of Python can act: some queries ignore Ctrl-C until they
end. So a thread receives the signal from the operating system. It leaves the main thread a moment to end by itself, and
then ends the process. Nothing is lost: these commands write to a store nothing but a report and the list of the parts
that they have read, which appear whole or not at all, as do the files that they write elsewhere.
"""

import _thread
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sweeper.errors import SweeperError
from sweeper.files import delete_temporaries

from . import show

INTERRUPTED = 130
GRACE_SECONDS = 1.0  # in which the main thread may end by itself


class TimeLimitError(SweeperError):
    """A command that took longer than its option --timeout allows."""


@dataclass
class _State:
    """The events that the thread and the main thread share."""

    timeout: float | None
    interrupted: bool = False
    timed_out: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def limit_text(self) -> str:
        return f"no answer within {self.timeout:g} s (--timeout)"


@contextmanager
def ended_by_signal_or_time(
    timeout: float | None = None, interrupt: Callable[[], None] | None = None
) -> Iterator[None]:
    """Return a context that one Ctrl-C ends with exit code 130.

    Args:
        timeout: The seconds after which the context ends with exit code 1; None: no limit.
        interrupt: Called from another thread after Ctrl-C or the time limit, to end the call of the main thread that
            doesn't return; only if the call goes on, the process ends.

    Raises:
        TimeLimitError: The time limit was reached.
        SystemExit: Ctrl-C was pressed.
    """
    state = _State(timeout)
    receiving, sending = socket.socketpair()
    sending.setblocking(False)
    old_descriptor = signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=_watch, args=(state, receiving, interrupt), daemon=True)
    thread.start()
    try:
        yield
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not state.timed_out:
            state.interrupted = True
        if state.timed_out:
            raise TimeLimitError(state.limit_text) from None
        if state.interrupted:
            show.say("interrupted")
            raise SystemExit(INTERRUPTED) from None
        raise
    finally:
        state.ended.set()
        signal.set_wakeup_fd(old_descriptor)
        sending.close()
        thread.join(GRACE_SECONDS)
        receiving.close()


def _watch(state: _State, receiving: socket.socket, interrupt: Callable[[], None] | None) -> None:
    """Wait for Ctrl-C, the time limit or the end of the context, and end the process if the main thread doesn't."""
    end = None if state.timeout is None else time.monotonic() + state.timeout
    while not state.ended.is_set():
        left = None if end is None else max(end - time.monotonic(), 0)
        if not select.select([receiving], [], [], left)[0]:
            state.timed_out = True
            _thread.interrupt_main()
            break
        received = receiving.recv(64)
        if not received:  # the context has ended
            return
        if signal.SIGINT in received:
            state.interrupted = True
            break
    if interrupt is not None:
        interrupt()
    if not state.ended.wait(GRACE_SECONDS):
        _end_process(state)


def _end_process(state: _State) -> None:
    """End this process, whose main thread is in a call that doesn't return."""
    scratch_files = sys.modules.get("sweeper.store.query.scratch_files")  # not imported if no query was run
    if scratch_files:
        scratch_files.delete_all()
    delete_temporaries()
    text, code = (f"error: {state.limit_text}", 1) if state.timed_out else ("interrupted", INTERRUPTED)
    os.write(2, f"{text}\n".encode())
    os._exit(code)
