"""Bounds and tests of an estimate whose variance is a sum of independent parts, each with few degrees of freedom.

The parts are the variance over models A, over models B and over test images. With v_s the estimated variance of part s,
which has df_s degrees of freedom, v their sum, and z and t(df) the quantiles of the normal distribution and of
Student's t, the half-width of the interval is

    half_width^2 = z^2 v + max over parts s of v_s (t(df_s)^2 - z^2)

With one part it is Student's interval. With several it is narrower than Student's interval with the fewest degrees of
freedom, and unlike Satterthwaite's interval (1946) it isn't too narrow where a part with few degrees of freedom has
most of the variance. If t(df_s)^2 counted for every part, and not only for one, the interval would hold by proof
(Banerjee 1961). This one is narrower. By numerical integration it holds as well, for 2 to 50 models on each side, at
every ratio of the variances and every level down to an error of 0.00001 (`error_of_two_parts`, docs/coverage.md). It
never becomes narrower if the variance of a part grows.
"""

import math

import numpy as np
from scipy.special import betaincinv, ndtri, stdtr, stdtrit

SMALLEST_P = 1e-100  # a smaller p is returned as this one


def half_width(variances: np.ndarray, degrees: np.ndarray, level: float | np.ndarray) -> np.ndarray:
    """Return half the width of the interval (see the docstring of the module).

    Args:
        variances: The variance of each part, shape (parts, ...).
        degrees: The degrees of freedom of each part, shape (parts,), or (parts, ...) if estimates differ in them.
        level: The confidence level, such as 0.95, or that of each estimate, shape (...).

    Returns:
        The half-widths, of shape (...).
    """
    return np.sqrt(_squared(variances, degrees, (1 - level) / 2))


def p_two_sided(distance: np.ndarray, variances: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Return the p of the hypothesis that an estimate's expectation is `distance` away from it, for each estimate.

    It is the p for which the interval at the level 1 - p just reaches that far, found by bisection to 10 digits.

    Args:
        distance: The distance of each estimate from the value of the hypothesis, at least 0, shape (estimates,).
        variances: The variance of each part, shape (parts, estimates).
        degrees: The degrees of freedom of each part, shape (parts, estimates).
    """
    low, high = np.full(len(distance), math.log(SMALLEST_P)), np.zeros(len(distance))  # of log p
    while (high - low).max(initial=0) > 1e-10:
        middle = (low + high) / 2
        reaches = np.sqrt(_squared(variances, degrees, np.exp(middle) / 2)) > distance
        low, high = np.where(reaches, middle, low), np.where(reaches, high, middle)
    is_certain = (distance == 0) | ~(variances.sum(axis=0) > 0)
    return np.where(is_certain, distance == 0, np.exp(high))


def effective_degrees(variances: np.ndarray, degrees: np.ndarray, level: float) -> np.ndarray:
    """Return the degrees of freedom with which Student's t gives the half-width (infinity for the normal).

    Args:
        variances: The variance of each part, shape (parts, estimates).
        degrees: The degrees of freedom of each part, shape (parts, estimates).
        level: The confidence level.

    Returns:
        The degrees of freedom of each estimate, shape (estimates,).
    """
    tail, total = (1 - level) / 2, variances.sum(axis=0)
    shares = np.divide(variances, total, out=np.zeros_like(variances), where=total > 0)
    quantile = np.sqrt(_squared(shares, degrees, tail))
    low, high = np.zeros(len(total)), 1 / degrees.min(axis=0)  # of 1 / df
    while (high - low).max(initial=0) > 1e-12:
        middle = (low + high) / 2
        is_wider = -stdtrit(1 / middle, tail) > quantile
        low, high = np.where(is_wider, low, middle), np.where(is_wider, middle, high)
    return np.where(total > 0, 1 / high, degrees.min(axis=0))


def error_of_two_parts(degrees: tuple[int, int], shares: np.ndarray, level: float, nodes: int = 1000) -> np.ndarray:
    """Return the probability that the interval of an estimate with two parts misses the true value.

    The estimate is normal and its parts are independent; V_s df_s / (true variance s) has a chi-square distribution
    with df_s degrees of freedom. The ratio of the two chi-squares is independent of their sum. Given the ratio, the
    interval misses with the tail probability of a Student's t with the sum of the degrees of freedom, which is
    integrated over the ratio's beta distribution.

    Args:
        degrees: The degrees of freedom of the parts.
        shares: The share of the first part in the true variance, shape (n,).
        level: The confidence level.
        nodes: The number of points of the integral.

    Returns:
        The probabilities, shape (n,).
    """
    u = (np.arange(nodes) + 0.5) / nodes
    quantiles = u**3 * (10 - 15 * u + 6 * u**2)  # more points near the ends, where the integrand is steep
    weights = 30 * u**2 * (1 - u) ** 2 / nodes
    first, second = degrees
    ratio, rest = betaincinv(first / 2, second / 2, quantiles), betaincinv(second / 2, first / 2, quantiles[::-1])
    parts = np.stack([np.outer(shares, ratio) / first, np.outer(1 - shares, rest) / second])  # for a sum of 1
    quantile = half_width(parts, np.array(degrees), level) * math.sqrt(first + second)
    return 2 * stdtr(first + second, -quantile) @ weights


def _squared(variances: np.ndarray, degrees: np.ndarray, tail: float | np.ndarray) -> np.ndarray:
    """Return the squared half-width whose interval leaves out `tail` on each side."""
    degrees = degrees.reshape(*degrees.shape, *[1] * (variances.ndim - degrees.ndim))
    normal = ndtri(tail) ** 2
    excess = np.maximum(stdtrit(degrees, tail) ** 2 - normal, 0)
    return normal * variances.sum(axis=0) + (variances * excess).max(axis=0)
