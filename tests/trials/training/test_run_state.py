"""Tests that a training run that is interrupted and goes on from its saved state gives the same bits."""

from collections.abc import Mapping

import pytest
from support.interrupted import Killed, MemoryStates, results, results_with_kills
from support.training_runs import training_run

from sweeper.spec.records.task import Model, TrainingRun, TrainPack
from sweeper.trials.perform import perform

STEPS = 14
SNAPSHOTS = (5, 6, 14)

RUNS: Mapping[str, Mapping[str, object]] = {
    "plain": {},
    "augmented": {"augment": "crop_flip"},
    "noisy labels": {"label_noise": 0.5, "label_smoothing": 0.1, "samples": 100},
    "no momentum": {"momentum": 0.0, "schedule": "one_cycle", "warmup": 0.2},
    "frozen": {"freeze": ("conv1", "block1")},
    "grouped labels": {"labels": ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))},
    "SimCLR": {"objective": "simclr", "temperature": 0.5, "probe_steps": 3, "augment": "crop_flip"},
    "transformer": {
        "arch": "vit",
        "options": (("depth", 1), ("dim", 16), ("heads", 2), ("mlp_ratio", 2), ("patch", 2)),
    },
}


def train_pack(**changes: object) -> TrainPack:
    """Return a run with three snapshots."""
    training = training_run(**{"steps": STEPS, "batch": 16, "samples": 300, **changes})
    return TrainPack("pack", training, tuple(Model(f"m{step}", training, step) for step in SNAPSHOTS), 1.0)


def no_weights(digest: str) -> bytes:
    """Fail: the runs start from random weights."""
    raise AssertionError(digest)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_is_killed_at_every_saved_state_gives_the_same_bits(name: str) -> None:
    pack = train_pack(**RUNS[name])
    undisturbed = results(perform(pack, no_weights))
    states = MemoryStates(every=2, kill_at=range(1, 100))
    assert results_with_kills(pack, no_weights, states) == undisturbed
    assert states.written >= STEPS // 2 - 1
    assert not states.reasons
    assert not states.contents


@pytest.mark.parametrize("kill_at", range(1, STEPS + 1))
def test_a_run_that_is_killed_once_gives_the_same_bits_wherever_that_is(kill_at: int) -> None:
    pack = train_pack(augment="crop_flip")
    undisturbed = results(perform(pack, no_weights))
    states = MemoryStates(kill_at=[kill_at])
    assert results_with_kills(pack, no_weights, states) == undisturbed
    assert not states.contents


def test_saving_changes_no_result_and_leaves_nothing() -> None:
    pack, states = train_pack(), MemoryStates()
    assert results(perform(pack, no_weights, states=states)) == results(perform(pack, no_weights))
    assert states.written == STEPS
    assert not states.contents


def test_a_run_starts_anew_if_a_wanted_model_lies_before_its_state() -> None:
    pack = train_pack()
    undisturbed = results(perform(pack, no_weights))
    states = killed_once(pack, every=8)
    again = results(perform(pack, no_weights, states=states))  # all three models are wanted, as if their rows were lost
    assert again == undisturbed


def killed_once(pack: TrainPack, every: int) -> MemoryStates:
    """Return the states that a worker leaves that is killed when it has saved one."""
    states = MemoryStates(every, kill_at=[1])
    with pytest.raises(Killed):
        results(perform(pack, no_weights, states=states))
    assert len(states.contents) == 1
    return states


def test_a_state_of_other_numerics_is_not_used() -> None:
    pack = train_pack()
    states = killed_once(pack, every=4)
    results(perform(pack, no_weights, states=states, deterministic=False))
    assert not states.resumed
    results(perform(pack, no_weights, states=states))
    assert states.resumed


def test_a_state_of_another_run_is_not_used() -> None:
    states = killed_once(train_pack(), every=4)
    other: TrainingRun = training_run(id="other", steps=STEPS, batch=16, samples=300)
    pack = TrainPack("pack", other, (Model("m", other, STEPS),), 1.0)
    results(perform(pack, no_weights, states=states))
    assert not states.resumed
