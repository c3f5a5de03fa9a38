"""The end of a worker's process: on which machine, by which signal or exit code, and the last lines of its log.

Ray does not say which signal ended a worker. Python and Ray write a line to the log of a process that a signal ends
within its own code (SIGSEGV, SIGABRT, ...); only SIGKILL leaves none.
"""

import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from .faults import Fault

_FATAL = re.compile(r"Fatal Python error: ([A-Z][\w ]+)|\*\*\* (SIG[A-Z]+) received")
_SIGNALS = {
    "Segmentation fault": "SIGSEGV",
    "Aborted": "SIGABRT",
    "Bus error": "SIGBUS",
    "Floating point exception": "SIGFPE",
    "Illegal instruction": "SIGILL",
}
_EXIT_CODE = re.compile(r"exit code (\d+)")


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """The machine of a worker's process, and where its log is."""

    host: str
    node: str  # Ray's id
    pid: int
    logs: tuple[str, ...]  # the files on that machine that its output goes to

    @classmethod
    def of_this_process(cls, node: str, logs: Sequence[str]) -> "WorkerPlace":
        """Return the place of this process."""
        return cls(socket.gethostname(), node, os.getpid(), tuple(logs))


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a worker's process. What is not known is None."""

    host: str | None = None
    signal: str | None = None
    exit_code: int | None = None
    log: str | None = None


def death_of(place: WorkerPlace | None, log: str | None, fault: Fault, error: str = "") -> Death:
    """Return how the process of a worker ended, as far as its log and Ray's error tell.

    Args:
        place: Where it ran; None if it is not known.
        log: The last lines of its log, if they could be read.
        fault: The class of its end.
        error: The text of Ray's error.
    """
    host = place.host if place else None
    fatal, exit_code = _FATAL.search(log or ""), _EXIT_CODE.search(error)
    if fault is Fault.LOST:
        return Death(host, log=log)
    if fatal:
        return Death(host, signal=fatal[2] or _SIGNALS.get(fatal[1].strip()), log=log)
    if exit_code:
        return Death(host, exit_code=int(exit_code[1]), log=log)
    return Death(host, signal="SIGKILL" if fault in (Fault.KILLED, Fault.MEMORY) else None, log=log)
