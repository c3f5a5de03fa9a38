"""Tests of initial weights: those of another model, new first and last layers, frozen layers."""

import dataclasses
from typing import Any

import pytest
import torch
from support.packs import WEIGHTS, model, pack, rows, stitch, weights
from support.toy_archs import TINY
from support.training_runs import training_run

from sweeper.errors import NetworkError
from sweeper.spec.cards.archs import ARCHS
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import FailureRow, ModelRow, StitchRow
from sweeper.spec.records.task import Model, TrainingRun, TrainPack
from sweeper.trials.data.subset import takes_held_back
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.state_dicts import from_bytes
from sweeper.trials.perform import Outcome, perform
from sweeper.trials.training.initial_weights import start, with_new_ends

PARENT = model(1, arch="myrtle", steps=20)
FIRST, LAST = "stages.conv1.", "stages.linear."


def run(**changes: object) -> TrainingRun:
    spec = {"id": "child", "arch": "myrtle", "options": (("width", 8),), "steps": 3, "seed": 5, "init": PARENT}
    return training_run(**(spec | changes))


def child(**changes: object) -> Outcome:
    training = run(**changes)
    child_model = Model("child", training, training.steps)
    pinned = {PARENT.id: weights(PARENT)} if training.init else {}
    (outcome,) = perform(TrainPack("p", training, (child_model,), 1.0, pinned), WEIGHTS.__getitem__)
    return outcome


def equal_tensors(outcome: Outcome, reference: bytes) -> dict[str, bool]:
    """Return, for each tensor of a trained model, whether it equals that of the reference weights bit for bit."""
    assert outcome.weights is not None, outcome.rows[-1]
    tensors, reference_tensors = from_bytes(outcome.weights), from_bytes(reference)
    return {name: torch.equal(tensors[name], reference_tensors[name]) for name in tensors}


def parent_weights() -> bytes:
    return WEIGHTS[weights(PARENT)]


def test_a_run_of_no_steps_is_a_copy_and_records_its_origin() -> None:
    outcome = child(steps=0)
    assert outcome.weights == parent_weights()
    row = outcome.rows[-1]
    assert isinstance(row, ModelRow)
    assert (row.init, row.init_weights, row.weights) == (PARENT.id, weights(PARENT), weights(PARENT))


@pytest.mark.parametrize("reset", ["ends", "ends_torch"])
def test_new_ends_are_the_first_and_the_last_layer_alone(reset: str) -> None:
    equal_by_name = equal_tensors(child(steps=0, reset=reset), parent_weights())
    changed_names = {name for name, equal in equal_by_name.items() if not equal}
    assert changed_names == {f"{FIRST}weight", f"{LAST}weight"} | {
        name for name in changed_names if name.endswith("bias")
    }
    assert all(name.startswith((FIRST, LAST)) for name in changed_names)
    same_seed, other_seed = (child(steps=0, reset=reset, seed=seed).weights for seed in (5, 6))
    assert same_seed == child(steps=0, reset=reset).weights != other_seed, "the new ends depend on the seed"


@pytest.mark.parametrize("arch", ["resnet18k", "preact_resnet_cifar"])
def test_ends_by_torch_are_what_reset_parameters_draws(arch: str) -> None:
    """Check the values, and the variance: a sixth of that of `ends` in the convolution, a third in the last layer."""
    drawn: dict[str, dict[str, torch.Tensor]] = {}
    for reset in ("ends", "ends_torch"):
        fresh = build(arch, {"width": 64}, (3, 32, 32), 10, seed=3)
        drawn[reset] = with_new_ends(fresh, {}, reset, seed=3)
    first, last = (f"{end}weight" for end in ENDS[arch])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        conv, linear = torch.nn.Conv2d(3, 64, 3, bias=False), torch.nn.Linear(drawn["ends"][last].shape[1], 10)
    assert torch.equal(drawn["ends_torch"][first], conv.weight)
    assert torch.equal(drawn["ends_torch"][last], linear.weight)
    assert torch.equal(drawn["ends_torch"][f"{ENDS[arch][1]}bias"], linear.bias)
    for name, ratio in ((first, 1 / 6), (last, 1 / 3)):
        assert float(drawn["ends_torch"][name].var() / drawn["ends"][name].var()) == pytest.approx(ratio, rel=0.15)


def test_ends_of_the_same_seed_are_those_that_training_started_from_and_ends_by_torch_are_not() -> None:
    """Take the parent's seed for the copy: `ends` sets its ends back, `ends_torch` draws others."""
    initial = build("myrtle", PARENT.training.options, PARENT.training.data.shape, 10, seed=1).state_dict()
    copies = {}
    for reset in ("ends", "ends_torch"):
        content = child(steps=0, reset=reset, seed=1).weights
        assert content is not None
        copies[reset] = from_bytes(content)
    for name in (f"{FIRST}weight", f"{LAST}weight"):
        assert torch.equal(copies["ends"][name], initial[name])
        drawn = torch.stack([copies["ends_torch"][name].flatten(), initial[name].flatten()])
        assert abs(float(torch.corrcoef(drawn)[0, 1])) < 4 / drawn.shape[1] ** 0.5


def test_new_ends_leave_the_global_generator_unchanged() -> None:
    fresh, before = build("myrtle", TINY["myrtle"], (3, 8, 8), 10), torch.random.get_rng_state()
    with_new_ends(fresh, {}, "ends_torch", seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("layers", [0, 1])
def test_a_network_with_one_layer_has_one_end_and_without_layers_none(layers: int) -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3), *(torch.nn.Conv2d(3, 3, 1) for _ in range(layers)))
    if layers:
        assert with_new_ends(network, {}, "ends_torch", seed=0).keys() == {"1.weight", "1.bias"}
    else:
        with pytest.raises(NetworkError, match="draws a convolution or linear layer again, and the network has none"):
            with_new_ends(network, {}, "ends_torch", seed=0)


@pytest.mark.parametrize("reset", ["ends", "ends_torch"])
def test_new_ends_may_have_other_classes(reset: str) -> None:
    row = child(steps=0, reset=reset, labels=((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))).rows[-1]
    assert isinstance(row, ModelRow), row


def test_training_continues_from_the_weights() -> None:
    """Compare three steps from a trained model with three steps from a random initialisation."""
    continued, from_scratch = (outcome.rows[-1] for outcome in (child(), child(init=None)))
    assert isinstance(continued, ModelRow)
    assert isinstance(from_scratch, ModelRow)
    assert continued.test_error < from_scratch.test_error - 10


@pytest.mark.parametrize("init", [PARENT, None])
@pytest.mark.parametrize("frozen", [("conv1", "conv2"), ("conv3",), ("conv1", "conv2", "conv3", "conv4", "pool")])
def test_frozen_stages_are_unchanged_bit_for_bit(init: Model | None, frozen: tuple[str, ...]) -> None:
    initial_weights = child(steps=0, init=init).weights
    assert initial_weights is not None
    equal_by_name = equal_tensors(child(init=init, freeze=frozen), initial_weights)
    for name, equal in equal_by_name.items():
        may_be_equal = name.endswith("num_batches_tracked") or "bias" in name  # may be unchanged by chance
        assert equal if name.split(".")[1] in frozen else not equal or may_be_equal, name


def test_a_network_with_frozen_layers_still_learns() -> None:
    row = child(init=None, steps=60, batch=64, freeze=("conv1", "conv2")).rows[-1]
    assert isinstance(row, ModelRow)
    assert row.frozen == "conv1,conv2"
    assert row.test_error < 25


def test_simclr_continues_from_weights_and_keeps_frozen_stages() -> None:
    outcome = child(objective="simclr", temperature=0.5, probe_steps=2, freeze=("conv1",))
    equal_by_name = equal_tensors(outcome, parent_weights())
    assert equal_by_name["stages.conv1.weight"]
    assert not equal_by_name["stages.conv2.2.weight"]
    assert not equal_by_name["stages.linear.weight"]


def test_a_random_initialisation_requests_no_weights() -> None:
    start(training_run(), lambda: pytest.fail("the weights were loaded"))


def test_missing_weights_fail_only_their_run() -> None:
    child_model = Model("child", run(), 3)
    (outcome,) = perform(
        TrainPack("p", child_model.training, (child_model,), 1.0, {PARENT.id: "gone"}), WEIGHTS.__getitem__
    )
    assert isinstance(outcome.rows[-1], FailureRow)
    assert outcome.rows[-1].of == "models"


def test_held_back_images_seen_by_the_initial_model_count_as_seen() -> None:
    parent_of_all_images = dataclasses.replace(PARENT, training=dataclasses.replace(PARENT.training, samples=1300))
    assert takes_held_back(run(init=parent_of_all_images, samples=100))
    assert not takes_held_back(run(samples=100))


def test_a_bottom_with_new_ends_is_stitched_into_the_network_it_came_from() -> None:
    """Stitch the random control of Bansal et al. 2021: alone, its error is high, as its last layer is random."""
    outcome = child(steps=0, reset="ends")
    assert outcome.weights is not None
    copied = Model("child", run(steps=0, reset="ends"), 0)
    WEIGHTS[digest(outcome.weights)] = outcome.weights
    stitch_task = stitch(copied, PARENT, "conv4", steps=30)
    parent_pack = pack([stitch(PARENT, PARENT, "conv4")])
    digests = {**parent_pack.weights, "child": digest(outcome.weights)}
    child_pack = dataclasses.replace(parent_pack, a=copied, stitches=(stitch_task,), weights=digests)
    row = rows(child_pack)[stitch_task.id][-1]
    assert isinstance(row, StitchRow), row
    assert row.b_weights == weights(PARENT)
    assert row.a_error > 60
    assert row.test_error < row.a_error - 30


ENDS = {
    "resnet18k": ("stages.conv1.", "stages.linear."),
    "myrtle": ("stages.conv1.", "stages.linear."),
    "preact_resnet_cifar": ("stages.conv1.", "stages.linear."),
    "resnet_cifar": ("stages.stem.0.", "stages.linear."),
    "vit": ("stages.embed.patches.", "stages.linear."),
    "mlp": ("stages.hidden1.1.", "stages.linear."),
}


@pytest.mark.parametrize("arch", ARCHS)
def test_new_ends_replace_the_first_and_last_layer_of_each_architecture(arch: str) -> None:
    fresh = build(arch, TINY[arch], (3, 8, 8), 10)
    trained = {name: tensor + 1 for name, tensor in fresh.state_dict().items()}
    mixed = with_new_ends(fresh, trained, "ends", seed=0)
    new_names = {name for name, tensor in mixed.items() if torch.equal(tensor, fresh.state_dict()[name])}
    trained_names = {name for name, tensor in mixed.items() if torch.equal(tensor, trained[name])}
    assert new_names == {name for name in trained if name.startswith(ENDS[arch])}
    assert trained_names == trained.keys() - new_names


def frozen_layers(*layers: str) -> Any:
    def build_frozen(*arguments: Any, **options: Any) -> torch.nn.Module:
        network = build(*arguments, **options)
        for name, parameter in network.named_parameters():
            parameter.requires_grad = not name.startswith(layers)
        return network

    return build_frozen


def test_a_network_without_a_parameter_to_train_is_refused_only_if_it_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sweeper.trials.training.initial_weights.build", frozen_layers("stages."))
    start(training_run(steps=0), lambda: b"")
    with pytest.raises(NetworkError, match=r"all parameters of .* are frozen, so nothing can be trained: "):
        start(training_run(steps=3), lambda: b"")
    monkeypatch.setattr("sweeper.trials.training.initial_weights.build", frozen_layers("stages.conv1"))
    start(training_run(steps=3), lambda: b"")
