"""The share of the error of verdicts that each look at growing data may use.

Verdicts may be read again after runs were added, so that a family of intervals has several looks. All looks together
have at most the error of one family, whatever the dependence of the looks, if the k-th look has the share

    share_1 = 2/3,    share_k = 1 / (3 k (k - 1)) for k > 1,    which add up to 1.

The number of looks needn't be known in advance. Each of a family of `count` intervals has the level

    1 - 0.05 share_k / count.
"""

from sweeper.store.statistics.interval import ERROR

UNCORRECTED = 0  # in place of a look: the interval is read once


def share_of_look(look: int) -> float:
    """Return the share of the k-th look in the error of all looks, from 1 on; 1 for `UNCORRECTED`."""
    if look == UNCORRECTED:
        return 1.0
    return 2 / 3 if look == 1 else 1 / (3 * look * (look - 1))


def level_at(count: int, look: int) -> float:
    """Return the confidence level of each of a family of `count` intervals at a look."""
    return 1 - ERROR * share_of_look(look) / count


def level_at_next(level: float, look: int) -> float:
    """Return the confidence level at the next look of an interval whose level at a look is given.

    An uncorrected interval has the same level each time.
    """
    if look == UNCORRECTED:
        return level
    return 1 - (1 - level) * share_of_look(look + 1) / share_of_look(look)
