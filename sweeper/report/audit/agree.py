"""The rule that decides whether a store agrees with the paper.

At a cut of a curve, the store has a mean m with a 95 % interval [lo, hi] over training runs
(`store.statistics.interval`). The paper has one value v, read to +-u and interpolated linearly between the figure's
markers.

    sign   same        [lo, hi] and [v - u, v + u] lie on one side of 0
           opposite    they lie on opposite sides
           undecided   [lo, hi] contains 0, or there is no interval (a single training run on a side)
           none        [v - u, v + u] contains 0: the paper's value has no certain sign
    size   agrees      [lo, hi] lies within [v - u - margin, v + u + margin]
           disagrees   it lies outside
           undecided   it overlaps the boundary, or there is no interval

`margin` allows for the spread over seeds of the paper's own run, which a figure of single runs does not show. Without
an interval there is no verdict. Verdicts are not corrected for their number; read the share of each verdict instead.

The sign is compared twice: first that of the net penalty, whose control is B stitched to itself, then that of the
penalty, which the paper has. Their difference is what the stitcher itself learns.

Two curves at one cut have an order in the paper if their readings don't overlap (|v1 - v2| > u1 + u2). With C such
pairs in the same order in the store (by the means) and D in the opposite order, Kendall's
tau = (C - D) / (C + D + ties here), taken over the pairs of all cuts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

from .curves import Reading

Sign = Literal["same", "opposite", "undecided", "none", "no control"]
Size = Literal["agrees", "disagrees", "undecided"]

SIGN_RULE = (
    "net sign, sign: same (opposite) if this store's interval and the paper's value with its reading error lie on the "
    "same side (on opposite sides) of 0; undecided if the interval contains 0, or A or B has only one training run; "
    "none if the paper's value is 0 within its reading error; no control if no B was stitched to itself. The net sign "
    "is that of the penalty minus the penalty of B into itself, the sign that of the penalty, which the paper has."
)
SIZE_RULE = (
    "Size: agrees if the interval lies within the paper's value plus or minus margin and reading error, disagrees if "
    "it lies outside, undecided if it overlaps the boundary or there is no interval. The margin allows for the results "
    "of other seeds, because the paper has one run per curve."
)
ORDER_RULE = (
    "Order: tau is (pairs in the same order minus pairs in the opposite order) / pairs, over the pairs of curves at "
    "one cut whose readings in the paper don't overlap. Verdicts are not corrected for the number of rows. The paper's "
    "curves are interpolated linearly between their markers."
)


@dataclass(frozen=True, slots=True)
class StoreMean:
    """A mean over training runs of the store, with its interval where there is one."""

    mean: float
    low: float | None
    high: float | None


def sign(estimate: StoreMean, paper: Reading) -> Sign:
    """Compare the signs of the store's interval and of the paper's value."""
    paper_side = _side(paper.value - paper.uncertainty, paper.value + paper.uncertainty)
    if paper_side == 0:
        return "none"
    store_side = 0 if estimate.low is None or estimate.high is None else _side(estimate.low, estimate.high)
    return "undecided" if store_side == 0 else "same" if store_side == paper_side else "opposite"


def net_sign(net: StoreMean | None, paper: Reading) -> Sign:
    """Compare the signs of the store's net penalty and of the paper's penalty; `net` is None without a control."""
    compared = sign(net or StoreMean(0, None, None), paper)
    return "no control" if net is None and compared != "none" else compared


def compare_size(estimate: StoreMean, paper: Reading, margin: float) -> Size:
    """Compare the store's interval with the paper's value plus or minus its uncertainty and the margin."""
    if estimate.low is None or estimate.high is None:
        return "undecided"
    tolerance = paper.uncertainty + margin
    if paper.value - tolerance <= estimate.low and estimate.high <= paper.value + tolerance:
        return "agrees"
    outside = estimate.high < paper.value - tolerance or estimate.low > paper.value + tolerance
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
    products = [  # above 0 for a pair in the same order, below 0 for one in the opposite order
        (mean_1 - mean_2) * (reading_1.value - reading_2.value)
        for curves in places
        for (mean_1, reading_1), (mean_2, reading_2) in combinations(curves, 2)
        if abs(reading_1.value - reading_2.value) > reading_1.uncertainty + reading_2.uncertainty
    ]
    same, opposite = sum(product > 0 for product in products), sum(product < 0 for product in products)
    return OrderCounts(len(products), same, opposite)


def _side(low: float, high: float) -> int:
    """Return 1 for an interval above 0, -1 for one below 0, and 0 for one that contains 0."""
    return (low > 0) - (high < 0)
