"""Intervals over models: by hand, against the two-way table, and by how often they cover the truth."""

import math
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import stdtrit

from sweeper.store.statistics import interval
from sweeper.store.statistics.interval import Interval, holm, model_interval, p_margin, p_zero


def crossed(y: np.ndarray) -> Interval:
    """y: shape (n, m), A's models by B's."""
    cells = list(np.ndindex(y.shape))
    return model_interval([f"a{i}" for i, _ in cells], [f"b{j}" for _, j in cells], [float(y[c]) for c in cells])


def dyadic(y: np.ndarray) -> Interval:
    """y: shape (n, n), of which the diagonal is left out."""
    cells = list(permutations(range(len(y)), 2))
    return model_interval([f"m{i}" for i, _ in cells], [f"m{j}" for _, j in cells], [float(y[c]) for c in cells])


def test_a_crossed_design_by_hand():
    found = crossed(np.array([[1.0, 2.0], [3.0, 6.0]]))
    # Row means 1.5 and 4.5, column means 2 and 4: variances 4.5 / 2 and 2 / 2.
    variance, df = 2.25 + 1.0, (2.25 + 1.0) ** 2 / (2.25**2 + 1.0**2)
    assert found.mean == 3.0
    assert (found.n_a, found.n_b, found.n_pairs) == (2, 2, 4)
    assert found.se == pytest.approx(math.sqrt(variance))
    assert found.df == pytest.approx(df)
    assert found.hi == pytest.approx(3.0 + stdtrit(df, 0.975) * math.sqrt(variance))
    assert found.lo == pytest.approx(6.0 - found.hi)
    assert found.p_zero == pytest.approx(2 * stats.t.sf(3.0 / math.sqrt(variance), df))
    assert found.note == ""


def test_a_dyadic_design_by_hand():
    found = dyadic(np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 4.0], [5.0, 9.0, 0.0]]))
    # Without each model two pairs are left: means 6.5, 3.5, 2; their mean is 4.
    assert found.mean == 4.0
    assert found.se == pytest.approx(math.sqrt(2 / 3 * (2.5**2 + 0.5**2 + 2.0**2)))
    assert found.df == pytest.approx(2.0)
    assert (found.n_a, found.n_b, found.n_pairs) == (3, 3, 6)


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_balanced_crossed_designs_are_the_two_way_tables(n: int, m: int, seed: int):
    y = np.random.default_rng(seed).normal(size=(n, m))
    ms_a = m * y.mean(axis=1).var(ddof=1)
    ms_b = n * y.mean(axis=0).var(ddof=1)
    df = (ms_a + ms_b) ** 2 / (ms_a**2 / (n - 1) + ms_b**2 / (m - 1))
    found = crossed(y)
    assert found.mean == pytest.approx(y.mean())
    assert found.se == pytest.approx(math.sqrt((ms_a + ms_b) / (n * m)))
    assert found.df == pytest.approx(df)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"), st.floats(-9, 9)), max_size=40))
@example([("a", "a", 5.88e-162), ("b", "b", 0.0)])
def test_neither_the_order_of_rows_nor_names_move_a_digit(rows: list[tuple[str, str, float]]):
    a, b, y = zip(*rows, strict=True) if rows else ((), (), ())
    found = model_interval(a, b, y)
    shuffled = (
        list(zip(*np.random.default_rng(0).permutation(np.array(rows, object)).tolist(), strict=True)) or [()] * 3
    )
    assert model_interval(*shuffled) == found
    assert (found.lo is None) == (found.note != "")


@given(st.integers(3, 6), st.integers(0, 2**32 - 1), st.floats(-50, 50), st.floats(0.1, 10))
def test_shifts_and_units_carry_over(n: int, seed: int, shift: float, unit: float):
    y = np.random.default_rng(seed).normal(size=(n, n))
    for design in (crossed, dyadic):
        plain, moved = design(y), design(y * unit + shift)
        assert moved.mean == pytest.approx(plain.mean * unit + shift)
        assert moved.se == pytest.approx(plain.se * unit)
        assert moved.df == pytest.approx(plain.df)


def test_swapping_the_sides_changes_nothing():
    y = np.random.default_rng(0).normal(size=(3, 5))
    one, other = crossed(y), crossed(y.T)
    assert one[:5] == pytest.approx(other[:5])


def test_repeated_stitches_of_a_pair_are_no_further_observations():
    y = np.random.default_rng(0).normal(size=(3, 4))
    once = crossed(y)
    cells = [(i, j, repeat) for i, j in np.ndindex(y.shape) for repeat in (-1.0, 0.0, 1.0)]
    thrice = model_interval(
        [f"a{i}" for i, *_ in cells], [f"b{j}" for _, j, _ in cells], [float(y[i, j]) + r for i, j, r in cells]
    )
    assert thrice.n_pairs == once.n_pairs == 12
    assert thrice[:5] == pytest.approx(once[:5])


def test_one_model_on_a_side_leaves_it_undecided():
    found = model_interval(["a1", "a2", "a3"], ["b1"] * 3, [1.0, 2.0, 6.0])
    assert found == Interval(3.0, None, None, None, None, 3, 1, 3, None, interval.ONE_MODEL)


def test_two_models_of_one_family_are_too_few():
    found = model_interval(["m1", "m2"], ["m2", "m1"], [1.0, 2.0])
    assert (found.mean, found.lo, found.note) == (1.5, None, interval.TOO_FEW)


def test_nothing_at_all():
    assert model_interval([], [], []) == Interval(None, None, None, None, None, 0, 0, 0, None, interval.ONE_MODEL)
    assert model_interval(["a"], ["b"], [None]).n_pairs == 0


def test_missing_values_are_left_out_and_infinite_ones_are_named():
    y: list[float | None] = [1.0, 2.0, 3.0, 6.0, None]
    a, b = ["a1", "a1", "a2", "a2", "a9"], ["b1", "b2", "b1", "b2", "b9"]
    assert model_interval(a, b, y) == model_interval(a[:4], b[:4], y[:4])
    assert model_interval(a[:2], b[:2], [math.nan, 1.0]).note == interval.NOT_FINITE


def test_no_spread_at_all():
    found = crossed(np.full((3, 3), 2.0))
    assert (found.lo, found.hi, found.se, found.p_zero) == (2.0, 2.0, 0.0, 0.0)
    assert crossed(np.zeros((3, 3))).p_zero == 1.0
    assert p_margin(2.0, 0.0, 2.0, 1.0) == 1.0
    assert p_margin(0.5, 0.0, 2.0, 1.0) == 0.0


def test_a_spread_whose_square_is_nothing():
    y = np.array([[0.0, 1.0], [2.0, 0.0]])
    assert crossed(1e-160 * y).se == pytest.approx(1e-160 * crossed(y).se, rel=0.01)


def test_tests_agree_with_intervals():
    y = np.random.default_rng(3).normal(0.3, 1, size=(4, 4))
    found = crossed(y)
    assert found.lo is not None
    assert found.hi is not None
    assert found.se is not None
    assert found.df is not None
    assert found.mean is not None
    edge = max(abs(found.lo), abs(found.hi))  # the 95 % interval just lies within this margin
    assert p_margin(found.mean, found.se, found.df, edge) == pytest.approx(0.025)
    assert (p_zero(found.mean, found.se, found.df) < 0.05) == (found.lo > 0 or found.hi < 0)
    assert p_zero(found.lo - found.mean, found.se, found.df) == pytest.approx(0.05)


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12))
def test_holm_lies_between_p_and_bonferroni_and_keeps_the_order(p: list[float | None]):
    tests = [value for value in p if value is not None]
    for value, adjusted in zip(p, holm(p), strict=True):
        assert (value is None) == (adjusted is None)
        if value is not None:
            assert value <= adjusted <= min(1.0, len(tests) * value)
    ranked = sorted((value, adjusted) for value, adjusted in zip(p, holm(p), strict=True) if value is not None)
    assert [adjusted for _, adjusted in ranked] == sorted(adjusted for _, adjusted in ranked)


def _crossed_draw(rng: np.random.Generator, n: int, m: int, a: float, b: float, noise: float) -> np.ndarray:
    return a * rng.normal(size=(n, 1)) + b * rng.normal(size=(1, m)) + noise * rng.normal(size=(n, m))


def _dyadic_draw(rng: np.random.Generator, n: int, correlation: float, noise: float) -> np.ndarray:
    """A model's effects as A and as B are correlated."""
    as_a = rng.normal(size=n)
    as_b = correlation * as_a + math.sqrt(1 - correlation**2) * rng.normal(size=n)
    return as_a[:, None] + as_b[None, :] + noise * rng.normal(size=(n, n))


def _coverage(intervals: list[Interval]) -> float:
    return float(np.mean([i.lo is not None and i.hi is not None and i.lo <= 0 <= i.hi for i in intervals]))


def _independent(y: np.ndarray) -> Interval:
    """What an interval that takes every stitch for an observation would say."""
    half = stdtrit(y.size - 1, 0.975) * y.std(ddof=1) / math.sqrt(y.size)
    return Interval(y.mean(), y.mean() - half, y.mean() + half, None, None, 0, 0, 0, None, "")


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("effects", [(1.0, 1.0), (1.0, 0.3), (0.3, 1.0), (0.0, 1.0)], ids=str)
def test_crossed_intervals_cover(n: int, effects: tuple[float, float]):
    rng = np.random.default_rng(n)
    draws = [_crossed_draw(rng, n, n, *effects, noise=0.5) for _ in range(2000)]
    assert 0.93 <= _coverage([crossed(y) for y in draws]) <= 0.995
    assert _coverage([_independent(y) for y in draws]) < 0.91


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "least"), [((2, 10), 0.88), ((3, 6), 0.93), ((3, 10), 0.92)], ids=str)
def test_crossed_intervals_of_unequal_families_cover(shape: tuple[int, int], least: float):
    """Two models against ten fall short of 95 %: their degrees of freedom are a guess."""
    rng = np.random.default_rng(0)
    draws = [_crossed_draw(rng, *shape, 1.0, 1.0, noise=0.5) for _ in range(2000)]
    assert least <= _coverage([crossed(y) for y in draws]) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.9])
def test_dyadic_intervals_cover(n: int, correlation: float):
    rng = np.random.default_rng(n)
    draws = [_dyadic_draw(rng, n, correlation, noise=0.5) for _ in range(2000)]
    assert 0.93 <= _coverage([dyadic(y) for y in draws]) <= 0.99
    if correlation >= 0:
        pairs = ~np.eye(n, dtype=bool)
        assert _coverage([_independent(y[pairs]) for y in draws]) < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("strong", [2, 3, 5])
def test_intervals_of_families_that_overlap_cover(strong: int):
    """A of two families, B of one of them; the families differ, which is not spread among their models."""
    rng, weak = np.random.default_rng(strong), 4
    n = strong + weak
    cells = [(i, j) for i, j in product(range(n), range(strong, n)) if i != j]
    share = sum(i < strong for i, _ in cells) / len(cells)

    def draw() -> Interval:
        y = _dyadic_draw(rng, n, 0.5, 0.5)
        y[:strong] += 10.0
        names = [f"m{i}" for i in range(n)]
        return model_interval(
            [names[i] for i, _ in cells], [names[j] for _, j in cells], [float(y[c]) - 10.0 * share for c in cells]
        )

    assert 0.92 <= _coverage([draw() for _ in range(2000)]) <= 0.99
