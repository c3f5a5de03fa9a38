"""The rule that decides whether a store agrees with the paper.

At a cut of a curve, ours is a mean m with a 95 % interval [lo, hi] over training runs (`store.statistics.interval`).
The paper's is one value v, read to +-u, interpolated linearly between the figure's markers.

    sign   same        [lo, hi] and [v - u, v + u] lie on one side of 0
           opposite    they lie on opposite sides
           undecided   [lo, hi] contains 0, or there is no interval (a single training run on a side)
           none        [v - u, v + u] contains 0: the paper's value has no certain sign
    size   agrees      [lo, hi] lies within [v - u - margin, v + u + margin]
           disagrees   it lies outside
           undecided   it overlaps the boundary, or there is no interval

`margin` allows for the spread over seeds of the paper's own run, which a figure of single runs does not show. Without
an interval there is no verdict. Verdicts are not corrected for their number; read the share of each verdict instead.

Two curves at one cut have an order in the paper if their readings don't overlap (|v1 - v2| > u1 + u2). With C such
pairs in the same order in the store (by the means) and D in the opposite order, Kendall's
tau = (C - D) / (C + D + ties here), taken over the pairs of all cuts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

from .curves import Reading

Sign = Literal["same", "opposite", "undecided", "none"]
Size = Literal["agrees", "disagrees", "undecided"]

SIGN_RULE = (
    "sign: same or opposite where the interval here and the paper's value with its reading error lie on one side of 0 "
    "or on opposite ones; undecided where the interval contains 0 or a side has one training run; none where the "
    "paper's value is 0 within its reading error."
)
SIZE_RULE = (
    "Size: agrees where the interval lies within margin and reading error of the paper's value, disagrees where it "
    "lies outside, undecided where it overlaps the boundary or is missing. The margin allows for other seeds of the "
    "paper's single run."
)
ORDER_RULE = (
    "Order: pairs of curves at one cut whose readings in the paper don't overlap; tau is (pairs in the same order "
    "minus pairs in the opposite order) / pairs. Verdicts are not corrected for the number of rows. The paper's "
    "curves are interpolated linearly between their markers."
)


@dataclass(frozen=True, slots=True)
class Ours:
    """A mean over training runs of the store, with its interval where there is one."""

    mean: float
    low: float | None
    high: float | None


def sign(ours: Ours, paper: Reading) -> Sign:
    """Compare the signs of the store's interval and of the paper's value."""
    paper_side = _side(paper.value - paper.uncertainty, paper.value + paper.uncertainty)
    if paper_side == 0:
        return "none"
    our_side = 0 if ours.low is None or ours.high is None else _side(ours.low, ours.high)
    return "undecided" if our_side == 0 else "same" if our_side == paper_side else "opposite"


def compare_size(ours: Ours, paper: Reading, margin: float) -> Size:
    """Compare the store's interval with the paper's value plus or minus its uncertainty and the margin."""
    if ours.low is None or ours.high is None:
        return "undecided"
    around = paper.uncertainty + margin
    if paper.value - around <= ours.low and ours.high <= paper.value + around:
        return "agrees"
    outside = ours.high < paper.value - around or ours.low > paper.value + around
    return "disagrees" if outside else "undecided"


class OrderCounts(NamedTuple):
    """Counts of pairs of curves at one cut that have an order in the paper, and of their orders in the store."""

    pairs: int
    same: int
    other: int

    @property
    def tau(self) -> float | None:
        """Kendall's tau, from -1 (every pair reversed) to 1; None where no pair has an order in the paper."""
        return (self.same - self.other) / self.pairs if self.pairs else None


def order(places: Iterable[Iterable[tuple[float, Reading]]]) -> OrderCounts:
    """Count the orders of pairs of curves.

    Args:
        places: For each cut, the (mean in the store, reading in the paper) of every curve.
    """
    turns = [
        (first - second) * (one.value - two.value)
        for curves in places
        for (first, one), (second, two) in combinations(curves, 2)
        if abs(one.value - two.value) > one.uncertainty + two.uncertainty
    ]
    return OrderCounts(len(turns), sum(turn > 0 for turn in turns), sum(turn < 0 for turn in turns))


def _side(low: float, high: float) -> int:
    """Return 1 for an interval above 0, -1 for one below 0, and 0 for one that contains 0."""
    return (low > 0) - (high < 0)
