"""The rule by which a store agrees with the paper or not.

At a cut of a curve, ours is a mean m with a 95 % interval [lo, hi] over training runs (`store.statistics.interval`).
The paper's is one value v, read to +-u, interpolated linearly between the figure's markers.

    sign   same        [lo, hi] and [v - u, v + u] lie on one side of 0
           opposite    they lie on opposite sides
           undecided   ours holds 0, or there is no interval (a single training run on a side)
           none        the paper's holds 0: it has no sign to agree with
    size   agrees      [lo, hi] lies within [v - u - margin, v + u + margin]
           disagrees   it lies outside
           undecided   it lies across an end, or there is no interval

`margin` stands for what another seed of the paper's own run might have given, which a figure of single runs doesn't
say. Both claim something only where the interval does: no interval, no verdict. Nothing is corrected for the number of
rows; what speaks is their share.

Of the curves together: two curves at one cut have an order in the paper if their readings don't overlap
(|v1 - v2| > u1 + u2). With C such pairs in the same order here (by the means) and D in the other, Kendall's
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
    "or on opposite ones; undecided where the interval holds 0 or a side has one training run; none where the paper's "
    "value is 0 within its reading error."
)
SIZE_RULE = (
    "Size: agrees where the interval lies within margin and reading error of the paper's value, disagrees where it "
    "lies outside, undecided where it lies across or isn't there. The margin stands for other seeds of the paper's "
    "single run."
)
ORDER_RULE = (
    "Order: pairs of curves at one cut whose readings in the paper are apart; tau is (pairs in the same order minus "
    "pairs in the other) / pairs. Each row is for itself alone: nothing is corrected for their number. The paper's "
    "curves are interpolated linearly between their markers."
)


@dataclass(frozen=True, slots=True)
class Ours:
    """What a store says: a mean, and its interval where there is one."""

    mean: float
    low: float | None
    high: float | None


def sign(ours: Ours, paper: Reading) -> Sign:
    """Whether both are above 0 or both below it."""
    theirs = _side(paper.value - paper.uncertainty, paper.value + paper.uncertainty)
    if theirs == 0:
        return "none"
    here = 0 if ours.low is None or ours.high is None else _side(ours.low, ours.high)
    return "undecided" if here == 0 else "same" if here == theirs else "opposite"


def size(ours: Ours, paper: Reading, margin: float) -> Size:
    """Whether ours is the paper's value to within the margin."""
    if ours.low is None or ours.high is None:
        return "undecided"
    around = paper.uncertainty + margin
    if paper.value - around <= ours.low and ours.high <= paper.value + around:
        return "agrees"
    outside = ours.high < paper.value - around or ours.low > paper.value + around
    return "disagrees" if outside else "undecided"


class Order(NamedTuple):
    """Pairs of curves at one cut that the paper has in an order, and how they stand here."""

    pairs: int
    same: int
    other: int

    @property
    def tau(self) -> float | None:
        """From -1 (every pair the other way round) to 1; None where the paper orders no pair."""
        return (self.same - self.other) / self.pairs if self.pairs else None


def order(places: Iterable[Iterable[tuple[float, Reading]]]) -> Order:
    """The order of curves; `places` holds for each cut the (mean here, reading in the paper) of every curve."""
    turns = [
        (first - second) * (one.value - two.value)
        for curves in places
        for (first, one), (second, two) in combinations(curves, 2)
        if abs(one.value - two.value) > one.uncertainty + two.uncertainty
    ]
    return Order(len(turns), sum(turn > 0 for turn in turns), sum(turn < 0 for turn in turns))


def _side(low: float, high: float) -> int:
    """1 above 0, -1 below it, 0 across it."""
    return (low > 0) - (high < 0)
