"""The log of a worker: the files that the output of its process goes to, and their last lines."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sweeper.spec.records.text import storable

TAIL_BYTES = 4000  # of each file


def own_logs() -> tuple[str, ...]:
    """Return the files that stderr and stdout of this process go to; none where they go elsewhere.

    Only Linux tells, in /proc.
    """
    logs: dict[str, None] = {}
    for descriptor in (2, 1):
        with suppress(OSError):
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.is_file():
                logs[str(path)] = None
    return tuple(logs)


def log_tail(logs: Sequence[str]) -> str | None:
    """Return the last lines of log files, each under its name if there are several; None if there are none."""
    tails = {log: tail for log in logs if (tail := _tail(Path(log)))}
    if len(tails) > 1:
        return "\n".join(f"{Path(log).name}:\n{tail}" for log, tail in tails.items())
    return next(iter(tails.values()), None)


def _tail(log: Path) -> str:
    """Return the last lines of a file, without its first line if that is cut off; "" if it can't be read."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode(errors="backslashreplace")
    except OSError:
        return ""
    if size > TAIL_BYTES:
        text = text.partition("\n")[2] or text
    return storable(text.strip())
