"""The variance of an interval due to the test images: calculated by hand, for any number of images, and its limits."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sweeper.store.statistics import images
from sweeper.store.statistics.interval import Interval, model_interval

PAIRS = st.tuples(st.integers(2, 4), st.integers(2, 4), st.integers(9, 70), st.integers(0, 2**32 - 1))


def outcomes(n: int, m: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw outcomes of stitches, shape (n, m, images), and of tops alone, shape (m, images).

    They depend on the difficulty of the image, on the models, and on chance.
    """
    rng = np.random.default_rng(seed)
    ease = rng.normal(size=count)
    top = ease + rng.normal(size=(m, 1)) / 2 + rng.normal(size=(m, count)) > 0
    stitched = ease + rng.normal(size=(n, 1, 1)) / 2 + rng.normal(size=(n, m, count)) > -0.3
    return stitched, top


def interval_of(stitched: np.ndarray, top: np.ndarray, sign: float = 1.0, repeat: int = 1) -> Interval:
    """Return the interval of the gain (with `sign` -1 of the penalty) from outcomes, each row `repeat` times."""
    cells = list(np.ndindex(stitched.shape[:2])) * repeat
    y = [sign * 100 * (float(stitched[i, j].mean()) - float(top[j].mean())) for i, j in cells]
    right = [np.packbits(stitched[i, j]).tobytes() for i, j in cells]
    top_right = [np.packbits(top[j]).tobytes() for _, j in cells]
    return model_interval([f"a{i}" for i, _ in cells], [f"b{j}" for _, j in cells], y, right, top_right)


def variances(stitched: np.ndarray, top: np.ndarray) -> tuple[float, float, float]:
    """Return the variances due to models and to images and their shared part, by a two-way table for each image."""
    d = 100.0 * (stitched.astype(float) - top[None])
    n, m, count = d.shape

    def two_way(y: np.ndarray) -> float:
        return y.mean(axis=1).var(ddof=1) / n + y.mean(axis=0).var(ddof=1) / m

    models = two_way(d.mean(axis=2))
    mean_over_images = np.mean([two_way(d[:, :, x]) for x in range(count)])
    return models, d.mean(axis=(0, 1)).var(ddof=1) / count, (mean_over_images - models) / (count - 1)


@settings(deadline=None)
@given(PAIRS)
@example((2, 2, 450, 0))
def test_the_interval_agrees_with_variances_calculated_by_hand(design: tuple[int, int, int, int]):
    stitched, top = outcomes(*design)
    models, image_variance, shared = variances(stitched, top)
    result = interval_of(stitched, top)
    if result.note:  # every gain is 0, so the number of images can't be computed
        return
    variance = max(models, image_variance, models + image_variance - shared)
    assert result.images == design[2] or result.mean == 0
    assert result.se_images == pytest.approx(math.sqrt(image_variance), rel=1e-6)
    fixed_images = fixed_image_interval(stitched, top)
    assert result.mean == fixed_images.mean
    assert result.hi - result.lo >= (fixed_images.hi - fixed_images.lo) * (1 - 1e-9)
    assert result.variances == pytest.approx((*fixed_images.variances, variance - models), abs=1e-9)
    assert result.degrees == (*fixed_images.degrees, design[2] - 1)


def fixed_image_interval(stitched: np.ndarray, top: np.ndarray) -> Interval:
    """Return the interval of the gain for the same test images."""
    cells = list(np.ndindex(stitched.shape[:2]))
    y = [100 * (float(stitched[i, j].mean()) - float(top[j].mean())) for i, j in cells]
    return model_interval([f"a{i}" for i, _ in cells], [f"b{j}" for _, j in cells], y)


@settings(deadline=None)
@given(PAIRS)
def test_the_interval_does_not_depend_on_the_order_of_rows_or_images_the_sign_or_repeated_rows(
    design: tuple[int, int, int, int],
):
    stitched, top = outcomes(*design)
    result = interval_of(stitched, top)
    order = np.random.default_rng(1).permutation(design[2])
    for equivalent in (
        interval_of(stitched[::-1], top),
        interval_of(stitched, top, sign=-1.0),
        interval_of(stitched, top, repeat=2),
        interval_of(stitched[:, :, order], top[:, order]),
    ):
        assert (equivalent.images, equivalent.n_pairs, equivalent.note) == (result.images, result.n_pairs, result.note)
        assert (equivalent.se, equivalent.df, equivalent.se_images) == pytest.approx(
            (result.se, result.df, result.se_images), rel=1e-6, abs=1e-9
        )


def test_the_order_of_rows_does_not_change_any_digit():
    stitched, top = outcomes(3, 4, 99, 0)
    cells = [*np.ndindex(3, 4), *np.ndindex(3, 4)]
    rng = np.random.default_rng(0)
    rows = []
    for i, j in cells:  # the two stitches of a pair have the same error on different images
        right = rng.permutation(stitched[i, j])
        gain = 100 * (int(right.sum()) - int(top[j].sum())) / 99
        rows.append((f"a{i}", f"b{j}", gain, np.packbits(right).tobytes(), np.packbits(top[j]).tobytes()))
    result = model_interval(*zip(*rows, strict=True))
    for seed in range(3):
        shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
        assert model_interval(*zip(*shuffled, strict=True)) == result
    assert result.images == 99


def test_the_variance_of_equal_models_is_that_of_the_images_alone():
    """Nine equal pairs differ only by images, so the degrees of freedom are those of the images."""
    stitched, top = outcomes(1, 1, 200, 0)
    result = interval_of(np.repeat(np.repeat(stitched, 3, axis=0), 3, axis=1), np.repeat(top, 3, axis=0))
    d = 100.0 * (stitched[0, 0].astype(float) - top[0])
    assert result.se == result.se_images == pytest.approx(d.std(ddof=1) / math.sqrt(200))
    assert result.df == pytest.approx(199)


def test_equal_outcomes_have_an_interval_of_width_0():
    result = interval_of(np.ones((2, 2, 10), bool), np.zeros((2, 10), bool))
    assert (result.mean, result.lo, result.hi, result.se, result.images) == (100, 100, 100, 0, 10)
    no_gain = interval_of(np.ones((2, 2, 10), bool), np.ones((2, 10), bool))
    assert (no_gain.mean, no_gain.lo, no_gain.hi) == (0, 0, 0)


def test_with_one_model_on_a_side_there_is_no_interval_and_a_note():
    result = interval_of(*outcomes(1, 3, 50, 0))
    note = "one model on a side: the variance over models can't be estimated"
    assert (result.lo, result.images, result.note) == (None, None, note)


@pytest.mark.parametrize(
    ("right", "top_right", "note"),
    [
        ([b"\xff", b"", b"\xff", b"\xff"], [b"\x0f"] * 4, images.MISSING),
        ([b"\xff"] * 4, [b"\x0f", None, b"\x0f", b"\x0f"], images.MISSING),
        ([b"\xff"] * 4, [b"\x0f\x00"] * 4, images.MISSING),
        ([b"\xff"] * 4, [b"\x07"] * 4, images.INCONSISTENT),
        ([b"\xff", b"\xff", b"\xff", b"\xfe"], [b"\x0f"] * 4, images.INCONSISTENT),
        ([None] * 4, [b"\x0f"] * 4, ""),  # an interval for the same images
    ],
)
def test_missing_or_inconsistent_outcomes_give_the_interval_for_the_same_images_and_a_note(right, top_right, note):
    sides = ["a", "a", "b", "b"], ["c", "d", "c", "d"]
    result = model_interval(*sides, [50.0] * 4, right, top_right)
    assert result._replace(note="") == model_interval(*sides, [50.0] * 4)
    assert result.note == note


def test_the_interval_does_not_depend_on_how_many_images_are_unpacked_at_a_time(monkeypatch):
    stitched, top = outcomes(3, 3, 1001, 0)
    expected = interval_of(stitched, top)
    monkeypatch.setattr(images, "_BLOCK_SIZE", 1)
    assert interval_of(stitched, top)[:5] == pytest.approx(expected[:5])


def test_one_test_image_is_held_fixed():
    result = model_interval(["a", "a", "b", "b"], ["c", "d"] * 2, [100.0] * 4, [b"\x80"] * 4, [b"\x00"] * 4)
    assert (result.mean, result.images, result.note) == (100, None, images.ONE_IMAGE)
