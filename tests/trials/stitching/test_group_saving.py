"""Tests that stitches that are interrupted and go on from their saved state give the same bits."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from support.interrupted import Killed, MemoryStates, results, results_with_kills, without_tasks
from support.packs import WEIGHTS, model, pack, stitch, weights
from support.training_runs import DIGITS
from torch import Tensor

from sweeper.spec.records.rows import FailureRow
from sweeper.spec.records.saved_state import read_facts, to_metadata
from sweeper.spec.records.task import Stitch, StitchPack
from sweeper.trials.perform import perform
from sweeper.trials.stitching import best_weights, linear_probe, rate_phases
from sweeper.trials.stitching.stitch_group import StitchGroup
from sweeper.trials.stitching.stitched_network import StitchedNetwork

A, B, C = (model(seed, arch="myrtle", samples=samples) for seed, samples in ((1, 1200), (2, 100), (3, 300)))
load = WEIGHTS.__getitem__
STEPS_OF_ONE_EPOCH = math.ceil((DIGITS.train - DIGITS.holdout) / 64)


def paper(steps: int = 25, **changes: object) -> Stitch:
    """Return a stitch of protocol paper."""
    return stitch(A, B, "conv2", protocol="paper", steps=steps, **changes)  # type: ignore[arg-type]


def strict(cut: str = "conv2", steps: int = 25, b: object = B, **changes: object) -> Stitch:
    """Return a stitch of protocol strict."""
    return stitch(A, b, cut, steps=steps, **changes)  # type: ignore[arg-type]


PACKS: Mapping[str, list[Stitch]] = {
    "paper": [paper()],
    "paper of different lengths": [paper(10), paper(25, lr=0.02), stitch(A, C, "conv4", protocol="paper", steps=17)],
    "paper, top trains": [paper(train="top")],
    "paper, augmented": [paper(augment="crop_flip", steps=12), stitch(A, A, "conv3", protocol="paper", steps=12)],
    "paper, label sender": [paper(sender="label", steps=12)],
    "strict": [strict()],
    "strict in a batch": [strict(), strict(lr=0.02), strict("conv3"), strict("conv1", b=C, steps=10)],
    "strict, augmented": [strict(augment="crop_flip")],
    "strict, no stop": [strict(stop="none")],
    "strict, top trains": [strict(train="top")],
    "strict, own images": [strict(data="top", batch=30)],
    "strict, several layers": [
        strict("conv4", b=C, stitcher="conv", options=(("depth", 2), ("kernel", 3), ("norm", True)))
    ],
    "strict, low rank": [strict("conv3", stitcher="low_rank", options=(("rank", 3),))],
    "linear probes": [strict("pool"), strict("pool", b=C), strict("conv2", steps=40)],
    "both protocols": [paper(12), strict(steps=12), strict("conv4", steps=12, stitcher="orthogonal")],
}


@pytest.mark.parametrize("name", PACKS)
def test_stitches_that_are_killed_at_every_saved_state_give_the_same_bits(name: str) -> None:
    task_pack = pack(PACKS[name])
    undisturbed = results(perform(task_pack, load))
    states = MemoryStates(every=4, kill_at=range(1, 100))
    assert results_with_kills(task_pack, load, states) == undisturbed
    assert states.written > 2
    assert not states.reasons


@pytest.mark.parametrize("kill_at", range(1, 12, 2))
def test_phases_go_on_where_they_were_interrupted(kill_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill once within or between four phases, whose ends are measured and choose the weights to go on with."""
    monkeypatch.setattr(rate_phases, "PHASE_STEPS", 6)
    monkeypatch.setattr(best_weights, "PATIENCE", 3)
    task_pack = pack([strict(), strict("conv3", lr=0.02)])
    undisturbed = results(perform(task_pack, load))
    states = MemoryStates(every=2, kill_at=[kill_at])
    assert results_with_kills(task_pack, load, states) == undisturbed
    assert states.resumed
    assert not states.contents


@pytest.mark.parametrize("kill_at", [5, 12, 20])
def test_a_probe_goes_on_between_two_solutions(kill_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill once before the second path, on it, and after it; a solution that was found is not computed again."""
    task_pack = pack([strict("pool", steps=40), strict("pool", b=C, steps=40)])
    solved: list[float] = []
    minimise = linear_probe._Problem.minimise

    def counted(problem: Any, slope: Tensor, shift: Tensor, center: Tensor, penalty: float) -> tuple[float, int]:
        solved.append(penalty)
        return minimise(problem, slope, shift, center, penalty)

    monkeypatch.setattr(linear_probe._Problem, "minimise", counted)
    undisturbed = results(perform(task_pack, load))
    solved_undisturbed, solved[:] = list(solved), []
    states = MemoryStates(kill_at=[STEPS_OF_ONE_EPOCH + kill_at])
    assert results_with_kills(task_pack, load, states) == undisturbed
    assert solved == solved_undisturbed
    assert not states.contents


@pytest.mark.parametrize("name", ["paper of different lengths", "strict in a batch"])
def test_saving_changes_no_result_and_leaves_nothing(name: str) -> None:
    task_pack, states = pack(PACKS[name]), MemoryStates()
    assert results(perform(task_pack, load, states=states)) == results(perform(task_pack, load))
    assert states.written > 20
    assert not states.contents


def killed_once(task_pack: StitchPack, write: int = 1, every: int = 4) -> MemoryStates:
    """Return the states that a worker leaves that is killed when it has saved some; no task has ended."""
    states = MemoryStates(every, kill_at=[write])
    with pytest.raises(Killed):
        results(perform(task_pack, load, states=states))
    return states


@pytest.mark.parametrize("protocol", ["paper", "strict"])
def test_halves_of_a_split_pack_go_on_from_the_state_of_the_whole(protocol: str) -> None:
    task_pack = pack([stitch(A, b, cut, protocol=protocol, steps=9) for b in (B, C) for cut in ("conv2", "conv4")])
    states = killed_once(task_pack)
    undisturbed = results(perform(task_pack, load))
    halves = [without_tasks(task_pack, task_pack.tasks[:2]), without_tasks(task_pack, task_pack.tasks[2:])]
    outcomes = {}
    for half in halves:
        steps: list[int] = []
        monitored = MonitoredStates(states, steps)
        outcomes |= results(perform(half, load, states=monitored))
        assert min(steps) == 3, "the step of the state, not the first one"
    assert outcomes.keys() == undisturbed.keys()
    if protocol == "paper":  # in `strict`, stitches with the same top run as one batch, whose size affects rounding
        assert outcomes == undisturbed
    assert len(states.contents) == 1, "the state of the whole is kept, as each half can't know of the other"


class MonitoredStates(MemoryStates):
    """The states of a worker that was killed, with a record of the steps at which states are saved from now on."""

    def __init__(self, left: MemoryStates, steps: list[int]):
        super().__init__()
        self.contents, self.written, self._steps = left.contents, 1000 + len(steps), steps

    def write(self, computation: str, content: bytes) -> str:
        """Keep a state, and record its step."""
        self._steps.append(read_facts(content).values["step"])
        return super().write(computation, content)


def test_stitches_of_several_states_and_of_none_are_trained_in_one_pack() -> None:
    """Perform three stitches of one stream, of which each was interrupted at another step or not at all."""
    first, second, third = tasks = [stitch(A, b, "conv3", protocol="paper", steps=12) for b in (A, B, C)]
    undisturbed = results(perform(pack(tasks), load))
    states = MemoryStates()
    for task, steps in ((first, 3), (second, 7)):
        [(name, content)] = killed_once(pack([task]), every=steps).contents.items()
        states.contents[f"{name} at {steps}"] = content
    assert len(states.contents) == 2
    assert results(perform(pack([third, second, first]), load, states=states)) == undisturbed
    assert not states.contents


def test_a_stitch_with_other_weights_of_b_starts_anew() -> None:
    task_pack = pack([strict()])
    states = killed_once(task_pack)
    retrained = weights(model(2, arch="myrtle", samples=100, steps=61))
    other = replace(task_pack, weights={**task_pack.weights, B.id: retrained})
    undisturbed = results(perform(other, load))
    steps: list[int] = []
    assert results(perform(other, load, states=MonitoredStates(states, steps))) == undisturbed
    assert steps[0] == 0


def edited(content: bytes, edit: Callable[[dict[str, Any], dict[str, Tensor]], object]) -> bytes:
    """Return a state with other values or tensors; its digest would be right."""
    facts = read_facts(content)
    values, tensors = json.loads(json.dumps(dict(facts.values))), dict(load_tensors(content))
    edit(values, tensors)
    return save(tensors, to_metadata(facts.tasks, values))


def stitch_values(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the only stitch of a state."""
    [part] = values["stitches"].values()
    return part


EDITS: Mapping[str, Callable[[dict[str, Any], dict[str, Tensor]], object]] = {
    "no step": lambda values, tensors: values.pop("step"),
    "no stitches": lambda values, tensors: values.pop("stitches"),
    "no curve": lambda values, tensors: stitch_values(values)["record"].pop("curve"),
    "another curve": lambda values, tensors: stitch_values(values)["record"].update(curve=[[1]]),
    "no tensors": lambda values, tensors: tensors.clear(),
    "one tensor less": lambda values, tensors: tensors.pop(sorted(tensors)[-1]),
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("protocol", ["paper", "strict"])
def test_a_state_that_does_not_fit_is_ignored_and_the_stitch_starts_anew(protocol: str, name: str) -> None:
    task_pack = pack([stitch(A, B, "conv3", protocol=protocol, steps=9)])
    undisturbed = results(perform(task_pack, load))
    states = killed_once(task_pack)
    states.contents = {key: edited(content, EDITS[name]) for key, content in states.contents.items()}
    assert results(perform(task_pack, load, states=states)) == undisturbed
    assert states.reasons or name in ("no step", "no stitches")


def test_a_stitch_that_fails_is_reported_before_the_others_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one of two strict stitches fail: its row comes before a state is saved that does not contain it."""
    good, bad = strict(), strict("conv3")
    build = StitchGroup._build_stitched

    def fail(gradient: Tensor) -> None:
        raise ValueError("planted")

    def build_failing(group: StitchGroup, task: Stitch) -> StitchedNetwork:
        stitched = build(group, task)
        if task.id == bad.id:
            next(stitched.stitcher.parameters()).register_hook(fail)
        return stitched

    monkeypatch.setattr(StitchGroup, "_build_stitched", build_failing)
    states = MemoryStates()
    failed, ended = perform(pack([good, bad]), load, states=states)
    assert isinstance(failed.rows[-1], FailureRow)
    assert (failed.rows[-1].task, ended.rows[-1].task) == (bad.id, good.id)
