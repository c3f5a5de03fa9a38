"""Tests of the saving of a computation: which state it goes on from, and which it refuses."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import save
from support.interrupted import MemoryStates

from sweeper.spec.records.saved_state import StateError, read_facts, to_metadata
from sweeper.trials.process import numerics
from sweeper.trials.process.saving import ComputationState, Saving, computation_id, read_states

CPU = torch.device("cpu")
KEY = "k" * 64


def saved(states: MemoryStates, step: int) -> None:
    """Save the state of a computation after a step."""
    Saving(states, KEY, ["task"]).save_if_due(lambda: ComputationState({"x": torch.full((2,), step)}, {"step": step}))


def resumed_step(states: MemoryStates, before: int = 100) -> int | None:
    """Return the step that a computation goes on from; None if it starts anew."""
    steps: list[int] = []

    def restore(state: ComputationState) -> None:
        if state.values.get("unfit"):
            raise StateError("it does not fit")
        steps.append(state.values["step"])
        assert state.tensors["x"].tolist() == [state.values["step"]] * 2

    def order(state: ComputationState) -> int:
        return state.values["step"] if state.values.get("step", before) < before else -1

    Saving(states, KEY, ["task"], read_states(states, KEY)).resume(restore, order)
    return steps[0] if steps else None


def test_a_computation_goes_on_from_its_latest_usable_state() -> None:
    states = MemoryStates()
    for step in (3, 9, 6):
        saved(states, step)
    assert resumed_step(states) == 9
    assert resumed_step(states, before=9) == 6
    assert resumed_step(states, before=3) is None
    assert [read_facts(content).tasks for content in states.contents.values()] == [("task",)] * 3


def test_a_new_state_replaces_all_older_ones_and_the_end_drops_the_last() -> None:
    states = MemoryStates()
    for step in (3, 9):
        saved(states, step)
    saving = Saving(states, KEY, [], read_states(states, KEY))
    saving.resume(lambda state: None, lambda state: state.values["step"])
    saving.save_if_due(lambda: ComputationState({}, {"step": 10}))
    assert [read_facts(content).values["step"] for content in states.contents.values()] == [10]
    saving.end()
    assert not states.contents


def test_nothing_is_computed_for_a_state_that_is_not_due() -> None:
    def state() -> ComputationState:
        raise AssertionError

    Saving(MemoryStates(every=2), KEY).save_if_due(state)
    Saving().save_if_due(state)


FOREIGN: dict[str, Callable[[], bytes]] = {
    "no safetensors": lambda: b"x" * 100,
    "cut": lambda: ComputationState({"x": torch.zeros(9)}, {"step": 5}).to_bytes([])[:-1],
    "no facts": lambda: save({"x": torch.zeros(2)}),
    "no seconds": lambda: ComputationState({"x": torch.zeros(2)}, {"step": 5}).to_bytes([]),
    "no generators": lambda: ComputationState({"x": torch.zeros(2)}, {"step": 5, "seconds": 1.0, "number": 0}).to_bytes(
        []
    ),
    "unfit": lambda: save(
        {"x": torch.zeros(2)}, to_metadata([], {"step": 5, "seconds": 1.0, "number": 0, "unfit": True})
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_state_is_ignored_and_the_next_best_is_used(name: str) -> None:
    states = MemoryStates()
    saved(states, 3)
    states.contents[f"{KEY} foreign"] = FOREIGN[name]()
    assert resumed_step(states) == 3
    assert len(states.reasons) == 1
    assert list(states.contents) == [f"{KEY} 1"], "it is deleted"


def test_the_seconds_of_an_interrupted_task_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("sweeper.trials.process.saving.time.perf_counter", lambda: now[0])
    states = MemoryStates()
    saving = Saving(states, KEY)
    now[0] = 5.0
    saving.save_if_due(lambda: ComputationState({}, {"step": 1}))
    now[0] = 100.0
    later = Saving(states, KEY, [], read_states(states, KEY))
    later.resume(lambda state: None, lambda state: 1)
    now[0] = 102.0
    assert later.seconds == 7.0
    later.next_task()
    now[0] = 103.0
    assert later.seconds == 1.0


def test_a_computation_is_named_by_everything_that_decides_its_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    def name(kind: str = "train", device: torch.device = CPU, spec: str = "a", **settings: bool) -> str:
        with numerics.apply_numerics(numerics.Numerics(device, **settings)):
            return computation_id(kind, {"run": spec}, device)

    names = [name(), name("stitch"), name(spec="b"), name(deterministic=False), name(compile=True), name(bfloat16=True)]
    assert name() == names[0]
    for path, value in {
        "torch.get_num_threads": lambda: 77,
        "torch.backends.cpu.get_cpu_capability": lambda: "AVX1024",
        "torch.__version__": "9.9",
        "sweeper.distribution.version": lambda: "9.9",
        "sweeper.trials.process.saving.VERSION": 99,
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(path, value)
            names.append(name())
    assert len(set(names)) == len(names)
