"""Tests of every kind of stitcher in a pack: its start, training or solution, and score."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from support.packs import WEIGHTS, cuts, model, pack, rows, stitch

from sweeper.spec.cards.card import OUTPUT, OptionValues
from sweeper.spec.cards.protocols import STRICT
from sweeper.spec.records.rows import CurveRow, FailureRow, StitchRow
from sweeper.spec.records.task import Model, Stitch
from sweeper.trials import perform
from sweeper.trials.networks.activations import activations
from sweeper.trials.networks.cut import top
from sweeper.trials.networks.label_codes import LabelCodes
from sweeper.trials.networks.noise_images import replacements, with_pixels_of_other_images
from sweeper.trials.stitching import closed_forms
from sweeper.trials.stitching.stitch_group import StitchGroup
from sweeper.trials.stitching.stitched_network import FinishedStitch

A, B = model(1), model(2, samples=100)
OTHER = model(3, arch="myrtle")
SOLVED = ["affine", "orthogonal", "permutation", "relative"]
OPTIONS: dict[str, OptionValues] = {
    "conv": {"depth": 1, "kernel": 3, "norm": True},
    "low_rank": {"rank": 4},
    "adapter": {"places": "pool"},
    "relative": {"anchors": 100},
}


def task(name: str, cut: str = "block2", protocol: str = "strict", **settings: Any) -> Stitch:
    """Return the stitch of A into B with this stitcher, its options as in `OPTIONS`."""
    return stitch(A, B, cut, stitcher=name, protocol=protocol, options=tuple(OPTIONS.get(name, {}).items()), **settings)


def stitch_rows(stitches: list[Stitch]) -> list[StitchRow]:
    """Perform stitches in one pack and return their rows in the same order; fail if one failed."""
    rows_by_task = rows(pack(stitches))
    last_rows = [rows_by_task[stitch.id][-1] for stitch in stitches]
    assert not [row for row in last_rows if not isinstance(row, StitchRow)]
    return [row for row in last_rows if isinstance(row, StitchRow)]


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_every_stitcher_gives_a_row(protocol: str) -> None:
    names = ["conv1x1", "conv", "low_rank", "adapter", *SOLVED]
    for name, row in zip(names, stitch_rows([task(name, protocol=protocol, steps=3) for name in names]), strict=True):
        assert row.stitcher == name
        assert row.steps == (0 if name in SOLVED else 3)
        assert (row.parameters == 0) == (name in SOLVED)
        assert 0 < row.test_error < 95
        assert row.test_loss < 20  # false for NaN


def test_the_affine_stitcher_is_the_closed_form_and_the_best_of_the_solved_stitchers() -> None:
    (affine, orthogonal, permutation, identity) = stitch_rows(
        [task(name) for name in ("affine", "orthogonal", "permutation", "identity")]
    )
    assert affine.test_error == affine.direct_error
    assert affine.test_loss == pytest.approx(affine.direct_loss, abs=1e-6)
    assert affine.direct_r2 == orthogonal.direct_r2 == permutation.direct_r2 == identity.direct_r2
    assert affine.test_loss < orthogonal.test_loss < identity.test_loss
    assert permutation.test_loss != identity.test_loss


@pytest.mark.parametrize("name", ["conv", "low_rank", "adapter"])
def test_a_trained_stitcher_starts_at_the_closed_form(name: str) -> None:
    """Score stitchers after 0 steps; low_rank has full rank, at which it can be the closed form."""
    options = tuple({**OPTIONS[name], **({"rank": 8} if name == "low_rank" else {})}.items())
    (row,) = stitch_rows([stitch(A, B, "block2", stitcher=name, steps=0, options=options)])
    assert row.steps == 0
    assert row.test_loss == pytest.approx(row.direct_loss, rel=1e-4)


def test_an_adapter_joins_cuts_of_any_shapes() -> None:
    places = ["pool", "strided"]
    stitches = [
        stitch(A, OTHER, i, cut_b=j, stitcher="adapter", steps=1, options=(("places", how),))
        for i in cuts()[::3]
        for j in cuts("myrtle")[::2]
        for how in places
    ]
    for row in stitch_rows(stitches):
        assert row.direct_r2 is not None
        assert row.direct_r2 > 0
        assert row.parameters > 0


def test_the_closed_form_depends_on_the_images_it_is_solved_on() -> None:
    full, top_row = stitch_rows([task("affine", "block6", data=data) for data in ("full", "top")])
    assert full.direct_r2 != top_row.direct_r2
    assert full.test_loss != top_row.test_loss


def test_a_stitcher_that_cannot_be_solved_does_not_affect_the_others() -> None:
    unsolvable = stitch(A, B, "pool", stitcher="relative", options=(("anchors", 10_000),))
    rows_by_task = rows(pack([unsolvable, task("affine", "pool"), task("relative", "pool")]))
    failure = rows_by_task[unsolvable.id][-1]
    assert isinstance(failure, FailureRow)
    assert "needs 10000 places for its anchors; there are 500" in failure.message
    assert sum(isinstance(task_rows[-1], StitchRow) for task_rows in rows_by_task.values()) == 2


def test_the_closed_form_does_not_depend_on_the_size_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    stitches = [
        task("affine"),
        stitch(A, B, "block2", cut_b="block6", stitcher="adapter", steps=0, options=(("places", "pool"),)),
    ]
    default_rows = stitch_rows(stitches)
    monkeypatch.setattr(closed_forms, "FIT_BYTES", 10**6)
    for default_row, row in zip(default_rows, stitch_rows(stitches), strict=True):
        assert row.direct_r2 == pytest.approx(default_row.direct_r2, abs=1e-6)


# --- drift and agreement --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_a_network_stitched_to_itself_has_drift_0_and_full_agreement(protocol: str) -> None:
    stitches = [stitch(B, B, cut, stitcher="identity", protocol=protocol) for cut in ("conv1", "block5", "pool")]
    for row in stitch_rows(stitches):
        assert (row.drift, row.agreement) == (pytest.approx(0, abs=1e-9), 100.0)


def test_drift_and_agreement_are_those_of_their_definitions() -> None:
    """Compare the row of a closed form with values computed from all images at once, in float64."""
    (row,) = stitch_rows([task("affine", "block4")])
    work = perform._StitchPackRun(pack([task("affine", "block4")]), WEIGHTS.__getitem__, torch.device("cpu"))
    work._images = perform._images_of(A.training.data, work._device)
    a, b = work._network(A), work._network(B)
    group = StitchGroup([task("affine", "block4")], a, {B.id: b}, work._images)
    ((form,),) = group._solve().maps.values()
    images = torch.cat([images for images, _ in work._images.test_batches()])
    with torch.no_grad():
        x, y = (activations(network.folded, images, ["block4"])["block4"].double() for network in (a, b))
        stitched = form(x)
        layers = top(b.folded.double(), "block4")
        equal_predictions = layers(stitched).argmax(1) == layers(y).argmax(1)
    squared_distance = (stitched - y).square().sum()
    assert row.drift == pytest.approx(
        float(squared_distance / (y - y.mean((0, 2, 3), keepdim=True)).square().sum()), rel=1e-4
    )
    assert row.agreement == pytest.approx(100 * float(equal_predictions.double().mean()), abs=0.5)
    b.folded.float()


def test_the_drift_of_the_closed_form_is_about_1_minus_its_r2() -> None:
    """Compare with a tolerance, since drift is measured on test images and r2 on the images of the closed form."""
    for row in stitch_rows([task("affine", cut) for cut in ("conv1", "block3")]):
        assert row.drift == pytest.approx(1 - (row.direct_r2 or 0), abs=0.1)


def test_training_on_the_task_increases_drift() -> None:
    """Compare a trained stitcher with the closed form that it started at."""
    solved, trained = stitch_rows([task("affine", "block6"), task("conv1x1", "block6", steps=100)])
    assert trained.test_loss < solved.test_loss
    assert (trained.drift or 0) > (solved.drift or 0)


# --- tops that train ------------------------------------------------------------------------------------------------


def stitched_and_tuned(name: str, cut: str = "block4", protocol: str = "strict", **settings: Any) -> list[StitchRow]:
    """Return the row of a stitch and that of the same stitch with a top that trains."""
    return stitch_rows([task(name, cut, protocol, train=train, **settings) for train in ("stitcher", "top")])


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("name", ["conv1x1", "identity", "affine"])
def test_after_0_steps_a_stitch_with_a_top_that_trains_is_a_plain_stitch(name: str, protocol: str) -> None:
    stitched, tuned = stitched_and_tuned(name, protocol=protocol, steps=0)
    assert (tuned.train, tuned.steps) == ("top", 0)
    assert (tuned.test_loss, tuned.correct) == (stitched.test_loss, stitched.correct)


def test_a_deep_top_of_a_random_bottom_trains_better_at_its_own_learning_rate() -> None:
    """Compare the learning rate of tops with that of stitchers, which is too high for the trained layers of a top."""
    random = model(4, steps=0)
    top_lr, stitcher_lr = stitch_rows(
        [stitch(random, B, "block2", steps=50, train="top", lr=lr) for lr in (STRICT.top_lr, STRICT.lr)]
    )
    assert top_lr.test_loss < stitcher_lr.test_loss
    assert top_lr.test_loss < (top_lr.direct_loss or 0) / 1.5


def test_a_top_that_trains_reaches_as_low_a_held_out_loss_as_the_stitcher_alone() -> None:
    """Compare the lowest held-out losses from the same start, at the same learning rate of each weight."""
    lowest, starts = [], []
    for train, lr in (("stitcher", 1e-3 * 16**0.5), ("top", 1e-3)):  # a stitcher's rate is relative to its width
        (task_rows,) = rows(pack([task("conv1x1", "block4", train=train, steps=100, lr=lr)])).values()
        losses = [row.loss for row in task_rows if isinstance(row, CurveRow) and row.split == "stop"]
        lowest.append(min(losses))
        starts.append(losses[0])
    assert starts[1] == pytest.approx(starts[0], rel=1e-4)
    assert lowest[1] <= lowest[0]
    assert lowest[1] < starts[1]


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("name", ["identity", "affine"])
def test_the_top_trains_even_if_the_stitcher_has_nothing_to_train(name: str, protocol: str) -> None:
    stitched, tuned = stitched_and_tuned(name, protocol=protocol, steps=40)
    assert (stitched.steps, tuned.steps, tuned.max_steps) == (0, 40, 40)
    assert tuned.parameters == 0
    assert tuned.test_loss < stitched.test_loss
    assert tuned.drift == pytest.approx(stitched.drift, rel=1e-4 if protocol == "strict" else 1.0)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_a_top_that_trains_changes_neither_b_nor_other_stitches(protocol: str) -> None:
    """Compare B's weights bit for bit, and the losses of two stitches at the same top with those of lone stitches."""
    plain_tasks = [task(name, "block4", protocol) for name in ("conv1x1", "low_rank")]
    tuned = task("conv1x1", "block4", protocol, train="top")
    work = perform._StitchPackRun(pack([*plain_tasks, tuned]), WEIGHTS.__getitem__, torch.device("cpu"))
    work._images = perform._images_of(A.training.data, work._device)
    a, b = work._network(A), work._network(B)
    original_weights = {name: tensor.clone() for name, tensor in b.unfolded.state_dict().items()}
    original_folded_weights = {name: tensor.clone() for name, tensor in b.folded.state_dict().items()}
    tasks = [plain_tasks[0], tuned, plain_tasks[1]]
    result_by_task = {result.stitch.id: result for result in StitchGroup(tasks, a, {B.id: b}, work._images).run()}
    assert all(isinstance(result, FinishedStitch) for result in result_by_task.values())
    assert all(torch.equal(tensor, original_weights[name]) for name, tensor in b.unfolded.state_dict().items())
    assert all(torch.equal(tensor, original_folded_weights[name]) for name, tensor in b.folded.state_dict().items())
    for stitch_task in tasks:
        (lone_row,) = stitch_rows([stitch_task])
        result = result_by_task[stitch_task.id]
        assert isinstance(result, FinishedStitch)
        assert lone_row.test_loss == pytest.approx(result.score.loss, abs=1e-4)


def test_the_norms_of_a_top_that_trains_keep_their_statistics_only_in_protocol_strict() -> None:
    for protocol, changes in (("strict", False), ("paper", True)):
        tuned = task("conv1x1", "block4", protocol, train="top")
        work = perform._StitchPackRun(pack([tuned]), WEIGHTS.__getitem__, torch.device("cpu"))
        work._images = perform._images_of(A.training.data, work._device)
        a, b = work._network(A), work._network(B)
        (result,) = StitchGroup([tuned], a, {B.id: b}, work._images).run()
        assert isinstance(result, FinishedStitch)
        tuned_state, b_state = result.stitched.top.state_dict(), top(b.unfolded, "block4").state_dict()
        assert tuned_state.keys() == b_state.keys()
        changed_names = {name for name, tensor in tuned_state.items() if not torch.equal(tensor, b_state[name])}
        assert any("running_mean" in name for name in changed_names) == changes
        assert {name for name in tuned_state if name.endswith("weight")} <= changed_names


# --- probes, which have no top --------------------------------------------------------------------------------------


def probe_task(cut: str, a: Model = A, **settings: Any) -> Stitch:
    """Return the stitch of a model's cut to B's output by a probe."""
    return stitch(a, B, cut, OUTPUT, stitcher="probe", **settings)


def pooled_activations(model: Model, cut: str) -> tuple[Any, Any, Any, Any]:
    """Return a network's activation, averaged over places, and labels: of training images, then of test images."""
    work = perform._StitchPackRun(pack([probe_task(cut, model)]), WEIGHTS.__getitem__, torch.device("cpu"))
    images = perform._images_of(model.training.data, work._device)
    work._images = images
    network = work._network(model).folded
    rows = torch.arange(model.training.data.train - model.training.data.holdout)
    with torch.no_grad():
        test_images = torch.cat([batch for batch, _ in images.test_batches()])
        tensors = [activations(network, batch, [cut])[cut] for batch in (images.train_batch(rows), test_images)]
    x, test_x = (y.mean((2, 3)).double().numpy() if y.ndim == 4 else y.double().numpy() for y in tensors)
    return x, images.train_labels[rows].numpy(), test_x, images.test_labels.numpy()


@pytest.mark.parametrize("cut", ["conv1", "block4", "pool"])
def test_a_probe_starts_at_the_least_squares_classifier(cut: str) -> None:
    (row,) = stitch_rows([probe_task(cut, steps=0)])
    x, labels, test_x, test_labels = pooled_activations(A, cut)
    regression = LinearRegression().fit(x, np.eye(10)[labels])
    error = 100 * float((regression.predict(test_x).argmax(1) != test_labels).mean())
    assert row.test_error == pytest.approx(error, abs=0.5)
    assert row.test_error == pytest.approx(row.direct_error, abs=0.5)
    assert row.direct_r2 == pytest.approx(regression.score(x, np.eye(10)[labels]), abs=0.1)


def test_a_trained_probe_has_nearly_the_error_of_logistic_regression() -> None:
    """Compare with scikit-learn, to whose solution a probe converges."""
    (row,) = stitch_rows([probe_task("block4", steps=300, batch=128, stop="none")])
    x, labels, test_x, test_labels = pooled_activations(A, "block4")
    regression = LogisticRegression(C=1.0, max_iter=2000).fit((x - x.mean(0)) / x.std(0), labels)
    error = 100 * (1 - regression.score((test_x - x.mean(0)) / x.std(0), test_labels))
    assert row.test_error == pytest.approx(error, abs=5)
    assert row.test_loss < (row.direct_loss or 0)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_a_probe_has_a_penalty_and_agreement_but_no_drift(protocol: str) -> None:
    late, early = (stitch_rows([probe_task(cut, protocol=protocol, steps=60, lr=0.03)])[0] for cut in ("pool", "conv1"))
    assert (late.cut_b, late.depth_b, late.drift) == (OUTPUT, 1.0, None)
    assert 0 < (late.agreement or 0) <= 100
    assert late.penalty == late.test_error - late.b_error
    assert late.test_error < early.test_error
    assert late.parameters == 2 * 64 + 65 * 10


def test_a_probe_is_trained_on_bs_groups_of_classes() -> None:
    halves = model(5, labels=((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)))
    (row,) = stitch_rows([stitch(A, halves, "pool", OUTPUT, stitcher="probe", steps=30)])
    assert row.parameters == 2 * 64 + 65 * 2
    assert row.test_error < 25


def test_a_probe_and_a_stitch_in_one_pack_do_not_affect_each_other() -> None:
    """Compare their losses with those of lone tasks."""
    tasks = [probe_task("block4", steps=20), task("conv1x1", "block4", steps=20)]
    for single_task, row in zip(tasks, stitch_rows(tasks), strict=True):
        (lone_row,) = stitch_rows([single_task])
        assert row.test_loss == pytest.approx(lone_row.test_loss, abs=1e-4)


# --- controls -------------------------------------------------------------------------------------------------------


def test_a_stitch_that_may_not_stop_takes_every_step() -> None:
    """Train at a far too large learning rate: a stitch that may stop has the error of the closed form."""
    settings = {"lr": 100.0, "steps": 256}
    may_stop, never_stops = stitch_rows(
        [task("conv1x1", "block6", stop=stop, **settings) for stop in ("held_out", "none")]
    )
    assert (never_stops.steps, never_stops.converged) == (256, False)
    assert (never_stops.stop_data, never_stops.stop) == ("none", "none")
    assert may_stop.steps < 256
    assert may_stop.converged
    assert may_stop.test_error == may_stop.direct_error
    assert never_stops.test_loss > may_stop.test_loss
    assert never_stops.train_loss is not None


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_codes_of_labels_give_a_lower_error_than_a_network(protocol: str) -> None:
    """Stitch the ten codes into the last layer of the top, which a linear map can solve almost without error."""
    codes_row, network_row = stitch_rows(
        [task("conv1x1", "pool", protocol, steps=100, sender=sender) for sender in ("label", "network")]
    )
    assert codes_row.test_error < 1 < network_row.test_error
    assert (codes_row.sender, network_row.sender) == ("label", "network")
    assert codes_row.a_error == network_row.a_error


def test_codes_depend_on_the_seed_and_not_on_the_bottom_model() -> None:
    """Compare the losses of two bottom models of one shape, and the codes of two seeds."""
    stitches = [stitch(a, B, "block4", stitcher="affine", sender="label") for a in (A, model(4))]
    first, second = (row for lone_stitch in stitches for row in stitch_rows([lone_stitch]))
    assert first.test_loss == second.test_loss
    codes = [LabelCodes({"cut": (3, 2)}, 10, seed).codes_of(torch.arange(10), ["cut"])["cut"] for seed in (0, 0, 1)]
    assert torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[0], codes[2])
    assert codes[0].shape == (10, 3, 2)


def test_a_code_has_mean_0_and_variance_1() -> None:
    code = LabelCodes({"cut": (16, 8, 8)}, 10, 0).codes_of(torch.arange(10), ["cut"])["cut"]
    assert float(code.mean()) == pytest.approx(0, abs=0.05)
    assert float(code.var()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("stitcher", ["conv1x1", "affine", "relative"])
def test_noise_is_right_by_chance_only(stitcher: str, protocol: str) -> None:
    """Stitch the activations of other images: 90 % of the ten classes are wrong, up to four standard errors."""
    cuts = ["block2", "block6", "pool"]
    for row in stitch_rows([task(stitcher, cut, protocol, steps=100, sender="noise") for cut in cuts]):
        assert row.sender == "noise"
        assert row.test_error == pytest.approx(90, abs=4 * 100 * (0.9 * 0.1 / 450) ** 0.5)
        assert row.agreement is not None
        assert row.agreement < 25


@pytest.mark.parametrize("stop", ["held_out", "none"])
def test_noise_is_right_by_chance_after_many_steps(stop: str) -> None:
    """Train until the held-out loss no longer falls, and for all steps, in which images are learned by heart."""
    (row,) = stitch_rows([task("conv1x1", "block7", steps=640, sender="noise", stop=stop)])
    assert row.test_error == pytest.approx(90, abs=6)
    assert row.converged == (stop == "held_out")
    assert row.train_loss is not None
    if stop == "none":
        assert row.train_loss < 2.2, "guessing has a loss of 2.30"


def test_an_image_is_replaced_by_another_one_of_its_split_with_the_seed_alone() -> None:
    for count in (2, 3, 10, 450):
        replacement = replacements(count, 0, 0)
        assert sorted(replacement) == list(range(count))
        assert (replacement != np.arange(count)).all()
    assert replacements(1, 0, 0).tolist() == [0]
    assert replacements(50, 0, 0).tolist() == replacements(50, 0, 0).tolist() != replacements(50, 1, 0).tolist()
    images = perform._images_of(A.training.data, torch.device("cpu"))
    shown = with_pixels_of_other_images(images, 3)
    assert torch.equal(shown.train[5], images.train[replacements(len(images.train), 3, 0)[5]])
    assert torch.equal(shown.test[5], images.test[replacements(len(images.test), 3, 1)[5]])
    assert torch.equal(shown.train_labels, images.train_labels)
    assert torch.equal(shown.test_labels, images.test_labels)


def test_a_noise_stitch_maps_the_activations_of_other_images_to_those_of_b() -> None:
    """Compare with scikit-learn's map between the two, and with its drift on the test images."""
    (row,) = stitch_rows([task("affine", "pool", sender="noise")])
    images = perform._images_of(A.training.data, torch.device("cpu"))
    train_replacement, test_replacement = (
        replacements(len(split), 0, number) for number, split in enumerate((images.train, images.test))
    )
    (x, test_x), (y, test_y) = (all_pooled_activations(network) for network in (A, B))
    rows = np.arange(A.training.data.train - A.training.data.holdout)
    regression = LinearRegression().fit(x[train_replacement[rows]], y[rows])
    assert row.direct_r2 == pytest.approx(regression.score(x[train_replacement[rows]], y[rows]), abs=0.05)
    squared_distance = ((regression.predict(test_x[test_replacement]) - test_y) ** 2).sum()
    assert row.drift == pytest.approx(squared_distance / ((test_y - test_y.mean(0)) ** 2).sum(), abs=0.02)


def all_pooled_activations(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Return a network's activation at the cut pool for all training images and all test images."""
    work = perform._StitchPackRun(pack([probe_task("pool", model)]), WEIGHTS.__getitem__, torch.device("cpu"))
    work._images = images = perform._images_of(model.training.data, work._device)
    network = work._network(model).folded
    test_images = torch.cat([batch for batch, _ in images.test_batches()])
    with torch.no_grad():
        batches = (images.train_batch(torch.arange(len(images.train))), test_images)
        train, test = (activations(network, batch, ["pool"])["pool"].double().numpy() for batch in batches)
    return train, test


def test_a_probe_of_noise_or_labels_is_a_control_too() -> None:
    noise_row, label_row = stitch_rows([probe_task("pool", steps=60, sender=sender) for sender in ("noise", "label")])
    assert noise_row.test_error == pytest.approx(90, abs=6)
    assert label_row.test_error < 1
