"""Tests with planted values that are not finite numbers: the task fails and names them, the others of its pack end."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from support.packs import WEIGHTS, model, pack, put, rows, stitch, weights
from torch import Tensor, nn

from sweeper.spec.records.rows import FailureRow, ModelRow, Row, SimilarityRow, StitchRow
from sweeper.spec.records.task import Measurement, Model, Stitch, TrainPack
from sweeper.trials import perform
from sweeper.trials.networks import activation_batches, network
from sweeper.trials.networks.state_dicts import from_bytes
from sweeper.trials.receipts import check_rows
from sweeper.trials.similarity import activation_cache
from sweeper.trials.stitching import direct_matching, stitch_group, top_models
from sweeper.trials.training import simclr, train

A, B, C = model(1), model(2, samples=100), model(3, samples=300)
VALUES = [math.nan, math.inf, -math.inf]
PROTOCOLS = ["strict", "paper"]


@pytest.fixture(autouse=True)
def no_cached_networks() -> Iterator[None]:
    """Forget the networks that other tests have loaded, and those of this one."""
    perform._networks.clear()
    yield
    perform._networks.clear()


def plant(
    monkeypatch: pytest.MonkeyPatch, module: object, cut: str, value: float, where: Callable[[Tensor], bool]
) -> None:
    """Put a value in the activations at a cut that a module computes, for batches of which `where` is true."""
    original = module.activations  # type: ignore[attr-defined]

    def planted(*args: object) -> dict[str, Tensor]:
        activation_by_cut = original(*args)
        if cut in activation_by_cut and where(activation_by_cut[cut]):
            activation_by_cut[cut] = activation_by_cut[cut].clone()
            activation_by_cut[cut][0, 0] = value
        return activation_by_cut

    monkeypatch.setattr(module, "activations", planted)


def edit_stitchers(monkeypatch: pytest.MonkeyPatch, bad: Stitch, edit: Callable[[Tensor], Tensor]) -> None:
    """Apply a function to the output of the stitcher of one stitch, as a stitcher of a user could."""
    build = stitch_group.StitchGroup._build_stitched

    def build_edited(group: stitch_group.StitchGroup, task: Stitch) -> stitch_group.StitchedNetwork:
        stitched = build(group, task)
        if task.id == bad.id:
            stitched.stitcher.register_forward_hook(lambda module, inputs, output: edit(output))
        return stitched

    monkeypatch.setattr(stitch_group.StitchGroup, "_build_stitched", build_edited)


def failure(task_rows: Sequence[Row]) -> FailureRow:
    """Return the failure row that a task ends with."""
    assert isinstance(task_rows[-1], FailureRow), task_rows[-1]
    assert task_rows[-1].error == "FloatingPointError"
    return task_rows[-1]


def finished(task_rows: Sequence[Row]) -> Row:
    """Return the last row of a task that has no failure; all its numbers are finite."""
    assert isinstance(task_rows[-1], StitchRow | SimilarityRow | ModelRow), task_rows[-1]
    check_rows(task_rows)
    return task_rows[-1]


def with_planted_weight(of: Model, name: str, value: float) -> str:
    """Return the digest of a model's weights with one value changed."""
    from safetensors.torch import save

    state = {key: tensor.clone() for key, tensor in from_bytes(WEIGHTS[weights(of)]).items()}
    state[name].view(-1)[0] = value
    return put(save(state))


@pytest.mark.parametrize("images", [450, 64], ids=["test", "train"])
@pytest.mark.parametrize("stitcher", ["conv1x1", "affine", "relative"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", VALUES)
def test_an_activation_of_a_that_is_not_finite_fails_the_stitches_at_its_cut(
    monkeypatch: pytest.MonkeyPatch, value: float, protocol: str, stitcher: str, images: int
) -> None:
    options = (("anchors", 64),) if stitcher == "relative" else ()
    bad, good = (
        stitch(A, B, cut, stitcher=stitcher, protocol=protocol, options=options) for cut in ("block4", "block2")
    )
    where = (lambda x: len(x) == 450) if images == 450 else (lambda x: len(x) != 450)
    plant(monkeypatch, activation_batches, "block4", value, where)
    rows_by_task = rows(pack([bad, good]))
    message = failure(rows_by_task[bad.id]).message
    assert "the activation of A at block4: " in message
    assert f"A is model {A.id} at block4" in message
    finished(rows_by_task[good.id])


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
@pytest.mark.parametrize("value", VALUES)
def test_an_activation_of_a_that_only_training_sees_fails_a_stitch(
    monkeypatch: pytest.MonkeyPatch, value: float, augment: str
) -> None:
    bad, good = (stitch(A, B, cut, augment=augment) for cut in ("block4", "block2"))
    plant(monkeypatch, activation_batches, "block4", value, lambda x: len(x) == 64)
    rows_by_task = rows(pack([bad, good]))
    assert "the activation of A at block4" in failure(rows_by_task[bad.id]).message
    finished(rows_by_task[good.id])


@pytest.mark.parametrize("module", [network, direct_matching])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", VALUES)
def test_an_activation_of_b_that_is_not_finite_fails_the_stitches_at_its_cut(
    monkeypatch: pytest.MonkeyPatch, value: float, protocol: str, module: object
) -> None:
    bad, good = (stitch(A, B, cut, protocol=protocol) for cut in ("block4", "block2"))
    plant(monkeypatch, module, "block4", value, lambda _: True)
    rows_by_task = rows(pack([bad, good]))
    assert "the activation of B at block4: " in failure(rows_by_task[bad.id]).message
    finished(rows_by_task[good.id])


def test_an_activation_of_b_that_is_not_finite_fails_a_stitcher_with_anchors(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = (stitch(A, B, cut, stitcher="relative", options=(("anchors", 64),)) for cut in ("block4", "block2"))
    plant(monkeypatch, top_models, "block4", math.inf, lambda _: True)
    rows_by_task = rows(pack([bad, good]))
    assert "the activation of B at block4: " in failure(rows_by_task[bad.id]).message
    finished(rows_by_task[good.id])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", VALUES)
def test_the_output_of_a_stitcher_that_is_not_finite_fails_its_stitch_alone(
    monkeypatch: pytest.MonkeyPatch, value: float, protocol: str
) -> None:
    """In strict the top's first layers would turn -inf into 0, so that no output and no loss shows it."""
    bad, good = stitch(A, B, "block4", protocol=protocol), stitch(A, B, "block4", protocol=protocol, lr=0.011)
    edit_stitchers(monkeypatch, bad, lambda x: torch.where(torch.arange(x.shape[1])[:, None, None] == 0, value, x))
    rows_by_task = rows(pack([bad, good]))
    first_seen = "the stitcher's output: " if protocol == "strict" else "the stitch's training loss is nan at step 1"
    assert first_seen in failure(rows_by_task[bad.id]).message
    finished(rows_by_task[good.id])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_overflow_in_the_top_alone_fails_its_stitch_alone(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    bad, good = (stitch(A, B, "block8", protocol=protocol, lr=lr) for lr in (0.01, 0.011))
    edit_stitchers(monkeypatch, bad, lambda x: x.abs().clamp_min(1) * 1e37)
    rows_by_task = rows(pack([bad, good]))
    message = failure(rows_by_task[bad.id]).message
    assert "outputs are not finite numbers" in message or "training loss is" in message
    finished(rows_by_task[good.id])


@pytest.mark.parametrize("train_what", ["stitcher", "top"])
@pytest.mark.parametrize("stop", ["held_out", "none"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stitch_that_diverges_fails_and_names_the_step(protocol: str, stop: str, train_what: str) -> None:
    bad, good = (stitch(A, B, "block4", protocol=protocol, stop=stop, train=train_what, lr=lr) for lr in (1e37, 0.01))
    rows_by_task = rows(pack([bad, good]))
    message = failure(rows_by_task[bad.id]).message
    assert "the stitch's training loss is " in message
    assert "at step 2" in message or "at step 3" in message
    finished(rows_by_task[good.id])


@pytest.mark.parametrize("sender", ["network", "label"])
@pytest.mark.parametrize("name", ["stages.block4.conv1.weight", "stages.block4.norm1.running_var"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_stored_weight_that_is_not_finite_fails_the_tasks_of_its_model_alone(
    value: float, name: str, sender: str
) -> None:
    names = from_bytes(WEIGHTS[weights(C)])
    name = name if name in names else next(key for key in names if key.endswith(name.rpartition(".")[2]))
    bad, good = stitch(A, C, "block4", sender=sender), stitch(A, B, "block4", sender=sender)
    measured = Measurement("cka", A, "pool", C, "pool", "linear_cka", ())
    sound = pack([bad, good], [measured])
    rows_by_task = rows(dataclasses.replace(sound, weights=sound.weights | {C.id: with_planted_weight(C, name, value)}))
    for task in (bad.id, measured.id):
        assert f"model {C.id}: the weights {name}: 1 of " in failure(rows_by_task[task]).message
    finished(rows_by_task[good.id])


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("side", ["A", "B"])
def test_an_output_of_a_model_that_is_not_finite_fails_its_stitches(
    monkeypatch: pytest.MonkeyPatch, side: str, value: float
) -> None:
    tops = {"A": (B, B), "B": (C, B)}[side]
    load = perform._StitchPackRun._network

    def load_planted(run: perform._StitchPackRun, of: Model) -> network.Network:
        loaded = load(run, of)
        if of.id == (A.id if side == "A" else C.id):
            stages = loaded.unfolded.stages
            assert isinstance(stages, nn.ModuleDict)
            list(stages.values())[-1].register_forward_hook(
                lambda module, inputs, output: torch.where(torch.arange(10) == 4, value, output)
            )
        return loaded

    monkeypatch.setattr(perform._StitchPackRun, "_network", load_planted)
    bad, other = stitch(A, tops[0], "block4"), stitch(A, tops[1], "block2")
    rows_by_task = rows(pack([bad, other]))
    message = failure(rows_by_task[bad.id]).message
    assert message.startswith(f"{side} itself on the test images: 450 of 4,500 outputs are not finite numbers")
    if side == "A":
        failure(rows_by_task[other.id])
    else:
        finished(rows_by_task[other.id])


@pytest.mark.parametrize("value", VALUES)
def test_an_activation_that_is_not_finite_fails_the_measurements_at_its_cut(
    monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    plant(monkeypatch, activation_cache, "block4", value, lambda _: True)
    measurements = [
        Measurement(f"{cut} {name}", A, cut, B, cut, name, options, null=2)
        for cut in ("block4", "pool")
        for name, options in (("linear_cka", ()), ("mutual_knn", (("distance", "cosine"), ("k", 10))))
    ]
    for task, task_rows in rows(pack([], measurements)).items():
        if task.startswith("pool"):
            finished(task_rows)
        else:
            message = failure(task_rows).message
            assert "the activation of A: " in message
            assert f"A is model {A.id} at block4, B is model {B.id} at block4" in message


def trained_rows(of: Model) -> list[Row]:
    """Train a model anew and return its last rows."""
    return [
        outcome.rows[-1]
        for outcome in perform.perform(TrainPack("train", of.training, (of,), 1.0), WEIGHTS.__getitem__)
    ]


@pytest.mark.parametrize("objective", ["supervised", "simclr"])
def test_a_training_that_diverges_fails_and_names_the_step(objective: str) -> None:
    diverging = model(1, steps=300)
    training = dataclasses.replace(diverging.training, lr=1e30, objective=objective, temperature=0.5, probe_steps=5)
    message = failure(trained_rows(dataclasses.replace(diverging, training=training))).message
    assert message in {f"the training loss is {loss} at step {step}" for loss in ("nan", "inf") for step in (2, 3)}


def test_a_probe_of_simclr_that_diverges_fails_and_names_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simclr, "PROBE_LR", 1e35)
    probed = model(1, steps=3)
    training = dataclasses.replace(probed.training, objective="simclr", temperature=0.5, probe_steps=9)
    message = failure(trained_rows(dataclasses.replace(probed, training=training))).message
    assert message.startswith("the loss of the linear probe is ")
    assert " at step " in message


@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize("value", VALUES)
def test_a_model_with_a_weight_that_is_not_finite_fails_though_its_outputs_are_finite(
    monkeypatch: pytest.MonkeyPatch, value: float, steps: int
) -> None:
    original = train.start

    def start_planted(*args: object) -> nn.Module:
        built = original(*args)  # type: ignore[arg-type]
        built.register_parameter("unused", nn.Parameter(torch.tensor([1.0, value])))
        return built

    monkeypatch.setattr(train, "start", start_planted)
    message = failure(trained_rows(model(1, steps=steps))).message
    assert message.startswith("the network before its first step: the weights unused: 1 of 2 values")


def test_a_weight_that_training_makes_infinite_fails_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    original = train._step

    def step_planted(*args: object) -> tuple[Tensor, Tensor]:
        result = original(*args)  # type: ignore[arg-type]
        network_in_training = args[1]._network  # type: ignore[attr-defined]
        next(buffer for name, buffer in network_in_training.named_buffers() if "running_var" in name)[0] = math.inf
        return result

    monkeypatch.setattr(train, "_step", step_planted)
    message = failure(trained_rows(model(1, steps=3))).message
    assert message.startswith("the network after step 3: the weights ")
    assert "running_var: 1 of " in message


def test_a_number_of_a_row_that_is_not_finite_is_an_error() -> None:
    row = finished(rows(pack([stitch(A, B, "pool")]))[stitch(A, B, "pool").id])
    check_rows([row])
    with pytest.raises(FloatingPointError, match="drift of the row in stitches is inf"):
        check_rows([dataclasses.replace(row, drift=math.inf)])  # type: ignore[call-arg]
