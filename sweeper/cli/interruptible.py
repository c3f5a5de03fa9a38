"""The call of a command that runs a job, so that one signal ends it at any moment."""

import os
import sys
from collections.abc import Callable

from sweeper.engine.interrupt import Interrupt

from . import show

INTERRUPTED = 130


def call(command: Callable[..., int]) -> int:
    """Call a command that runs a job, and return its exit code; 130 if a signal ended it.

    Args:
        command: Takes the context that receives the signals as the argument `interrupt`.
    """
    with Interrupt() as interrupt:
        interrupt.end_at_once()
        try:
            code = command(interrupt=interrupt)
        except KeyboardInterrupt:
            code = INTERRUPTED
            interrupt.end_guard()
            _say_how_to_continue(interrupt)
    _leave_if_ray_hangs(code)
    return code


def _say_how_to_continue(interrupt: Interrupt) -> None:
    if interrupt.command:
        show.say("interrupted: finished tasks are kept", f"continue:  {interrupt.command}")
    else:
        show.say("interrupted: no task had started")


def _leave_if_ray_hangs(code: int) -> None:
    """End this process without Python's own end, in which a Ray that can't be shut down would wait for minutes."""
    ray_processes = sys.modules.get("sweeper.engine.ray_processes")  # not imported if Ray was never used
    if ray_processes and ray_processes.is_hanging():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
