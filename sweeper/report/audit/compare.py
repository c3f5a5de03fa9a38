"""Comparison of a store with the curves of a figure, in one setting: points, a summary, and deviations."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median
from typing import Any

from . import agree
from .agree import StoreMean
from .curves import Curve, Reading
from .definition import Figure, Setting
from .select import WHOLE

ALL = "(all)"

Row = Mapping[str, Any]  # of `select.rows`


@dataclass(frozen=True, slots=True)
class PointComparison:
    """A curve at a cut: the value in the store, the value in the paper, and their agreement (see `agree`)."""

    curve: str
    cut: str
    x: float  # on the paper's axis
    pairs: int  # of training runs
    here: StoreMean
    paper: Reading
    difference: float  # here - paper
    ratio: float | None  # here / paper, where the paper's value is beyond the margin
    sign: agree.Sign | None  # None where values have no sign
    size: agree.Size
    net: StoreMean | None = None  # the net penalty; None if no B was stitched to itself
    net_sign: agree.Sign | None = None  # None where there is no control by definition, as for A alone
    cut_kind: str | None = None  # why the cut counts in no summary: a probe of A, or the same as another cut


@dataclass(frozen=True, slots=True)
class CurveSummary:
    """A summary of the points of one curve, or of all curves, without those that have a cut kind.

    Fields about signs are None where the quantity has no sign; those about the order are None for a single curve.
    """

    curve: str
    level: float | None  # of the runs in the store; None where curves have no levels
    paper_level: float | None
    others: int  # other pairs of settings that match the curve and were left out
    a_runs: int  # training runs
    b_runs: int
    points: int
    with_sign: int | None  # points whose sign is certain in the paper
    net_same: int | None  # points whose net penalty has the paper's sign, by the interval
    net_opposite: int | None
    same_sign: int | None  # of the points with a sign, those whose mean penalty here has the same sign
    same: int | None  # by the intervals
    opposite: int | None
    agrees: int
    disagrees: int
    difference: float | None  # mean of here - paper
    ratio: float | None  # median of here / paper
    ordered: int | None  # pairs of curves at one cut whose order is certain in the paper
    same_order: int | None  # of these, those in the same order here
    tau: float | None


@dataclass(frozen=True, slots=True)
class Deviation:
    """A difference between the runs in the store and the paper's."""

    what: str
    paper: Setting
    here: Setting


@dataclass(frozen=True, slots=True)
class CurveComparison:
    """A comparison with the curves of a figure, in one setting."""

    setting: Mapping[str, Setting]
    points: tuple[PointComparison, ...]
    beyond: int  # places here that lie beyond the ends of the paper's curve
    short: tuple[CurveSummary, ...]  # one per curve, then one for all curves
    deviations: tuple[Deviation, ...]
    absent: tuple[str, ...]  # curves of the paper that no run in the store matches


def compare(
    figure: Figure, paper: Mapping[str, Curve], setting: Mapping[str, Setting], rows: Sequence[Row], margin: float
) -> CurveComparison:
    """Compare the rows of one setting with the paper's curves.

    Args:
        figure: The definition of the figure.
        paper: The paper's curves by name.
        setting: The settings that all rows share.
        rows: The rows of that setting, as `select.rows` returns them.
        margin: The tolerance for sizes, in the unit of the value.
    """
    rows_by_curve: dict[str, list[Row]] = {}
    for name in paper:
        if matching := [row for row in rows if row["curve"] == name]:
            rows_by_curve[name] = matching
    points = {
        name: list(_points(figure, paper[name], curve_rows, margin)) for name, curve_rows in rows_by_curve.items()
    }
    all_points = [point for curve_points in points.values() for point in curve_points]
    counted = [point for point in all_points if point.cut_kind is None]
    summaries = [
        _summary(figure, name, rows_by_curve[name], [point for point in counted if point.curve == name])
        for name in rows_by_curve
    ]
    return CurveComparison(
        setting,
        tuple(all_points),
        len(rows) - len(all_points),
        (*summaries, _summary(figure, ALL, rows, counted, _order(counted))),
        tuple(_deviations(figure, paper, setting, rows_by_curve)),
        tuple(name for name in paper if name not in rows_by_curve),
    )


def _points(figure: Figure, curve: Curve, rows: Sequence[Row], margin: float) -> Iterator[PointComparison]:
    for row in rows:
        if paper := curve.at(row["x"]):
            interval, estimate = row["estimate"], _store_mean(row["estimate"])
            net = _store_mean(row["net"]) if row["net"]["mean"] is not None else None
            is_stitch = figure.has_control and row["cut"] != WHOLE
            yield PointComparison(
                curve=curve.name,
                cut=row["cut"],
                x=row["x"],
                pairs=interval["n_pairs"],
                here=estimate,
                paper=paper,
                difference=estimate.mean - paper.value,
                ratio=estimate.mean / paper.value if abs(paper.value) > margin else None,
                sign=agree.sign(estimate, paper) if figure.signed else None,
                size=agree.compare_size(estimate, paper, margin),
                net=net,
                net_sign=agree.net_sign(net, paper) if is_stitch else None,
                cut_kind=row["cut_kind"],
            )


def _store_mean(interval: Mapping[str, Any]) -> StoreMean:
    return StoreMean(interval["mean"], interval["lo"], interval["hi"])


def _order(points: Sequence[PointComparison]) -> agree.OrderCounts:
    def place(point: PointComparison) -> tuple[float, str]:
        return point.x, point.cut

    groups = groupby(sorted(points, key=place), key=place)
    return agree.order([(point.here.mean, point.paper) for point in group] for _, group in groups)


def _summary(
    figure: Figure,
    name: str,
    rows: Sequence[Row],
    points: Sequence[PointComparison],
    order: agree.OrderCounts | None = None,
) -> CurveSummary:
    role = figure.curves.get(name)
    signs, sizes = [point.sign for point in points], [point.size for point in points]
    net_signs = [point.net_sign for point in points]
    with_paper_sign = [point for point in points if point.sign != "none"]
    ratios = [point.ratio for point in points if point.ratio is not None]
    signed = figure.signed
    return CurveSummary(
        curve=name,
        level=rows[0]["level"] if role else None,
        paper_level=role.level if role else None,
        others=rows[0]["others"] if role else 0,
        a_runs=max(row["estimate"]["n_a"] for row in rows),
        b_runs=max(row["estimate"]["n_b"] for row in rows),
        points=len(points),
        with_sign=len(with_paper_sign) if signed else None,
        net_same=net_signs.count("same") if figure.has_control else None,
        net_opposite=net_signs.count("opposite") if figure.has_control else None,
        same_sign=sum(point.here.mean * point.paper.value > 0 for point in with_paper_sign) if signed else None,
        same=signs.count("same") if signed else None,
        opposite=signs.count("opposite") if signed else None,
        agrees=sizes.count("agrees"),
        disagrees=sizes.count("disagrees"),
        difference=fmean(point.difference for point in points) if points else None,
        ratio=median(ratios) if ratios else None,
        ordered=order.pairs if order else None,
        same_order=order.same if order else None,
        tau=order.tau if order else None,
    )


def _deviations(
    figure: Figure,
    paper: Mapping[str, Curve],
    setting: Mapping[str, Setting],
    rows_by_curve: Mapping[str, Sequence[Row]],
) -> Iterator[Deviation]:
    """Yield the differences from the paper in settings, levels, numbers of runs and cuts, and B's own error."""
    for name, paper_setting in figure.protocol.items():
        if paper_setting is not None and name in setting and not _equal(paper_setting, setting[name]):
            yield Deviation(name.replace("_", " "), paper_setting, setting[name])
    for name, rows in rows_by_curve.items():
        role, level = figure.curves[name], rows[0]["level"]
        if role.level is not None and not _equal(role.level, level):
            yield Deviation(f"{name}: {role.means or figure.level_means}", role.level, level)
    intervals = [row["estimate"] for rows in rows_by_curve.values() for row in rows]
    runs = f"{max(interval['n_a'] for interval in intervals)} x {max(interval['n_b'] for interval in intervals)}"
    if runs != "1 x 1":
        yield Deviation("training runs of a curve, A's x B's", "1 x 1", runs)
    ends = (0.0, 1.0) if figure.whole else (0.0,)
    paper_places = max(len([x for x in paper[name].points if x not in ends]) for name in rows_by_curve)
    places_here = max(sum(row["cut"] != WHOLE for row in rows) for rows in rows_by_curve.values())
    if places_here != paper_places:
        yield Deviation("places on the axis", paper_places, places_here)
    if "b_error" in figure.protocol:
        errors = [row["top_error"] for rows in rows_by_curve.values() for row in rows]
        yield Deviation("B's own test error, %", figure.protocol["b_error"], round(fmean(errors), 2))


def _equal(paper: Setting, here: Setting) -> bool:
    if isinstance(paper, float | int) and isinstance(here, float | int):
        return math.isclose(paper, here, rel_tol=1e-3)
    return paper == here
