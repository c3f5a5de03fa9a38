"""The number of training runs after which an interval is expected to be short enough for a verdict.

The parts of the variance over models shrink with the number of runs n_s of their side, the part over test images does
not. With k more runs on each side

    variance_s(k) = variance_s n_s / (n_s + k),    n_s + k - 1 degrees of freedom,

and the half-width is that of `bounds.py`. The mean is taken to stay where it is. The measured error of the prediction
is in docs/science.md.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MOST = 200  # more runs on each side than this are not searched for


class Parts(NamedTuple):
    """The parts of the variance of an estimate; the last is due to the test images if `has_images`."""

    variances: Sequence[float]
    degrees: Sequence[float]
    has_images: bool


def expected_half_width(parts: Parts, more: int | Sequence[int], level: float) -> float:
    """Return the half-width that is expected with `more` training runs on each side.

    Args:
        parts: The parts of the variance as they are.
        more: The number of additional runs on each side, or that of each part of the variance over models.
        level: The confidence level.
    """
    from sweeper.store.statistics.bounds import half_width  # deferred: importing scipy takes 0.25 s

    variances, degrees = np.array(parts.variances, float), np.array(parts.degrees, float)
    more_runs = np.zeros(len(variances))
    more_runs[: len(variances) - parts.has_images] = more
    runs = degrees + 1
    variances, degrees = variances * runs / (runs + more_runs), degrees + more_runs
    return float(half_width(variances[:, None], degrees[:, None], level)[0])


def runs_needed(parts: Parts, target: float, level: float) -> int | None:
    """Return the fewest additional runs on each side with which the half-width is expected to be below `target`.

    Returns:
        The number of runs, 0 if the half-width is below the target as it is; None if `MOST` are not enough.
    """
    low, high = 0, 1
    if expected_half_width(parts, MOST, level) >= target:
        return None
    while expected_half_width(parts, high, level) >= target:
        low, high = high, min(2 * high, MOST)
    while low < high:
        middle = (low + high) // 2
        if expected_half_width(parts, middle, level) < target:
            high = middle
        else:
            low = middle + 1
    return high
