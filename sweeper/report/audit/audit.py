"""A store beside the paper, figure by figure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import duckdb

from sweeper.errors import UsageError
from sweeper.report.question import Value
from sweeper.report.tables import remarks_on
from sweeper.store.query.query import explained

from . import select
from .compare import Compared, compare
from .curves import Curve, curves
from .definition import Figure, chosen

if TYPE_CHECKING:
    from sweeper.store.store import Store


@dataclass(frozen=True, slots=True)
class Audit:
    """A figure of the paper and what a store has beside it: nothing, or one setting or more, the one with the most
    curves and the fewest deviations first."""

    figure: Figure
    margin: float
    compared: tuple[Compared, ...]
    remarks: tuple[str, ...]  # true of the whole store


def audit(
    store: "Store",
    names: Sequence[str] = (),
    only: Iterable[str] | None = None,
    parameters: Mapping[str, Value] | None = None,
) -> list[Audit]:
    """The named figures (default: all) beside the store; `only` are the ids of the tasks that count, `parameters` may
    hold a `margin` in place of the figures' own.

    Raises UsageError for a figure that the paper doesn't have and for a parameter that isn't a margin.
    """
    figures, margin, paper = chosen(names), _margin(parameters or {}), curves()
    with store.connect(only=only) as connection:
        remarks = remarks_on(store, connection)
        return [_beside(connection, figure, paper, margin, remarks) for figure in figures]


def _margin(parameters: Mapping[str, Value]) -> float | None:
    """The margin that is given, if one is."""
    for name, value in parameters.items():
        if name != "margin":
            raise UsageError(f"no parameter {name!r} of an audit; there is: margin")
        if isinstance(value, str) or not value >= 0:
            raise UsageError(f"margin: {value} is none; 0 or more, in the unit of the figure")
    return float(parameters["margin"]) if "margin" in parameters else None


def _beside(
    connection: duckdb.DuckDBPyConnection,
    figure: Figure,
    paper: Sequence[Curve],
    margin: float | None,
    remarks: tuple[str, ...],
) -> Audit:
    of = {curve.name: curve for curve in paper if (curve.figure, curve.quantity) == (figure.figure, figure.quantity)}
    margin = figure.margin if margin is None else margin
    names = select.settings(figure)
    try:
        rows = select.rows(connection, figure)
    except duckdb.Error as error:
        raise explained(error) from error
    groups = groupby(rows, key=lambda row: {name: row[name] for name in names})
    compared = [compare(figure, of, setting, list(group), margin) for setting, group in groups]
    compared.sort(key=lambda found: (len(found.absent), len(found.deviations)))
    return Audit(figure, margin, tuple(compared), remarks)
