"""A performer that computes, and whose process is killed with SIGKILL after it has saved a state, a few times a test.

The environment variable `KILLED_WORKERS` names a folder for a note of each event: its kind and the process.
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
KILLS = 2  # a pack whose worker is killed more often counts as faulty


def perform(pack: Pack, load: trials.Load, states: States, **numerics: Any) -> Iterator[trials.Outcome]:
    """Perform a pack as Sweeper does."""
    return trials.perform(pack, load, states=KillingStates(states), **numerics)


class KillingStates:
    """The states of a worker; after one is written, the process kills itself, until that was done `KILLS` times."""

    def __init__(self, states: States):
        self._states = states

    def due(self) -> bool:
        """Return what the engine says."""
        return self._states.due()

    def read(self, computation: str) -> Sequence[tuple[str, bytes]]:
        """Read states, and note it if there are any."""
        contents = self._states.read(computation)
        if contents:
            note("resumed")
        return contents

    def write(self, computation: str, content: bytes) -> str | None:
        """Write a state, and kill this process if it is one of the first."""
        name = self._states.write(computation, content)
        note("saved")
        if len(notes("killed")) < KILLS:
            note("killed")
            os.kill(os.getpid(), signal.SIGKILL)
        return name

    def drop(self, name: str) -> None:
        """Drop a state."""
        self._states.drop(name)

    def ignore(self, name: str, reason: str) -> None:
        """Drop a state, and note that it was not used."""
        note("ignored")
        self._states.ignore(name, reason)


def note(kind: str) -> None:
    """Note an event."""
    (Path(os.environ[FOLDER]) / f"{kind}-{os.getpid()}-{uuid.uuid4().hex}").touch()


def notes(kind: str) -> list[int]:
    """Return the ids of the processes of the events of a kind."""
    return [int(path.name.split("-")[1]) for path in Path(os.environ[FOLDER]).glob(f"{kind}-*")]
