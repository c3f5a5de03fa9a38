"""Saved states of long computations, so that a task whose worker was killed goes on where its last state was saved.

A computation that goes on from a state gives the same bits as one that was not interrupted, on the same device. So a
state holds everything that changes with the steps (weights, optimizers, running statistics, random generators, curves),
and belongs to a *computation*: a digest of what determines its result and of everything that determines its rounding.
A state of another computation is never used. When states are saved is decided by the caller, and changes no result.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sweeper import distribution
from sweeper.spec.records.ident import Value, canonical, digest
from sweeper.spec.records.saved_state import StateError, read_facts, to_metadata
from sweeper.trials.process.numerics import current_numerics
from sweeper.trials.process.state_tensors import generators, restore_generators

VERSION = 1  # of the meaning of states; raise it when the names or the meaning of what a state holds change

T = TypeVar("T")

# Values of every state: the seconds of work on the present task, and the number of states saved before it.
SECONDS, NUMBER = "seconds", "number"


class States(Protocol):
    """The place where states are kept, and the clock that says when to save one."""

    def due(self) -> bool:
        """Return True if a state should be saved now."""
        ...

    def read(self, computation: str) -> Sequence[tuple[str, bytes]]:
        """Return the names and contents of the states of a computation."""
        ...

    def write(self, computation: str, content: bytes) -> str | None:
        """Keep a state and return its name; None if that is not possible now. Results so far are stored before it."""
        ...

    def drop(self, name: str) -> None:
        """Delete a state. Results so far are stored before that."""
        ...

    def ignore(self, name: str, reason: str) -> None:
        """Delete a state that can't be used, and record the reason."""
        ...


@dataclass(frozen=True, slots=True)
class ComputationState:
    """The state of a computation or of a part of it: tensors, and other values as JSON."""

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]
    name: str = ""  # under which it was read

    @classmethod
    def of_parts(cls, parts: Mapping[str, "ComputationState"], **values: Any) -> "ComputationState":
        """Return the state of something that has values of its own and parts."""
        tensors = {f"{name}/{key}": x for name, part in parts.items() for key, x in part.tensors.items()}
        return cls(tensors, {**values, **{name: part.values for name, part in parts.items()}})

    def part(self, name: str) -> "ComputationState":
        """Return the state of a part.

        Raises:
            StateError: There is no such part.
        """
        values = self.value(name, dict)
        start = f"{name}/"
        tensors = {key.removeprefix(start): x for key, x in self.tensors.items() if key.startswith(start)}
        return ComputationState(tensors, values)

    def value(self, name: str, kind: type[T] | tuple[type[T], ...]) -> T:
        """Return a value.

        Raises:
            StateError: It is missing or of another kind.
        """
        value = self.values.get(name)
        if not isinstance(value, kind):
            raise StateError(f"its value {name} is missing or of another kind")
        return value

    def to_bytes(self, tasks: Sequence[str]) -> bytes:
        """Return the state of some tasks in the safetensors format."""
        copies = {name: x.detach().to("cpu", copy=True).contiguous() for name, x in self.tensors.items()}
        return save(copies, to_metadata(tasks, self.values))

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "") -> "ComputationState":
        """Return the state that `to_bytes` wrote.

        Raises:
            StateError: The bytes are anything else.
        """
        facts = read_facts(content)
        try:
            return cls(load(content), facts.values, name)
        except (SafetensorError, ValueError, KeyError) as error:
            raise StateError(f"it is not a saved state ({error})") from None


def read_states(states: States | None, computation: str) -> list[ComputationState]:
    """Return the saved states of a computation; what can't be read is deleted."""
    readable: list[ComputationState] = []
    for name, content in states.read(computation) if states else ():
        try:
            readable.append(ComputationState.from_bytes(content, name))
        except StateError as error:
            assert states
            states.ignore(name, str(error))
    return readable


def computation_id(kind: str, spec: Mapping[str, Value], device: torch.device) -> str:
    """Return the digest that names a computation.

    It covers the kind and the spec of the computation and everything that decides how its numbers are rounded: the
    device and its settings, the threads of a CPU, and the versions of torch and Sweeper.
    """
    numerics = current_numerics()
    rounding: dict[str, Value] = {
        "device": _device_kind(device),
        "precision": numerics.precision if numerics else "float32",
        "deterministic": bool(numerics and numerics.deterministic),
        "compile": bool(numerics and numerics.compile),
        "torch": str(torch.__version__),
        "sweeper": distribution.version(),
    }
    return digest(canonical([kind, VERSION, spec, rounding]).encode())


def _device_kind(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"


class Saving:
    """The saving of one computation, and the measurement of its time over interruptions.

    Without `states` nothing is saved, and time is measured all the same.
    """

    def __init__(
        self,
        states: States | None = None,
        computation: str = "",
        tasks: Sequence[str] = (),
        candidates: Sequence[ComputationState] = (),
    ):
        """Prepare for a computation.

        Args:
            states: Where its states are saved.
            computation: Its digest.
            tasks: Its tasks.
            candidates: Its earlier states, which it may go on from; they are dropped after a new one was saved.
        """
        self._states, self._computation, self._tasks, self._candidates = states, computation, tasks, candidates
        self._names = [state.name for state in candidates]
        self._number = 0
        self._earlier_seconds, self._start = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """The seconds of work on the present task, without those that were lost."""
        return self._earlier_seconds + time.perf_counter() - self._start

    def next_task(self) -> None:
        """Measure the time from now on."""
        self._earlier_seconds, self._start = 0.0, time.perf_counter()

    def resume(self, restore: Callable[[ComputationState], None], order: Callable[[ComputationState], int]) -> None:
        """Restore the best of the candidates that can be used, if there is one.

        Args:
            restore: Continues from a state. It raises StateError for one that does not fit, before anything is changed.
            order: Returns how far a state has come; below 0, it is of no use here.
        """
        for state in sorted(self._candidates, key=order, reverse=True):
            if order(state) < 0:
                break
            try:
                self.resume_from(state, restore)
            except StateError as error:
                self.ignore(state, error)
            else:
                break
        self._candidates = ()

    def resume_from(self, state: ComputationState, restore: Callable[[ComputationState], None]) -> None:
        """Restore a state.

        Raises:
            StateError: It does not fit.
        """
        seconds, number = state.value(SECONDS, float), state.value(NUMBER, int)
        set_generators = restore_generators(state.tensors)
        restore(state)
        set_generators()
        self._number = number + 1
        self._earlier_seconds, self._start = seconds, time.perf_counter()

    def ignore(self, state: ComputationState, error: StateError) -> None:
        """Delete a state that can't be used."""
        assert self._states
        self._names = [name for name in self._names if name != state.name]
        self._states.ignore(state.name, str(error))

    def save_if_due(self, state: Callable[[], ComputationState]) -> None:
        """Save the present state if it is time, and drop those that it replaces."""
        if self._states is None or not self._states.due():
            return
        present = state()
        values = {**present.values, SECONDS: self.seconds, NUMBER: self._number}
        self._number += 1
        whole = ComputationState({**present.tensors, **generators()}, values)
        if (name := self._states.write(self._computation, whole.to_bytes(self._tasks))) is None:
            return
        for older in self._names:
            if older != name:
                self._states.drop(older)
        self._names = [name]

    def end(self) -> None:
        """Drop the states of a computation whose results are complete."""
        for name in self._names:
            assert self._states
            self._states.drop(name)
        self._names = []
