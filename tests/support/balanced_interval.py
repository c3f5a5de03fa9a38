"""Intervals of the mean over all pairs of n bottoms and m tops, from the mean squares of the two-way table."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats


class Bounds(NamedTuple):
    """A mean and the ends of its interval."""

    mean: float
    low: float
    high: float


def balanced_interval(values: np.ndarray, count: int = 1) -> Bounds:
    """Return the interval of the mean of a table, one of a family of `count` intervals (Bonferroni).

    Args:
        values: The value of each pair, shape (bottoms, tops); no model is on both sides.
        count: The number of intervals that hold together in 95 %.
    """
    means = [values.mean(axis=1), values.mean(axis=0)]
    return _interval(float(values.mean()), means, count)


def interval_of_models(values: np.ndarray, count: int = 1) -> Bounds:
    """Return Student's interval of the mean over models, shape (models,), one of a family of `count` intervals."""
    return _interval(float(values.mean()), [values], count)


def _interval(mean: float, means_of_sides: list[np.ndarray], count: int) -> Bounds:
    """Return the interval from the means of the models of each side (docstring of `store/statistics/bounds.py`)."""
    tail = 0.05 / count / 2
    normal = stats.norm.ppf(tail) ** 2
    variances = [float(means.var(ddof=1)) / len(means) for means in means_of_sides]
    quantiles = [stats.t.ppf(tail, len(means) - 1) ** 2 for means in means_of_sides]
    excess = max(v * (q - normal) for v, q in zip(variances, quantiles, strict=True))
    half_width = math.sqrt(normal * sum(variances) + excess)
    return Bounds(mean, mean - half_width, mean + half_width)
