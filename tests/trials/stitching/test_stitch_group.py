"""Every kind of stitcher in a pack: started, trained or solved, judged."""

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
from sweeper.trials.stitching import closed_forms
from sweeper.trials.stitching.stitch_group import Group
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


def asked(name: str, cut: str = "block2", protocol: str = "strict", **others: Any) -> Stitch:
    return stitch(A, B, cut, stitcher=name, protocol=protocol, options=tuple(OPTIONS.get(name, {}).items()), **others)


def receipts(of: list[Stitch]) -> list[StitchRow]:
    found = rows(pack(of))
    receipts = [found[stitch.id][-1] for stitch in of]
    assert not [row for row in receipts if not isinstance(row, StitchRow)]
    return [row for row in receipts if isinstance(row, StitchRow)]


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_every_stitcher_ends(protocol: str) -> None:
    names = ["conv1x1", "conv", "low_rank", "adapter", *SOLVED]
    for name, row in zip(names, receipts([asked(name, protocol=protocol, steps=3) for name in names]), strict=True):
        assert row.stitcher == name
        assert row.steps == (0 if name in SOLVED else 3)
        assert (row.parameters == 0) == (name in SOLVED)
        assert 0 < row.test_error < 95
        assert row.test_loss < 20  # NaN is not


def test_what_is_solved_is_the_closed_form() -> None:
    (affine, rotation, order, plain) = receipts(
        [asked(name) for name in ("affine", "orthogonal", "permutation", "identity")]
    )
    assert affine.test_error == affine.direct_error
    assert affine.test_loss == pytest.approx(affine.direct_loss, abs=1e-6)
    assert affine.direct_r2 == rotation.direct_r2 == order.direct_r2 == plain.direct_r2
    assert affine.test_loss < rotation.test_loss < plain.test_loss
    assert order.test_loss != plain.test_loss


@pytest.mark.parametrize("name", ["conv", "low_rank", "adapter"])
def test_before_its_first_step_a_trained_stitcher_is_the_closed_form_or_near_it(name: str) -> None:
    """Of full rank, low_rank is not held back."""
    full = tuple({**OPTIONS[name], **({"rank": 8} if name == "low_rank" else {})}.items())
    (row,) = receipts([stitch(A, B, "block2", stitcher=name, steps=0, options=full)])
    assert row.steps == 0
    assert row.test_loss == pytest.approx(row.direct_loss, rel=1e-4)


def test_an_adapter_joins_every_cut_to_every_cut() -> None:
    places = ["pool", "strided"]
    asked_for = [
        stitch(A, OTHER, i, cut_b=j, stitcher="adapter", steps=1, options=(("places", how),))
        for i in cuts()[::3]
        for j in cuts("myrtle")[::2]
        for how in places
    ]
    for row in receipts(asked_for):
        assert row.direct_r2 is not None
        assert row.direct_r2 > 0
        assert row.parameters > 0


def test_whose_images_a_closed_form_is_solved_on_matters() -> None:
    full, own = receipts([asked("affine", "block6", data=data) for data in ("full", "top")])
    assert full.direct_r2 != own.direct_r2
    assert full.test_loss != own.test_loss


def test_a_stitcher_that_can_not_be_solved_fails_alone() -> None:
    greedy = stitch(A, B, "pool", stitcher="relative", options=(("anchors", 10_000),))
    found = rows(pack([greedy, asked("affine", "pool"), asked("relative", "pool")]))
    failed = found[greedy.id][-1]
    assert isinstance(failed, FailureRow)
    assert "10000 anchors of 500 places" in failed.message
    assert sum(isinstance(outcome[-1], StitchRow) for outcome in found.values()) == 2


def test_small_batches_solve_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for = [
        asked("affine"),
        stitch(A, B, "block2", cut_b="block6", stitcher="adapter", steps=0, options=(("places", "pool"),)),
    ]
    before = receipts(asked_for)
    monkeypatch.setattr(closed_forms, "FIT_BYTES", 10**6)
    for one, other in zip(before, receipts(asked_for), strict=True):
        assert other.direct_r2 == pytest.approx(one.direct_r2, abs=1e-6)


# --- how like B's own the stitched activations are -----------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_b_into_itself_is_b(protocol: str) -> None:
    asked_for = [stitch(B, B, cut, stitcher="identity", protocol=protocol) for cut in ("conv1", "block5", "pool")]
    for row in receipts(asked_for):
        assert (row.drift, row.agreement) == (pytest.approx(0, abs=1e-9), 100.0)


def test_drift_and_agreement_by_hand() -> None:
    """Of the closed form, whose activations are known: all images at once, in double precision."""
    (row,) = receipts([asked("affine", "block4")])
    work = perform._StitchPackRun(pack([asked("affine", "block4")]), WEIGHTS.__getitem__, torch.device("cpu"))
    work._images = perform._images_of(A.training.data, work._device)
    a, b = work._network(A), work._network(B)
    group = Group([asked("affine", "block4")], a, {B.id: b}, work._images)
    ((form,),) = group._solve().maps.values()
    images = torch.cat([images for images, _ in work._images.test_batches()])
    with torch.no_grad():
        x, y = (activations(network.folded, images, ["block4"])["block4"].double() for network in (a, b))
        stitched = form(x)
        half = top(b.folded.double(), "block4")
        same = half(stitched).argmax(1) == half(y).argmax(1)
    off = (stitched - y).square().sum()
    assert row.drift == pytest.approx(float(off / (y - y.mean((0, 2, 3), keepdim=True)).square().sum()), rel=1e-4)
    assert row.agreement == pytest.approx(100 * float(same.double().mean()), abs=0.5)
    b.folded.float()


def test_drift_of_the_closed_form_is_what_it_leaves_unexplained() -> None:
    """On other images than it was solved on, so nearly."""
    for row in receipts([asked("affine", cut) for cut in ("conv1", "block3")]):
        assert row.drift == pytest.approx(1 - (row.direct_r2 or 0), abs=0.1)


def test_a_stitcher_that_serves_the_task_drifts_from_b() -> None:
    """Trained on the task, the same stitcher is further from B than the closed form that it started at."""
    solved, trained = receipts([asked("affine", "block6"), asked("conv1x1", "block6", steps=100)])
    assert trained.test_loss < solved.test_loss
    assert (trained.drift or 0) > (solved.drift or 0)


# --- a top that trains, too -----------------------------------------------------------------------------------------


def tuned(name: str, cut: str = "block4", protocol: str = "strict", **others: Any) -> list[StitchRow]:
    """The stitch alone, and with its top."""
    return receipts([asked(name, cut, protocol, train=what, **others) for what in ("stitcher", "top")])


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("name", ["conv1x1", "identity", "affine"])
def test_without_a_step_tuning_is_stitching(name: str, protocol: str) -> None:
    stitched, fine = tuned(name, protocol=protocol, steps=0)
    assert (fine.train, fine.steps) == ("top", 0)
    assert (fine.test_loss, fine.correct) == (stitched.test_loss, stitched.correct)


def test_above_a_random_bottom_a_deep_top_trains_at_a_rate_of_its_own() -> None:
    """The stitcher's would wreck it: what it learnt is far from what it is now shown."""
    random = model(4, steps=0)
    own, stitchers = receipts(
        [stitch(random, B, "block2", steps=50, train="top", lr=lr) for lr in (STRICT.top_lr, STRICT.lr)]
    )
    assert own.test_loss < stitchers.test_loss
    assert own.test_loss < (own.direct_loss or 0) / 1.5


@pytest.mark.parametrize(("cut", "more"), [("block4", 1.0), ("pool", 1.02)])
def test_from_the_same_start_tuning_reaches_as_low_a_held_out_loss(cut: str, more: float) -> None:
    """It can do all that the stitcher can, and more but at the last cut, where both are one linear map."""
    lowest, starts = [], []
    for what in ("stitcher", "top"):
        (found,) = rows(pack([asked("conv1x1", cut, train=what, steps=100, lr=1e-3)])).values()
        looks = [row.loss for row in found if isinstance(row, CurveRow) and row.split == "stop"]
        lowest.append(min(looks))
        starts.append(looks[0])
    assert starts[1] == pytest.approx(starts[0], rel=1e-4)
    assert lowest[1] <= lowest[0] * more
    assert lowest[1] < starts[1]


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("name", ["identity", "affine"])
def test_where_the_stitcher_trains_nothing_the_top_does(name: str, protocol: str) -> None:
    stitched, fine = tuned(name, protocol=protocol, steps=40)
    assert (stitched.steps, fine.steps, fine.max_steps) == (0, 40, 40)
    assert fine.parameters == 0
    assert fine.test_loss < stitched.test_loss
    assert fine.drift == pytest.approx(stitched.drift, rel=1e-4 if protocol == "strict" else 1.0)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_b_itself_is_not_touched_and_nobody_else_notices(protocol: str) -> None:
    """Between two stitches at the same top, before and after, to the last bit of B and within float noise of them."""
    plain = [asked(name, "block4", protocol) for name in ("conv1x1", "low_rank")]
    fine = asked("conv1x1", "block4", protocol, train="top")
    work = perform._StitchPackRun(pack([*plain, fine]), WEIGHTS.__getitem__, torch.device("cpu"))
    work._images = perform._images_of(A.training.data, work._device)
    a, b = work._network(A), work._network(B)
    before = {name: tensor.clone() for name, tensor in b.unfolded.state_dict().items()}
    folded = {name: tensor.clone() for name, tensor in b.folded.state_dict().items()}
    together = [plain[0], fine, plain[1]]
    ended = {end.stitch.id: end for end in Group(together, a, {B.id: b}, work._images).run()}
    assert all(isinstance(end, FinishedStitch) for end in ended.values())
    assert all(torch.equal(tensor, before[name]) for name, tensor in b.unfolded.state_dict().items())
    assert all(torch.equal(tensor, folded[name]) for name, tensor in b.folded.state_dict().items())
    for one in together:
        (alone,) = receipts([one])
        end = ended[one.id]
        assert isinstance(end, FinishedStitch)
        assert alone.test_loss == pytest.approx(end.score.loss, abs=1e-4)


def test_the_norms_of_a_top_that_trains_hold_their_statistics_in_strict_and_move_in_paper() -> None:
    for protocol, moves in (("strict", False), ("paper", True)):
        fine = asked("conv1x1", "block4", protocol, train="top")
        work = perform._StitchPackRun(pack([fine]), WEIGHTS.__getitem__, torch.device("cpu"))
        work._images = perform._images_of(A.training.data, work._device)
        a, b = work._network(A), work._network(B)
        (end,) = Group([fine], a, {B.id: b}, work._images).run()
        assert isinstance(end, FinishedStitch)
        own, theirs = end.stitched.top.state_dict(), top(b.unfolded, "block4").state_dict()
        assert own.keys() == theirs.keys()
        moved = {name for name, tensor in own.items() if not torch.equal(tensor, theirs[name])}
        assert any("running_mean" in name for name in moved) == moves
        assert {name for name in own if name.endswith("weight")} <= moved


# --- a probe: no top at all ------------------------------------------------------------------------------------------


def probed(cut: str, a: Model = A, **others: Any) -> Stitch:
    return stitch(a, B, cut, OUTPUT, stitcher="probe", **others)


def pooled(of: Model, cut: str) -> tuple[Any, Any, Any, Any]:
    """Means over places of a network's activation and labels, of the images that stitchers train on and of the test."""
    work = perform._StitchPackRun(pack([probed(cut, of)]), WEIGHTS.__getitem__, torch.device("cpu"))
    images = perform._images_of(of.training.data, work._device)
    work._images = images
    network = work._network(of).folded
    rows = torch.arange(of.training.data.train - of.training.data.holdout)
    with torch.no_grad():
        tested = torch.cat([batch for batch, _ in images.test_batches()])
        found = [activations(network, x, [cut])[cut] for x in (images.train_batch(rows), tested)]
    x, held = (y.mean((2, 3)).double().numpy() if y.ndim == 4 else y.double().numpy() for y in found)
    return x, images.train_labels[rows].numpy(), held, images.test_labels.numpy()


@pytest.mark.parametrize("cut", ["conv1", "block4", "pool"])
def test_before_its_first_step_a_probe_is_the_least_squares_classifier(cut: str) -> None:
    (row,) = receipts([probed(cut, steps=0)])
    x, labels, held, held_labels = pooled(A, cut)
    solved = LinearRegression().fit(x, np.eye(10)[labels])
    wrong = 100 * float((solved.predict(held).argmax(1) != held_labels).mean())
    assert row.test_error == pytest.approx(wrong, abs=0.5)
    assert row.test_error == pytest.approx(row.direct_error, abs=0.5)
    assert row.direct_r2 == pytest.approx(solved.score(x, np.eye(10)[labels]), abs=0.1)


def test_a_probe_comes_near_logistic_regression() -> None:
    """Which is where it would end, and what it can't do better than on the images that it learned from."""
    (row,) = receipts([probed("block4", steps=300, batch=128, stop="none")])
    x, labels, held, held_labels = pooled(A, "block4")
    best = LogisticRegression(C=1.0, max_iter=2000).fit((x - x.mean(0)) / x.std(0), labels)
    wrong = 100 * (1 - best.score((held - x.mean(0)) / x.std(0), held_labels))
    assert row.test_error == pytest.approx(wrong, abs=5)
    assert row.test_loss < (row.direct_loss or 0)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_a_probe_has_a_penalty_and_agreement_but_no_activation_of_bs_to_drift_from(protocol: str) -> None:
    fine, early = (receipts([probed(cut, protocol=protocol, steps=60, lr=0.03)])[0] for cut in ("pool", "conv1"))
    assert (fine.cut_b, fine.depth_b, fine.drift) == (OUTPUT, 1.0, None)
    assert 0 < (fine.agreement or 0) <= 100
    assert fine.penalty == fine.test_error - fine.b_error
    assert fine.test_error < early.test_error
    assert fine.parameters == 2 * 64 + 65 * 10


def test_a_probe_tells_bs_groups_of_classes() -> None:
    halves = model(5, labels=((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)))
    (row,) = receipts([stitch(A, halves, "pool", OUTPUT, stitcher="probe", steps=30)])
    assert row.parameters == 2 * 64 + 65 * 2
    assert row.test_error < 25


def test_a_probe_is_no_other_beside_a_stitch() -> None:
    """They share A's passes and nothing else."""
    both = [probed("block4", steps=20), asked("conv1x1", "block4", steps=20)]
    for one, together in zip(both, receipts(both), strict=True):
        (alone,) = receipts([one])
        assert together.test_loss == pytest.approx(alone.test_loss, abs=1e-4)


# --- controls -------------------------------------------------------------------------------------------------------


def test_without_stopping_every_step_is_taken() -> None:
    """Even where the first step ruins everything; what stops keeps its best look."""
    ruined = {"lr": 100.0, "steps": 160}
    stops, goes_on = receipts([asked("conv1x1", "block8", stop=stop, **ruined) for stop in ("held_out", "none")])
    assert (goes_on.steps, goes_on.converged, goes_on.stop_data, goes_on.stop) == (160, False, "none", "none")
    assert stops.steps < 160
    assert stops.converged
    assert stops.test_error == stops.direct_error
    assert goes_on.test_loss > stops.test_loss
    assert goes_on.train_loss is not None


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_a_sender_that_knows_the_label_alone_does_better_than_any_network(protocol: str) -> None:
    """Ten codes, a linear map, the top's last layer: nothing stands in the way."""
    told, seen = receipts(
        [asked("conv1x1", "pool", protocol, steps=100, sender=sender) for sender in ("label", "network")]
    )
    assert told.test_error < 1 < seen.test_error
    assert (told.sender, seen.sender) == ("label", "network")
    assert told.a_error == seen.a_error


def test_codes_are_the_seeds_and_whoever_the_sender_is() -> None:
    """Of two networks of one shape the label's codes are the same; another seed gives others."""
    told = [stitch(a, B, "block4", stitcher="affine", sender="label") for a in (A, model(4))]
    one, other = (row for of in told for row in receipts([of]))
    assert one.test_loss == other.test_loss
    codes = [LabelCodes({"cut": (3, 2)}, 10, seed).codes_of(torch.arange(10), ["cut"])["cut"] for seed in (0, 0, 1)]
    assert torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[0], codes[2])
    assert codes[0].shape == (10, 3, 2)


def test_a_code_has_mean_0_and_variance_1() -> None:
    code = LabelCodes({"cut": (16, 8, 8)}, 10, 0).codes_of(torch.arange(10), ["cut"])["cut"]
    assert float(code.mean()) == pytest.approx(0, abs=0.05)
    assert float(code.var()) == pytest.approx(1, abs=0.05)
