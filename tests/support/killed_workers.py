"""A performer that computes, and whose process is killed with SIGKILL after it has saved a state, once a kind of pack.

The environment variable `KILLED_WORKERS` names a folder for a note of each event: its kind, that of the pack, and the
process.
"""

import os
import signal
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sweeper.spec.records.task import Pack
from sweeper.trials import perform as trials
from sweeper.trials.process.saving import States

FOLDER = "KILLED_WORKERS"


def perform(pack: Pack, load: trials.Load, states: States, **numerics: Any) -> Iterator[trials.Outcome]:
    """Perform a pack as Sweeper does."""
    return trials.perform(pack, load, states=KillingStates(states, type(pack).__name__), **numerics)


class KillingStates:
    """The states of a worker; the process kills itself after the first one of a kind of pack is written."""

    def __init__(self, states: States, pack: str):
        self._states, self._pack = states, pack

    def due(self) -> bool:
        """Return what the engine says until a worker was killed; then no more, as writing takes long on a busy disk."""
        return self._pack not in notes("killed") and self._states.due()

    def read(self, computation: str) -> Sequence[tuple[str, bytes]]:
        """Read states, and note it if there are any."""
        contents = self._states.read(computation)
        if contents:
            note("resumed", self._pack)
        return contents

    def write(self, computation: str, content: bytes) -> str | None:
        """Write a state, and kill this process if it is the first one."""
        name = self._states.write(computation, content)
        note("saved", self._pack)
        if self._pack not in notes("killed"):
            note("killed", self._pack)
            os.kill(os.getpid(), signal.SIGKILL)
        return name

    def drop(self, name: str) -> None:
        """Drop a state."""
        self._states.drop(name)

    def ignore(self, name: str, reason: str) -> None:
        """Drop a state, and note that it was not used."""
        note("ignored", self._pack)
        self._states.ignore(name, reason)


def note(event: str, pack: str) -> None:
    """Note an event."""
    (Path(os.environ[FOLDER]) / f"{event}-{pack}-{os.getpid()}-{uuid.uuid4().hex}").touch()


def notes(event: str) -> dict[str, set[int]]:
    """Return the processes of the events of a kind, by the kind of pack."""
    processes: dict[str, set[int]] = {}
    for path in Path(os.environ[FOLDER]).glob(f"{event}-*"):
        _, pack, process, _ = path.name.split("-")
        processes.setdefault(pack, set()).add(int(process))
    return processes
