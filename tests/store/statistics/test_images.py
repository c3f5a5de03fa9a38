"""The image component of an interval: by hand, from bitmaps of any length, and never less than either factor alone."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from sweeper.store.statistics import images
from sweeper.store.statistics.interval import Interval, model_interval

PAIRS = st.tuples(st.integers(2, 4), st.integers(2, 4), st.integers(9, 70), st.integers(0, 2**32 - 1))


def outcomes(n: int, m: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What stitches (n, m, images) and tops (m, images) get right: images differ, models differ, the rest is chance."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=count)
    top = hard + rng.normal(size=(m, 1)) / 2 + rng.normal(size=(m, count)) > 0
    stitched = hard + rng.normal(size=(n, 1, 1)) / 2 + rng.normal(size=(n, m, count)) > -0.3
    return stitched, top


def ask(stitched: np.ndarray, top: np.ndarray, sign: float = 1.0, repeat: int = 1) -> Interval:
    cells = list(np.ndindex(stitched.shape[:2])) * repeat
    y = [sign * 100 * (float(stitched[i, j].mean()) - float(top[j].mean())) for i, j in cells]
    right = [np.packbits(stitched[i, j]).tobytes() for i, j in cells]
    other = [np.packbits(top[j]).tobytes() for _, j in cells]
    return model_interval([f"a{i}" for i, _ in cells], [f"b{j}" for _, j in cells], y, right, other)


def variances(stitched: np.ndarray, top: np.ndarray) -> tuple[float, float, float]:
    """Of models, of images, and what they share, from the outcomes: the two-way table on every single image."""
    d = 100.0 * (stitched.astype(float) - top[None])
    n, m, count = d.shape

    def two_way(y: np.ndarray) -> float:
        return y.mean(axis=1).var(ddof=1) / n + y.mean(axis=0).var(ddof=1) / m

    models = two_way(d.mean(axis=2))
    single = np.mean([two_way(d[:, :, x]) for x in range(count)])
    return models, d.mean(axis=(0, 1)).var(ddof=1) / count, (single - models) / (count - 1)


@settings(deadline=None)
@given(PAIRS)
@example((2, 2, 450, 0))
def test_three_variances_by_hand(drawn: tuple[int, int, int, int]):
    stitched, top = outcomes(*drawn)
    models, of_images, shared = variances(stitched, top)
    found = ask(stitched, top)
    if found.note:  # every gain is 0: how many images there are can't be told, or the smallest that fits differs
        return
    variance = max(models, of_images, models + of_images - shared)
    assert found.images == drawn[2] or found.mean == 0
    assert found.se_images == pytest.approx(math.sqrt(of_images), rel=1e-6)
    alone = ask_alone(stitched, top)
    assert found.mean == alone.mean
    assert found.hi - found.lo >= (alone.hi - alone.lo) * (1 - 1e-9)
    if variance:
        df = variance**2 / (models**2 / alone.df + (variance - models) ** 2 / (drawn[2] - 1))
        half = stats.t.ppf(0.975, df) * math.sqrt(variance)
        assert (found.hi - found.lo) / 2 == pytest.approx(max(half, (alone.hi - alone.lo) / 2), rel=1e-5)
        assert found.p_zero == pytest.approx(2 * stats.t.sf(abs(found.mean) / found.se, found.df))


def ask_alone(stitched: np.ndarray, top: np.ndarray) -> Interval:
    """With the images held fixed."""
    cells = list(np.ndindex(stitched.shape[:2]))
    y = [100 * (float(stitched[i, j].mean()) - float(top[j].mean())) for i, j in cells]
    return model_interval([f"a{i}" for i, _ in cells], [f"b{j}" for _, j in cells], y)


@settings(deadline=None)
@given(PAIRS)
def test_neither_order_nor_sign_nor_repeats_nor_the_order_of_images_matter(drawn: tuple[int, int, int, int]):
    stitched, top = outcomes(*drawn)
    found = ask(stitched, top)
    order = np.random.default_rng(1).permutation(drawn[2])
    for other in (
        ask(stitched[::-1], top),
        ask(stitched, top, sign=-1.0),
        ask(stitched, top, repeat=2),
        ask(stitched[:, :, order], top[:, order]),
    ):
        assert (other.images, other.n_pairs, other.note) == (found.images, found.n_pairs, found.note)
        assert (other.se, other.df, other.se_images) == pytest.approx(
            (found.se, found.df, found.se_images), rel=1e-6, abs=1e-9
        )


def test_the_order_of_rows_moves_no_digit():
    stitched, top = outcomes(3, 4, 99, 0)
    cells = [*np.ndindex(3, 4), *np.ndindex(3, 4)]
    rng, tops = np.random.default_rng(0), [np.packbits(row).tobytes() for row in top]
    rows = [
        (f"a{i}", f"b{j}", 100 * (int(s.sum()) - int(top[j].sum())) / 99, np.packbits(s).tobytes(), tops[j])
        for i, j in cells
        for s in [rng.permutation(stitched[i, j])]  # another stitch of the pair, as good on the whole
    ]
    found = model_interval(*zip(*rows, strict=True))
    for seed in range(3):
        shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
        assert model_interval(*zip(*shuffled, strict=True)) == found
    assert found.images == 99


def test_images_alone_where_models_agree():
    """Nine pairs that are one and the same: nothing but the images varies, with as many degrees of freedom."""
    stitched, top = outcomes(1, 1, 200, 0)
    found = ask(np.repeat(np.repeat(stitched, 3, axis=0), 3, axis=1), np.repeat(top, 3, axis=0))
    d = 100.0 * (stitched[0, 0].astype(float) - top[0])
    assert found.se == found.se_images == pytest.approx(d.std(ddof=1) / math.sqrt(200))
    assert found.df == pytest.approx(199)


def test_no_variance_at_all():
    found = ask(np.ones((2, 2, 10), bool), np.zeros((2, 10), bool))
    assert (found.mean, found.lo, found.hi, found.se, found.images) == (100, 100, 100, 0, 10)
    nothing = ask(np.ones((2, 2, 10), bool), np.ones((2, 10), bool))
    assert (nothing.mean, nothing.lo, nothing.hi) == (0, 0, 0)


def test_one_seed_a_side_has_no_interval_and_says_why():
    found = ask(*outcomes(1, 3, 50, 0))
    note = "one model on a side: the variance over models can't be estimated"
    assert (found.lo, found.images, found.note) == (None, None, note)


@pytest.mark.parametrize(
    ("right", "other", "note"),
    [
        ([b"\xff", b"", b"\xff", b"\xff"], [b"\x0f"] * 4, images.MISSING),
        ([b"\xff"] * 4, [b"\x0f", None, b"\x0f", b"\x0f"], images.MISSING),
        ([b"\xff"] * 4, [b"\x0f\x00"] * 4, images.MISSING),
        ([b"\xff"] * 4, [b"\x07"] * 4, images.INCONSISTENT),
        ([b"\xff", b"\xff", b"\xff", b"\xfe"], [b"\x0f"] * 4, images.INCONSISTENT),
        ([None] * 4, [b"\x0f"] * 4, ""),  # not asked for
    ],
)
def test_without_the_right_bitmaps_the_images_are_held_fixed(right, other, note):
    sides = ["a", "a", "b", "b"], ["c", "d", "c", "d"]
    found = model_interval(*sides, [50.0] * 4, right, other)
    assert found._replace(note="") == model_interval(*sides, [50.0] * 4)
    assert found.note == note


def test_many_images_are_read_in_pieces(monkeypatch):
    stitched, top = outcomes(3, 3, 1001, 0)
    whole = ask(stitched, top)
    monkeypatch.setattr(images, "_AT_ONCE", 1)
    assert ask(stitched, top)[:5] == pytest.approx(whole[:5])
