"""The interval of the slope over the levels of A, compared with calculations by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.store.statistics import interval
from sweeper.store.statistics.interval import Interval, trend_interval

DESIGNS = st.tuples(
    st.lists(st.floats(-5, 5).map(lambda x: round(x, 1)), min_size=2, max_size=4, unique=True),
    st.integers(2, 3),
    st.integers(2, 4),
    st.integers(0, 2**32 - 1),
)


def slope_of(y: np.ndarray, x: list[float]) -> Interval:
    """Return the interval of the slope of values of shape (levels, As of a level, Bs)."""
    cells = list(np.ndindex(y.shape))
    return trend_interval(
        [f"a{level} {i}" for level, i, _ in cells], [f"b{j}" for *_, j in cells], [x[level] for level, *_ in cells],
        [float(y[c]) for c in cells],
    )  # fmt: skip


@settings(deadline=None)
@given(DESIGNS)
def test_the_slope_of_a_crossed_design_agrees_with_a_calculation_by_hand(design):
    """The slope is the mean over Bs of least-squares slopes; As vary within their level, Bs in their slopes."""
    x, n, m, seed = design
    y = np.random.default_rng(seed).normal(size=(len(x), n, m))
    weight = (np.array(x) - np.mean(x)) / ((np.array(x) - np.mean(x)) ** 2).sum()
    slopes = weight @ y.mean(axis=1)
    parts = [w**2 * y[level].mean(axis=1).var(ddof=1) / n for level, w in enumerate(weight)]
    variance = sum(parts) + slopes.var(ddof=1) / m
    result = slope_of(y, x)
    assert result.mean == pytest.approx(np.mean([np.polyfit(x, y[:, :, j].mean(axis=1), 1)[0] for j in range(m)]))
    assert result.se == pytest.approx(math.sqrt(variance))
    assert sorted(result.variances) == pytest.approx(sorted([*parts, slopes.var(ddof=1) / m]))
    assert sorted(result.degrees) == sorted([*[n - 1.0] * len(x), m - 1.0])
    assert (result.n_a, result.n_b, result.n_pairs, result.note) == (len(x) * n, m, y.size, "")


@settings(deadline=None)
@given(DESIGNS, st.floats(-50, 50), st.floats(0.1, 10))
def test_a_slope_is_scaled_with_its_values_and_levels(design, shift, unit):
    x, n, m, seed = design
    y = np.random.default_rng(seed).normal(size=(len(x), n, m))
    original = slope_of(y, x)
    scaled = slope_of(y * unit + shift, [3.0 * level + 1 for level in x])
    assert (scaled.mean, scaled.se) == pytest.approx((original.mean * unit / 3, original.se * unit / 3), abs=1e-9)
    assert scaled.df == pytest.approx(original.df)


def test_the_order_of_rows_and_names_do_not_change_the_slope():
    rng = np.random.default_rng(0)
    rows = [(f"a{i}", f"b{j}", float(i % 3), float(rng.normal())) for i in range(9) for j in range(4) for _ in range(2)]
    result = trend_interval(*zip(*rows, strict=True))
    renamed = [(a[::-1], b[::-1], x, y) for a, b, x, y in rows]
    for equivalent_rows in (rows[::-1], renamed, [*rows, *rows]):
        assert trend_interval(*zip(*equivalent_rows, strict=True))[:5] == pytest.approx(result[:5])
    assert trend_interval(*zip(*rows[::-1], strict=True)) == result


def test_values_off_a_line_do_not_add_to_the_variance_of_the_slope():
    """The values are far from a line, but all models of a level are equal, so the slope has no variance."""
    y = np.array([0.0, 9.0, 1.0])[:, None, None] * np.ones((3, 2, 3))
    result = slope_of(y, [0.0, 1.0, 2.0])
    assert (result.mean, result.se) == (pytest.approx(0.5), pytest.approx(0, abs=1e-12))


def test_a_level_counts_once_whatever_its_number_of_models():
    a = ["p", "q", "r", "s", "t", "u"] * 2
    b = ["x"] * 6 + ["y"] * 6
    x = [0.0, 0.0, 1.0, 1.0, 1.0, 1.0] * 2
    result = trend_interval(a, b, x, [1.0, 3.0, 5.0, 5.0, 5.0, 5.0] * 2)
    assert result.mean == pytest.approx(3.0)


def test_snapshots_of_one_training_run_count_as_one_model():
    """Six runs are As at three ages and Bs at the first; a run is left out with all its snapshots."""
    rng = np.random.default_rng(0)
    growth = rng.normal(1, 0.3, size=6)
    cells = [(i, j, x) for i in range(6) for j in range(6) for x in (0.0, 1.0, 2.0) if i != j]
    y = [growth[i] * x for i, _, x in cells]
    result = trend_interval([f"r{i}" for i, *_ in cells], [f"r{j}" for _, j, _ in cells], [x for *_, x in cells], y)
    assert result.mean == pytest.approx(growth.mean())
    assert result.df == pytest.approx(5)
    assert result.se == pytest.approx(growth.std(ddof=1) / math.sqrt(6), rel=0.15)


def test_a_b_without_a_value_at_a_level_is_left_out():
    y = np.random.default_rng(0).normal(size=(2, 2, 3))
    expected = slope_of(y, [0.0, 1.0])
    cells = list(np.ndindex(y.shape))
    columns = (
        [f"a{level} {i}" for level, i, _ in cells],
        [f"b{j}" for *_, j in cells],
        [float(level) for level, *_ in cells],
    )
    values = [float(y[c]) for c in cells]
    a, b, x = ([*column, *extra] for column, extra in zip(columns, (["a0 0"], ["b9"], [0.0]), strict=True))
    assert trend_interval(a, b, x, [*values, 99.0]) == expected


def test_a_note_says_why_there_is_no_interval():
    y = np.random.default_rng(0).normal(size=(2, 2, 3))
    assert slope_of(y[:1], [0.0]).note == interval.ONE_LEVEL
    assert slope_of(y[:, :1], [0.0, 1.0]).note == interval.TOO_FEW  # one A at each level
    assert slope_of(y[:, :, :1], [0.0, 1.0]).note == interval.ONE_MODEL
    assert trend_interval([], [], [], []).note == interval.ONE_LEVEL
    result = slope_of(y[:, :1], [0.0, 1.0])
    assert result.mean == pytest.approx((y[1, 0] - y[0, 0]).mean())
    assert result.lo is None


def test_the_variance_of_a_slope_due_to_images_agrees_with_a_calculation_by_hand():
    """At the two levels, outcomes differ from image to image; the slope on each image gives the variance."""
    rng = np.random.default_rng(0)
    right = rng.random((2, 2, 3, 300)) < np.array([0.6, 0.8])[:, None, None, None]
    top = rng.random((3, 300)) < 0.5
    cells = list(np.ndindex(2, 2, 3))
    result = trend_interval(
        [f"a{level} {i}" for level, i, _ in cells], [f"b{j}" for *_, j in cells], [float(level) for level, *_ in cells],
        [100 * (float(right[c].mean()) - float(top[c[2]].mean())) for c in cells],
        [np.packbits(right[c]).tobytes() for c in cells], [np.packbits(top[c[2]]).tobytes() for c in cells],
    )  # fmt: skip
    d = 100 * (right[1].mean(axis=(0, 1)) - right[0].mean(axis=(0, 1)))  # B cancels
    assert result.images == 300
    assert result.mean == pytest.approx(d.mean())
    assert result.se_images == pytest.approx(d.std(ddof=1) / math.sqrt(300))
