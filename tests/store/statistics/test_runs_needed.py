"""The number of runs that shortens an interval enough: its prediction against simulated experiments."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.store.statistics.bounds import half_width
from sweeper.store.statistics.runs_needed import MOST, Parts, expected_half_width, runs_needed


def variances(random: np.random.Generator, sd_a: float, sd_b: float, runs: int, draws: int) -> np.ndarray:
    """Draw the estimated parts of the variance of a mean over runs x runs pairs, shape (2, draws)."""
    return np.stack([sd**2 / runs * random.chisquare(runs - 1, draws) / (runs - 1) for sd in (sd_a, sd_b)])


def test_the_expected_half_width_is_right_on_average():
    """In at least 90 % of designs the mean prediction is within 15 % of the mean half-width with more runs."""
    random, errors = np.random.default_rng(0), []
    for runs, more, (sd_a, sd_b), level in product(
        (5, 8, 12), (3, 8, 20), ((1.0, 1.0), (3.0, 1.0), (1.0, 0.2)), (0.95, 0.99)
    ):
        before = variances(random, sd_a, sd_b, runs, 400)
        degrees = np.full(2, runs - 1.0)
        predicted = [expected_half_width(Parts(v, degrees, False), more, level) for v in before.T.tolist()]
        after = variances(random, sd_a, sd_b, runs + more, 4000)
        measured = half_width(after, np.full(2, runs + more - 1.0), level)
        errors.append(np.mean(predicted) / np.mean(measured) - 1)
    assert np.mean(np.abs(errors) < 0.15) >= 0.9


def test_a_prediction_from_many_runs_is_within_15_percent():
    random = np.random.default_rng(1)
    before = variances(random, 1.0, 1.0, 60, 400)
    predicted = [expected_half_width(Parts(v, [59.0, 59.0], False), 30, 0.95) for v in before.T.tolist()]
    after = half_width(variances(random, 1.0, 1.0, 90, 400), np.full(2, 89.0), 0.95)
    assert np.mean(np.abs(np.array(predicted) / after - 1) < 0.15) >= 0.9


def test_test_images_are_a_limit_that_more_runs_dont_pass():
    parts = Parts([1.0, 1.0, 4.0], [4.0, 4.0, 449.0], True)
    assert expected_half_width(parts, 10_000, 0.95) == pytest.approx(1.96 * 2, rel=0.01)
    assert runs_needed(parts, 3.5, 0.95) is None
    assert runs_needed(parts._replace(variances=[1.0, 1.0, 0.0]), 3.5, 0.95) is not None


@given(
    st.lists(st.floats(0.01, 10), min_size=2, max_size=2),
    st.lists(st.integers(1, 10), min_size=2, max_size=2),
    st.floats(0.3, 5),
    st.sampled_from([0.95, 0.99]),
)
def test_the_number_is_the_fewest_that_is_enough(parts, degrees, target, level):
    parts = Parts(parts, [float(d) for d in degrees], False)
    more = runs_needed(parts, target, level)
    if more is None:
        assert expected_half_width(parts, MOST, level) >= target
    else:
        assert expected_half_width(parts, more, level) < target
        assert more == 0 or expected_half_width(parts, more - 1, level) >= target
