"""Comparison of a store with the paper, figure by figure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import duckdb

from sweeper.errors import UsageError
from sweeper.report.question import Value
from sweeper.report.tables import remarks_on
from sweeper.store.query.query import explained_error

from . import select
from .compare import CurveComparison, compare
from .curves import Curve, curves
from .definition import Figure, choose_figures

if TYPE_CHECKING:
    from sweeper.store.store import Store


@dataclass(frozen=True, slots=True)
class Audit:
    """A figure of the paper with the comparisons that a store allows, one per setting.

    The setting with the most curves and the fewest deviations comes first.
    """

    figure: Figure
    margin: float
    compared: tuple[CurveComparison, ...]
    remarks: tuple[str, ...]  # about the whole store
    unfit: int = 0  # curves of this store that are left out, because their stitchers can't stand for the paper's


# Stitchers that aren't a trained map of full rank, as those of the paper are: their penalty is another quantity.
UNFIT_STITCHERS = frozenset({"identity", "permutation", "orthogonal", "low_rank", "relative", "probe"})


def audit(
    store: "Store",
    names: Sequence[str] = (),
    only: Iterable[str] | None = None,
    parameters: Mapping[str, Value] | None = None,
) -> list[Audit]:
    """Compare a store with figures of the paper.

    Args:
        store: An open store.
        names: Names of figures; all if empty.
        only: Ids of the tasks to use; all if None.
        parameters: May contain a `margin` that replaces those of the figures.

    Raises:
        UsageError: There is no such figure, or a parameter isn't a valid margin.
    """
    figures, margin, paper = choose_figures(names), _margin(parameters or {}), curves()
    ids = None if only is None else list(only)

    def compare() -> list[Audit]:
        pinned = store.pinned()
        with pinned.connect(only=ids) as connection:
            remarks = remarks_on(pinned, connection)
            return [_compare_figure(connection, figure, paper, margin, remarks) for figure in figures]

    return store.retried(compare)


def _margin(parameters: Mapping[str, Value]) -> float | None:
    """Return the given margin, or None."""
    for name, value in parameters.items():
        if name != "margin":
            raise UsageError(f"an audit has no parameter {name!r}; its only parameter is margin")
        if isinstance(value, str) or not value >= 0:
            raise UsageError(f"margin: {value} is not valid; give a number of 0 or more, in the unit of the figure")
    return float(parameters["margin"]) if "margin" in parameters else None


def _compare_figure(
    connection: duckdb.DuckDBPyConnection,
    figure: Figure,
    paper: Sequence[Curve],
    margin: float | None,
    remarks: tuple[str, ...],
) -> Audit:
    curves_by_name = {
        curve.name: curve for curve in paper if (curve.figure, curve.quantity) == (figure.figure, figure.quantity)
    }
    margin = figure.margin if margin is None else margin
    names = select.settings_held_equal(figure)
    try:
        rows = select.rows(connection, figure)
    except duckdb.Error as error:
        raise explained_error(error) from error
    fit = [row for row in rows if row.get("stitcher") not in UNFIT_STITCHERS]
    groups = groupby(fit, key=lambda row: {name: row[name] for name in names})
    comparisons = [compare(figure, curves_by_name, setting, list(group), margin) for setting, group in groups]
    comparisons.sort(key=lambda comparison: (len(comparison.absent), len(comparison.deviations)))
    unfit = {(*(str(row[name]) for name in names), row["curve"]) for row in rows} - {
        (*(str(row[name]) for name in names), row["curve"]) for row in fit
    }
    return Audit(figure, margin, tuple(comparisons), remarks, len(unfit))
