"""Packs that are killed at chosen saved states and go on from them, for comparison with undisturbed ones."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from sweeper.spec.records.rows import FailureRow, Row
from sweeper.spec.records.task import Pack, StitchPack, TrainPack
from sweeper.trials.perform import Load, Outcome, perform

# What a row says about the machine rather than about the result.
OF_THE_MACHINE = {"seconds", "peak_memory", "at", "traceback"}


class Killed(BaseException):
    """The end of a worker in a test; no code under test may catch it."""


class MemoryStates:
    """States in memory, one of which is due at every `every`-th question; the worker is killed at chosen writes.

    Attributes:
        contents: The states by name: the computation and a number.
        written: The number of states that were written.
        resumed: The names of the states that were read.
        reasons: Why states were ignored.
    """

    def __init__(self, every: int = 1, kill_at: Sequence[int] = ()):
        self.contents: dict[str, bytes] = {}
        self.written = 0
        self.resumed: list[str] = []
        self.reasons: list[str] = []
        self._every, self._kill_at = every, set(kill_at)
        self._asked = 0

    def due(self) -> bool:
        """Return True at every `every`-th call."""
        self._asked += 1
        return self._asked % self._every == 0

    def read(self, computation: str) -> list[tuple[str, bytes]]:
        """Return the states of a computation."""
        found = [(name, content) for name, content in self.contents.items() if name.startswith(computation)]
        self.resumed += [name for name, _ in found]
        return found

    def write(self, computation: str, content: bytes) -> str:
        """Keep a state, unless this is a write at which the worker is killed just before its end."""
        self.written += 1
        name = f"{computation} {self.written}"
        self.contents[name] = content
        if self.written in self._kill_at:
            raise Killed
        return name

    def drop(self, name: str) -> None:
        """Delete a state."""
        del self.contents[name]

    def ignore(self, name: str, reason: str) -> None:
        """Delete a state and record the reason."""
        self.reasons.append(reason)
        del self.contents[name]


# The rows of a task without these fields, and the weights of a model.
Result = dict[str, tuple[list[dict[str, Any]], bytes | None]]


def results(outcomes: Iterator[Outcome], into: Result | None = None) -> Result:
    """Return the rows and the weights of each task, none of which may fail, without what depends on the machine."""
    into = {} if into is None else into
    for outcome in outcomes:
        assert not isinstance(outcome.rows[-1], FailureRow), outcome.rows[-1].traceback
        into[outcome.rows[-1].task] = [comparable(row) for row in outcome.rows], outcome.weights
    return into


def results_with_kills(pack: Pack, load: Load, states: MemoryStates, tries: int = 1000, **settings: Any) -> Result:
    """Perform a pack as the engine does: after each kill again, without the tasks that have ended."""
    finished: Result = {}
    for _ in range(tries):
        try:
            return results(perform(pack, load, states=states, **settings), finished)
        except Killed:
            pack = without_tasks(pack, finished)
    raise AssertionError(f"after {tries} tries the pack has not ended")


def without_tasks(pack: Pack, ended: Container[str]) -> Pack:
    """Return a pack without some tasks."""
    if isinstance(pack, TrainPack):
        return replace(pack, models=tuple(task for task in pack.models if task.id not in ended))
    assert isinstance(pack, StitchPack)
    return replace(
        pack,
        stitches=tuple(task for task in pack.stitches if task.id not in ended),
        measurements=tuple(task for task in pack.measurements if task.id not in ended),
    )


def comparable(row: Row) -> dict[str, Any]:
    """Return the kind of a row and its fields, without those that say something about the machine."""
    return {"kind": row.kind} | {name: value for name, value in asdict(row).items() if name not in OF_THE_MACHINE}
