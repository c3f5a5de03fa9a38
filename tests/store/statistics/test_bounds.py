"""Bounds from the parts of a variance: their error by numerical integration, their limits and their inverse."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from sweeper.store.statistics.bounds import (
    SMALLEST_P,
    effective_degrees,
    error_of_two_parts,
    half_width,
    p_two_sided,
)

SHARES = np.array([0, 1e-4, 0.01, 0.06, 0.2, 0.5, 0.8, 0.94, 0.99, 1 - 1e-4, 1])
SMALL_DESIGNS = [(2, 2), (3, 3), (5, 5), (10, 10), (2, 5), (2, 10), (3, 10), (5, 10)]
PARTS = st.lists(st.tuples(st.floats(1e-6, 1e6), st.sampled_from([1, 2, 4, 9, 449])), min_size=1, max_size=4)


def arrays(parts) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances and the degrees of freedom of (variance, degrees) pairs."""
    variances, degrees = np.array(parts, float).T
    return variances, degrees


@pytest.mark.parametrize("seeds", SMALL_DESIGNS, ids=str)
@pytest.mark.parametrize("level", [0.95, 0.99, 0.999])
def test_the_error_is_never_above_its_nominal_value(seeds: tuple[int, int], level: float):
    """At every share of the two variances, and at the levels that corrections for several verdicts need."""
    for n, m in (seeds, seeds[::-1]):
        error = error_of_two_parts((n - 1, m - 1), SHARES, level, nodes=400)
        assert error.max() <= (1 - level) * 1.001
        assert error[[0, -1]] == pytest.approx(1 - level, rel=1e-3)  # one part alone: Student's interval


@pytest.mark.slow
def test_the_error_is_never_above_its_nominal_value_for_any_number_of_models():
    sizes = [2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50]
    shares = np.r_[SHARES, np.linspace(0.02, 0.98, 49)]
    for n, m in itertools.combinations_with_replacement(sizes, 2):
        for error in (0.2, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001, 1e-4, 1e-5):
            assert error_of_two_parts((n - 1, m - 1), shares, 1 - error).max() <= 1.0001 * error


@pytest.mark.slow
def test_the_error_of_more_than_two_parts_is_not_above_its_nominal_value():
    """Draw the parts; the error given their values is a tail of the normal distribution."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        degrees = rng.choice([1, 2, 3, 4, 9, 19], size=rng.integers(3, 7)).astype(float)
        shares = rng.dirichlet(np.full(len(degrees), rng.choice([0.2, 1.0, 5.0])))
        drawn = rng.chisquare(degrees[:, None], (len(degrees), 50_000)) / degrees[:, None] * shares[:, None]
        for level in (0.95, 0.99):
            errors = 2 * ndtr(-half_width(drawn, degrees, level))
            assert errors.mean() <= 1 - level + 4 * errors.std() / math.sqrt(errors.size)


@given(st.floats(1e-6, 1e6), st.sampled_from([1, 2, 4, 9]), st.sampled_from([0.9, 0.95, 0.9999]))
def test_one_part_gives_students_interval(variance: float, df: int, level: float):
    expected = stdtrit(df, (1 + level) / 2) * math.sqrt(variance)
    assert half_width(np.array([variance]), np.array([df]), level) == pytest.approx(expected)


def test_many_degrees_of_freedom_give_the_normal_interval():
    result = half_width(np.array([0.3, 0.7]), np.array([1e9, 1e9]), 0.95)
    assert result == pytest.approx(float(ndtri(0.975)), rel=1e-6)


@given(PARTS, st.integers(0, 3), st.floats(1, 10))
def test_an_interval_never_becomes_narrower_if_a_part_grows(parts, number: int, factor: float):
    variances, degrees = arrays(parts)
    larger = variances.copy()
    larger[number % len(parts)] *= factor
    for level in (0.95, 0.999):
        assert half_width(larger, degrees, level) >= half_width(variances, degrees, level) * (1 - 1e-12)


@settings(deadline=None)
@given(PARTS, st.floats(1e-6, 0.999))
def test_p_is_that_of_the_interval_that_just_reaches_the_value(parts, p: float):
    variances, degrees = (column[:, None] for column in arrays(parts))
    assert p_two_sided(half_width(variances, degrees, 1 - p), variances, degrees) == pytest.approx([p], rel=1e-6)


def test_p_of_extreme_distances():
    distances = np.array([0.0, 1e300, 1.0, 0.0, 3.0])
    variances = np.array([[1.0, 1.0, 0.0, 0.0, 1.0], [2.0, 2.0, 0.0, 0.0, 0.0]])
    degrees = np.repeat([[4.0], [449.0]], 5, axis=1)
    expected = [1, SMALLEST_P, 0, 1, 2 * stdtr(4, -3.0)]
    assert p_two_sided(distances, variances, degrees) == pytest.approx(expected, rel=1e-6, abs=0)


@settings(deadline=None)
@given(PARTS, st.sampled_from([0.95, 0.99]))
def test_students_t_with_the_effective_degrees_of_freedom_gives_the_interval(parts, level: float):
    variances, degrees = arrays(parts)
    (df,) = effective_degrees(variances[:, None], degrees[:, None], level)
    expected = stdtrit(df, (1 + level) / 2) * math.sqrt(variances.sum())
    assert half_width(variances, degrees, level) == pytest.approx(expected, rel=1e-6)
    assert df >= degrees.min() * (1 - 1e-6)
