"""Intervals over models, compared with calculations by hand and two-way tables, and their coverage of the truth."""

import math
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.special import stdtrit

from sweeper.store.statistics import interval
from sweeper.store.statistics.interval import Interval, holm, model_interval, p_margin, p_zero


def crossed(y: np.ndarray) -> Interval:
    """Return the interval for gains of shape (n, m): n As by m Bs of another family."""
    cells = list(np.ndindex(y.shape))
    return model_interval([f"a{i}" for i, _ in cells], [f"b{j}" for _, j in cells], [float(y[c]) for c in cells])


def dyadic(y: np.ndarray) -> Interval:
    """Return the interval for gains of shape (n, n) within one family; the diagonal is left out."""
    cells = list(permutations(range(len(y)), 2))
    return model_interval([f"m{i}" for i, _ in cells], [f"m{j}" for _, j in cells], [float(y[c]) for c in cells])


def test_the_interval_of_a_crossed_design_agrees_with_a_calculation_by_hand():
    result = crossed(np.array([[1.0, 2.0], [3.0, 6.0]]))
    # Row means 1.5 and 4.5, column means 2 and 4: variances 4.5 / 2 and 2 / 2.
    variance = 2.25 + 1.0
    normal, student = stdtrit(np.inf, 0.975), stdtrit(1, 0.975)
    half_width = math.sqrt(normal**2 * variance + (student**2 - normal**2) * 2.25)
    assert result.mean == 3.0
    assert (result.n_a, result.n_b, result.n_pairs) == (2, 2, 4)
    assert result.se == pytest.approx(math.sqrt(variance))
    assert (result.variances, result.degrees) == (pytest.approx((1.0, 2.25)), (1.0, 1.0))  # of B, of A
    assert result.hi == pytest.approx(3.0 + half_width)
    assert result.lo == pytest.approx(6.0 - result.hi)
    assert stdtrit(result.df, 0.975) * math.sqrt(variance) == pytest.approx(half_width)
    assert result.note == ""


def test_the_interval_of_a_dyadic_design_agrees_with_a_calculation_by_hand():
    result = dyadic(np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 4.0], [5.0, 9.0, 0.0]]))
    # Without one model two pairs are left, with the means 6.5, 3.5 and 2; the mean of these is 4.
    assert result.mean == 4.0
    assert result.se == pytest.approx(math.sqrt(2 / 3 * (2.5**2 + 0.5**2 + 2.0**2)))
    assert result.df == pytest.approx(2.0)
    assert (result.n_a, result.n_b, result.n_pairs) == (3, 3, 6)


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_intervals_of_balanced_crossed_designs_agree_with_the_two_way_table(n: int, m: int, seed: int):
    y = np.random.default_rng(seed).normal(size=(n, m))
    ms_a = m * y.mean(axis=1).var(ddof=1)
    ms_b = n * y.mean(axis=0).var(ddof=1)
    result = crossed(y)
    assert result.mean == pytest.approx(y.mean())
    assert result.se == pytest.approx(math.sqrt((ms_a + ms_b) / (n * m)))
    assert result.variances == pytest.approx((ms_b / (n * m), ms_a / (n * m)))
    assert result.degrees == (m - 1, n - 1)
    assert min(n, m) - 1 <= result.df * (1 + 1e-9)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"), st.floats(-9, 9)), max_size=40))
@example([("a", "a", 5.88e-162), ("b", "b", 0.0)])
def test_the_order_of_rows_does_not_change_any_digit(rows: list[tuple[str, str, float]]):
    a, b, y = zip(*rows, strict=True) if rows else ((), (), ())
    result = model_interval(a, b, y)
    shuffled = (
        list(zip(*np.random.default_rng(0).permutation(np.array(rows, object)).tolist(), strict=True)) or [()] * 3
    )
    assert model_interval(*shuffled) == result
    assert (result.lo is None) == (result.note != "")


@given(st.integers(3, 6), st.integers(0, 2**32 - 1), st.floats(-50, 50), st.floats(0.1, 10))
def test_an_interval_is_shifted_and_scaled_with_its_values(n: int, seed: int, shift: float, unit: float):
    y = np.random.default_rng(seed).normal(size=(n, n))
    for design in (crossed, dyadic):
        original, scaled = design(y), design(y * unit + shift)
        assert scaled.mean == pytest.approx(original.mean * unit + shift)
        assert scaled.se == pytest.approx(original.se * unit)
        assert scaled.df == pytest.approx(original.df)


def test_an_interval_is_the_same_with_a_and_b_exchanged():
    y = np.random.default_rng(0).normal(size=(3, 5))
    assert crossed(y)[:5] == pytest.approx(crossed(y.T)[:5])


def test_repeated_stitches_of_a_pair_count_as_one_observation():
    y = np.random.default_rng(0).normal(size=(3, 4))
    single = crossed(y)
    cells = [(i, j, repeat) for i, j in np.ndindex(y.shape) for repeat in (-1.0, 0.0, 1.0)]
    repeated = model_interval(
        [f"a{i}" for i, *_ in cells], [f"b{j}" for _, j, _ in cells], [float(y[i, j]) + r for i, j, r in cells]
    )
    assert repeated.n_pairs == single.n_pairs == 12
    assert repeated[:5] == pytest.approx(single[:5])


def test_with_one_model_on_a_side_there_is_a_mean_but_no_interval():
    result = model_interval(["a1", "a2", "a3"], ["b1"] * 3, [1.0, 2.0, 6.0])
    assert result == Interval(3.0, None, None, None, None, 3, 1, 3, None, interval.ONE_MODEL)


def test_with_two_models_of_one_family_there_is_a_mean_but_no_interval():
    result = model_interval(["m1", "m2"], ["m2", "m1"], [1.0, 2.0])
    assert (result.mean, result.lo, result.note) == (1.5, None, interval.TOO_FEW)


def test_without_values_there_is_no_mean():
    assert model_interval([], [], []) == Interval(None, None, None, None, None, 0, 0, 0, None, interval.ONE_MODEL)
    assert model_interval(["a"], ["b"], [None]).n_pairs == 0


def test_missing_values_are_left_out_and_values_that_are_not_finite_are_noted():
    y: list[float | None] = [1.0, 2.0, 3.0, 6.0, None]
    a, b = ["a1", "a1", "a2", "a2", "a9"], ["b1", "b2", "b1", "b2", "b9"]
    assert model_interval(a, b, y) == model_interval(a[:4], b[:4], y[:4])
    assert model_interval(a[:2], b[:2], [math.nan, 1.0]).note == interval.NOT_FINITE


def test_equal_values_have_an_interval_of_width_0():
    result = crossed(np.full((3, 3), 2.0))
    assert (result.lo, result.hi, result.se, result.p_zero) == (2.0, 2.0, 0.0, 0.0)
    assert crossed(np.zeros((3, 3))).p_zero == 1.0
    assert p_margin(2.0, [0.0], [2.0], 1.0) == 1.0
    assert p_margin(0.5, [0.0], [2.0], 1.0) == 0.0


def test_values_whose_squares_underflow_have_a_standard_error():
    y = np.array([[0.0, 1.0], [2.0, 0.0]])
    assert crossed(1e-160 * y).se == pytest.approx(1e-160 * crossed(y).se, rel=0.01)


def test_p_values_agree_with_the_interval():
    y = np.random.default_rng(3).normal(0.3, 1, size=(4, 4))
    result = crossed(y)
    assert result.lo is not None
    assert result.hi is not None
    assert result.mean is not None
    parts = result.variances, result.degrees
    smallest_margin = max(abs(result.lo), abs(result.hi))  # the smallest one that contains the 95 % interval
    assert p_margin(result.mean, *parts, smallest_margin) == pytest.approx(0.025)
    assert result.p_zero == p_zero(result.mean, *parts)
    assert (result.p_zero < 0.05) == (result.lo > 0 or result.hi < 0)
    assert p_zero(result.lo - result.mean, *parts) == pytest.approx(0.05)


def test_the_bounds_of_one_of_several_intervals_are_those_of_a_higher_level():
    y = np.random.default_rng(3).normal(0.3, 1, size=(4, 4))
    result, cells = crossed(y), list(np.ndindex(y.shape))
    columns = [f"a{i}" for i, _ in cells], [f"b{j}" for _, j in cells], [float(y[c]) for c in cells]
    for count in (1, 3, 20):
        expected = model_interval(*columns, level=1 - 0.05 / count)
        low, high = interval.simultaneous_bounds(
            np.array([result.mean]), [(result.variances, result.degrees)], np.array([1 - 0.05 / count])
        )
        assert (low[0], high[0]) == pytest.approx((expected.lo, expected.hi))


def test_models_that_share_a_seed_on_two_sides_count_as_one():
    """The effects of a seed as A and as B are the same, so the variance of their mean is twice the sum of the two."""
    effect = np.array([-1.0, 0.0, 0.5, 0.5])
    cells = list(product(range(4), range(4)))
    values = [float(effect[i] + effect[j]) for i, j in cells]
    shared = model_interval([f"seed {i}" for i, _ in cells], [f"seed {j}" for _, j in cells], values)
    separate = model_interval([f"seed {i}" for i, _ in cells], [f"seed {j + 9}" for _, j in cells], values)
    assert shared.se == pytest.approx(math.sqrt(4 * effect.var(ddof=1) / 4))
    assert separate.se == pytest.approx(shared.se / math.sqrt(2))
    assert shared.degrees == (3,)


def test_if_all_models_form_one_role_the_side_with_fewer_models_counts():
    """Of seven models one is on both sides, so roles can't be told apart; B has three models."""
    cells = list(product(range(5), range(4, 7)))
    y = np.random.default_rng(0).normal(size=len(cells))
    columns = [f"m{i}" for i, j in cells if i != j], [f"m{j}" for i, j in cells if i != j]
    result = model_interval(*columns, [float(v) for v, (i, j) in zip(y, cells, strict=True) if i != j])
    assert result.degrees == (2,)


def test_holm_adjusted_p_values_agree_with_a_calculation_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12))
def test_holm_adjusted_p_values_lie_between_p_and_bonferroni_and_keep_the_order(p: list[float | None]):
    tests = [value for value in p if value is not None]
    for value, adjusted in zip(p, holm(p), strict=True):
        assert (value is None) == (adjusted is None)
        if value is not None:
            assert value <= adjusted <= min(1.0, len(tests) * value)
    ranked = sorted((value, adjusted) for value, adjusted in zip(p, holm(p), strict=True) if value is not None)
    assert [adjusted for _, adjusted in ranked] == sorted(adjusted for _, adjusted in ranked)


def _crossed_draw(rng: np.random.Generator, n: int, m: int, a: float, b: float, noise: float) -> np.ndarray:
    """Draw gains from effects of A and B with the standard deviations `a` and `b`, and noise."""
    return a * rng.normal(size=(n, 1)) + b * rng.normal(size=(1, m)) + noise * rng.normal(size=(n, m))


def _dyadic_draw(rng: np.random.Generator, n: int, correlation: float, noise: float) -> np.ndarray:
    """Draw gains within one family, in which the effects of a model as A and as B have a correlation."""
    as_a = rng.normal(size=n)
    as_b = correlation * as_a + math.sqrt(1 - correlation**2) * rng.normal(size=n)
    return as_a[:, None] + as_b[None, :] + noise * rng.normal(size=(n, n))


def _coverage(intervals: list[Interval]) -> float:
    """Return the share of intervals that contain the true mean, 0."""
    return float(np.mean([i.lo is not None and i.hi is not None and i.lo <= 0 <= i.hi for i in intervals]))


def _interval_over_stitches(y: np.ndarray) -> Interval:
    """Return the interval that treats every stitch as an independent observation."""
    half = stdtrit(y.size - 1, 0.975) * y.std(ddof=1) / math.sqrt(y.size)
    return Interval(y.mean(), y.mean() - half, y.mean() + half, None, None, 0, 0, 0, None, "")


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("effects", [(1.0, 1.0), (1.0, 0.3), (0.3, 1.0), (0.0, 1.0)], ids=str)
def test_intervals_of_crossed_designs_have_the_stated_coverage(n: int, effects: tuple[float, float]):
    rng = np.random.default_rng(n)
    draws = [_crossed_draw(rng, n, n, *effects, noise=0.5) for _ in range(2000)]
    assert _coverage([crossed(y) for y in draws]) >= 0.94
    assert _coverage([_interval_over_stitches(y) for y in draws]) < 0.91


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2, 5), (2, 10), (3, 6), (3, 10), (10, 3)], ids=str)
def test_intervals_of_crossed_designs_with_unequal_families_have_the_stated_coverage(shape: tuple[int, int]):
    rng = np.random.default_rng(0)
    draws = [_crossed_draw(rng, *shape, 2.0, 1.0, noise=0.0) for _ in range(2000)]
    assert 0.94 <= _coverage([crossed(y) for y in draws]) <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.9])
def test_intervals_of_dyadic_designs_have_the_stated_coverage(n: int, correlation: float):
    rng = np.random.default_rng(n)
    draws = [_dyadic_draw(rng, n, correlation, noise=0.5) for _ in range(2000)]
    assert 0.93 <= _coverage([dyadic(y) for y in draws]) <= 0.99
    if correlation >= 0:
        pairs = ~np.eye(n, dtype=bool)
        assert _coverage([_interval_over_stitches(y[pairs]) for y in draws]) < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("strong", [2, 3, 5])
def test_intervals_of_overlapping_families_have_the_stated_coverage(strong: int):
    """The As are of two families, the Bs of one of them; the difference of the families must not count as variance."""
    rng = np.random.default_rng(strong)
    n = strong + 4  # four weak models
    cells = [(i, j) for i, j in product(range(n), range(strong, n)) if i != j]
    fraction_strong = sum(i < strong for i, _ in cells) / len(cells)

    def draw() -> Interval:
        y = _dyadic_draw(rng, n, 0.5, 0.5)
        y[:strong] += 10.0
        names = [f"m{i}" for i in range(n)]
        return model_interval(
            [names[i] for i, _ in cells],
            [names[j] for _, j in cells],
            [float(y[c]) - 10.0 * fraction_strong for c in cells],
        )

    assert 0.92 <= _coverage([draw() for _ in range(2000)]) <= 0.99
