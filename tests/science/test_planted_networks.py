"""What theory says of planted networks, stitcher by stitcher and measure by measure.

B is a trained network, A a copy of it that computes the same and shows another activation at the cut.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest
from support import planted_networks as plants
from support.packs import model, stitch
from support.planted_networks import CUT, SHAPE, activation, measure, principal_axes, receipts

from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.records.rows import FailureRow, Row, SimilarityRow, StitchRow
from sweeper.spec.records.task import Model, Options, Stitch

B, OTHER = model(2, arch="myrtle"), model(4, arch="myrtle")
IMAGE = 100 / 450  # an image's share of the test error, in points
CHANCE = 50.0  # a stitch that costs more is of no use: B errs on 3 % of the images, chance on 90 %

COPIES: Mapping[str, Callable[[Model], Model]] = {
    "exact": plants.exact,
    "permuted": plants.permuted,
    "rotated": plants.rotated,
    "rescaled": plants.rescaled,
    "padded": plants.padded,
    "shuffled": plants.shuffled,
}


class Asked(NamedTuple):
    stitcher: str
    options: Options = ()
    steps: int = 0


ASKED: Mapping[str, Asked] = {
    "identity": Asked("identity"),
    "permutation": Asked("permutation"),
    "orthogonal": Asked("orthogonal"),
    "affine": Asked("affine"),
    "relative": Asked("relative", (("anchors", 300),)),
    "conv1x1 solved": Asked("conv1x1"),
    "conv1x1 trained": Asked("conv1x1", steps=25),
    "conv solved": Asked("conv", (("depth", 1), ("kernel", 3), ("norm", True))),
    "low_rank solved": Asked("low_rank", (("rank", SHAPE[0]),)),
    "adapter solved": Asked("adapter", (("places", "pool"),)),
}

# exact: B's own error, within an image or two of float noise. near: exact but for what a sample of noise correlates
# with the signal. trained: starts exact, and training on the task may move it. own: as the copy that changes nothing.
# costs: more than 5 points. fails: of no use. no: can't join the shapes.
AFFINE = {
    "affine": "exact",
    "conv1x1 solved": "exact",
    "conv1x1 trained": "trained",
    "conv solved": "exact",
    "low_rank solved": "exact",
    "adapter solved": "exact",
}
STITCHED: Mapping[str, Mapping[str, str]] = {
    # A is B.
    "exact": {"identity": "exact", "permutation": "exact", "orthogonal": "exact", **AFFINE},
    # A permutation is a rotation is an affine map; cosines, of which relative representations are made, see neither.
    "permuted": {"identity": "fails", "permutation": "exact", "orthogonal": "exact", "relative": "own", **AFFINE},
    "rotated": {"identity": "fails", "permutation": "fails", "orthogonal": "exact", "relative": "own", **AFFINE},
    # A scale a channel is affine, and no rotation with one scale. Each channel is still B's own.
    "rescaled": {"identity": "costs", "permutation": "costs", "orthogonal": "costs", "relative": "costs", **AFFINE},
    # What B doesn't read gets no weight. Cosines see it.
    "padded": {"identity": "no", "permutation": "no", "orthogonal": "near", "relative": "costs", **AFFINE},
    # No map of channels moves what is at another place, and what a kernel of 3 starts at doesn't either.
    "shuffled": dict.fromkeys(ASKED, "fails"),
}

# Measures that a copy moves, all others being what they are of B and itself: those that lack an invariance under what
# was done. Flattened, a shuffle of places is a permutation of features; pixel by pixel it is not.
SEEN_BY: Mapping[str, set[str]] = {
    "exact": set(),
    "permuted": set(),
    "rotated": {"rsa"},  # Pearson's r of two images' features
    "rescaled": set(MEASURES) - {"pwcca", "affine_r2", "output_agreement", "output_kappa"},
    "padded": set(MEASURES) - {"pwcca", "affine_r2", "output_agreement", "output_kappa"},
    "shuffled": {"svcca", "pwcca", "orthogonal_r2", "affine_r2"},
}


def asked_of(a: Model, b: Model, name: str) -> Stitch:
    asked = ASKED[name]
    return stitch(a, b, CUT, stitcher=asked.stitcher, options=asked.options, steps=asked.steps)


@cache
def found(copy: str) -> Mapping[str, Row]:
    """Receipts of all stitchers and measures of a copy, by their names in the tables."""
    a = COPIES[copy](B)
    stitches = {asked_of(a, B, name): name for name in ASKED}
    measures = {measure(a, B, name): name for name in MEASURES}
    rows = receipts(*stitches, *measures)
    return {name: rows[task.id] for task, name in (stitches | measures).items()}


def stitched(copy: str, name: str) -> StitchRow:
    row = found(copy)[name]
    assert isinstance(row, StitchRow), row
    return row


def value(copy: str, name: str) -> float:
    row = found(copy)[name]
    assert isinstance(row, SimilarityRow), row
    return row.value


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_computes_what_the_network_computes(copy: str) -> None:
    row = stitched(copy, "affine")
    assert row.a_error == row.b_error
    assert row.a_loss == pytest.approx(row.b_loss, abs=1e-4)


CELLS = [(copy, name, what) for copy, cells in STITCHED.items() for name, what in cells.items()]


@pytest.mark.parametrize(("copy", "name", "what"), CELLS, ids=[f"{c}-{n}-{w}".replace(" ", "_") for c, n, w in CELLS])
def test_a_stitcher_recovers_what_it_can_undo_and_nothing_else(copy: str, name: str, what: str) -> None:
    if what == "no":
        row = found(copy)[name]
        assert isinstance(row, FailureRow)
        assert "joins equal shapes" in row.message
        return
    row = stitched(copy, name)
    if what == "exact":
        assert abs(row.penalty) <= 2 * IMAGE
        assert row.test_loss == pytest.approx(row.b_loss, abs=1e-2)
    elif what in ("near", "trained"):
        assert abs(row.penalty) <= 2
    elif what == "own":
        assert row.test_error == pytest.approx(stitched("exact", name).test_error, abs=2 * IMAGE)
        assert row.penalty < 2
    else:
        assert row.penalty > {"costs": 5.0, "fails": CHANCE}[what]


@pytest.mark.parametrize("copy", COPIES)
def test_the_closed_form_says_whether_an_affine_map_explains_it(copy: str) -> None:
    row = stitched(copy, "conv1x1 trained")
    assert row.direct_r2 is not None
    assert row.direct_error is not None
    if copy == "shuffled":
        assert row.direct_r2 < 0.2
        assert row.direct_error - row.b_error > CHANCE
    else:
        assert row.direct_r2 == pytest.approx(1, abs=1e-4)
        assert row.direct_error == pytest.approx(row.b_error, abs=2 * IMAGE)


MEASURED = [(copy, name, "sees" if name in seen else "blind") for copy, seen in SEEN_BY.items() for name in MEASURES]


@pytest.mark.parametrize(("copy", "name", "what"), MEASURED, ids=["-".join(cell) for cell in MEASURED])
def test_a_measure_sees_what_it_is_not_invariant_to(copy: str, name: str, what: str) -> None:
    best = value("exact", name)
    assert best == pytest.approx(1, abs=1e-5) or (name == "linear_predictivity" and 0.9 < best < 1)  # its penalty
    if what == "blind":
        assert value(copy, name) == pytest.approx(best, abs=1e-4 if name == "linear_predictivity" else 1e-5)
    else:
        assert value(copy, name) < best - 1e-5


def test_the_tables_cover_every_stitcher_and_measure() -> None:
    left_out = {"linear", "probe"}  # which join no map to a map: vectors and tokens; a cut to the output
    assert {asked.stitcher for asked in ASKED.values()} == set(STITCHERS) - left_out
    assert {name for row in found("exact").values() if isinstance(row, SimilarityRow) for name in [row.measure]} == set(
        MEASURES
    )


# --- in numbers -----------------------------------------------------------------------------------------------------


def test_of_rescaled_channels_the_permutation_finds_each_and_leaves_its_scale() -> None:
    assert stitched("rescaled", "permutation").correct == stitched("rescaled", "identity").correct


@pytest.mark.parametrize("loudness", [0.5, 1.0, 2.0])
def test_noise_takes_its_share_of_the_variance_off_the_orthogonal_r2(loudness: float) -> None:
    """Of X = (S, N) with N unrelated to S and Y = S: X'Y = (S'S, 0), so |X'Y|_* = |S|^2 and the r2 is |S|^2 / |X|^2,
    1 / (1 + loudness^2) for as many channels of noise as of signal; Procrustes similarity is its root."""
    a = plants.padded(B, loudness)
    r2, root = measure(a, B, "orthogonal_r2"), measure(a, B, "procrustes", maps="pixels")
    rows = receipts(r2, root)
    expected = 1 / (1 + loudness**2)
    for task, wanted in ((r2, expected), (root, expected**0.5)):
        row = rows[task.id]
        assert isinstance(row, SimilarityRow)
        assert row.value == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("axes", [2, 4, 8])
def test_the_best_map_of_a_rank_is_the_projection_on_as_many_principal_axes(axes: int) -> None:
    """Reduced-rank regression of an activation on itself (Izenman 1975): B's own low-rank stitch, the affine stitch of
    the copy that was projected, and that copy itself are one network. The r2 is the axes' share of the variance."""
    projected = plants.principal(B, axes)
    low = stitch(plants.exact(B), B, CUT, stitcher="low_rank", options=(("rank", axes),), steps=0)
    full = stitch(projected, B, CUT, stitcher="affine")
    row, other = receipts(low)[low.id], receipts(full)[full.id]
    assert isinstance(row, StitchRow)
    assert isinstance(other, StitchRow)
    assert row.test_error == pytest.approx(other.test_error, abs=2 * IMAGE)
    assert other.a_error == pytest.approx(other.test_error, abs=2 * IMAGE)
    centred = activation(B).movedim(1, -1).flatten(0, 2).double()
    centred = centred - centred.mean(0)
    kept = (centred @ principal_axes(B)[:axes].T.double()).square().sum() / centred.square().sum()
    assert other.direct_r2 == pytest.approx(float(kept), abs=1e-4)


def test_what_was_dropped_is_missed_in_one_direction() -> None:
    """Half of the channels: the whole foretells them exactly and stitches into the copy at the copy's own error; the
    other way round an affine map explains part, at least what was kept, and less than the best map of that rank."""
    half = plants.truncated(B, SHAPE[0] // 2)
    down, up = asked_of(plants.exact(B), half, "affine"), asked_of(half, B, "affine")
    told, foretold = measure(plants.exact(B), half, "affine_r2"), measure(half, B, "affine_r2")
    rows = receipts(down, told) | receipts(up, foretold)
    assert [type(rows[task.id]) for task in (down, up)] == [StitchRow] * 2
    assert rows[down.id].penalty == pytest.approx(0, abs=2 * IMAGE)  # type: ignore[attr-defined]
    assert rows[up.id].penalty > 2  # type: ignore[attr-defined]
    assert rows[told.id].value == pytest.approx(1, abs=1e-5)  # type: ignore[attr-defined]
    centred = activation(B).movedim(1, -1).flatten(0, 2).double()
    centred = centred - centred.mean(0)
    share = centred.square().sum(0).sort(descending=True).values / centred.square().sum()
    best = (centred @ principal_axes(B)[: SHAPE[0] // 2].T.double()).square().sum() / centred.square().sum()
    r2 = rows[up.id].direct_r2  # type: ignore[attr-defined]
    assert float(share.flip(0)[: SHAPE[0] // 2].sum()) < r2 < float(best)


def test_noise_is_missed_in_the_other_direction() -> None:
    """B can't foretell the noise: half of the variance, and what is half of it unrelated can't be explained better."""
    row = receipts(task := measure(plants.exact(B), plants.padded(B), "affine_r2"))[task.id]
    assert isinstance(row, SimilarityRow)
    assert row.value == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_a_norm_before_the_stitcher_takes_any_scale_off(protocol: str) -> None:
    """BN-equivalent senders train alike: the same loss from the same initialisation. (Test errors of protocol paper
    differ for as long as running averages, which begin at 0 and 1, are on their way.)"""
    asked = stitch(plants.exact(OTHER), B, CUT, protocol=protocol, steps=20)
    (row,), (other,) = (
        receipts(task).values() for task in (asked, replace(asked, a=plants.rescaled(OTHER, spread=0.5)))
    )
    assert isinstance(row, StitchRow)
    assert isinstance(other, StitchRow)
    assert other.train_loss == pytest.approx(row.train_loss, rel=2e-3)
    if protocol == "strict":
        assert other.test_error == pytest.approx(row.test_error, abs=2 * IMAGE)
