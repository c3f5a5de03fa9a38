"""The gains or penalties of a table by the depth of the cut, as points of lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.report.format import distinguishing_headings, format_value, heading, title
from sweeper.report.tables import CUT_ARROW, CUT_KIND, Table

# The lines of a table that compares a bottom without training with a trained one, which it names.
_BOTTOMS = {"penalty": "random bottom", "trained_penalty": "trained bottom"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart: the columns and cells that tell its comparison from others.

    `measured` tells columns with the same quantity apart ("trained penalty"); it is empty if there is one such column.
    """

    cells: tuple[tuple[str, str], ...]
    measured: str

    def label(self, columns: Sequence[str]) -> str:
        """Return the line's name by some of its columns, such as "A samples 1200 → B samples 100"."""
        named = [name for name, _ in self.cells if name in columns]
        return " · ".join(filter(None, [heading(named, dict(self.cells)), self.measured]))


@dataclass(frozen=True, slots=True)
class DepthPoint:
    """A gain or penalty in points at a depth, with the bounds of its interval if it has one, as the table has them.

    Attributes:
        line: The line that the point is on.
        quantity: What is measured, such as "net gain".
        column: The column of the table that measures it.
        row: The number of the table's row; None for B alone where the table lacks it.
        cut: The name of the cut.
        kind: "cut", "end" (B alone or A alone) or "apart" (a cut with a cut kind).
        depth: The depth of the cut, from 0 to 1.
        mean: The gain or penalty.
        low: The lower bound of its interval.
        high: The upper bound.
    """

    line: Line
    quantity: str
    column: str
    row: int | None
    cut: str
    kind: str
    depth: float
    mean: float
    low: float | None = None
    high: float | None = None


def depth_points(table: Table) -> list[DepthPoint]:
    """Return the gains or penalties of a table by depth, with the sign that they have in the table.

    Each line begins at depth 0, where B with its own layers up to the cut is B, and ends at A alone where the table has
    it. Pairs of different cuts have no place on a line. There are no points if the table has no `depth`.
    """
    if "depth" not in table.rows.column_names:
        return []
    quantity_by_column = quantities(table)
    heads = [*distinguishing_headings(table), *(["control"] if "control" in table.rows.column_names else [])]
    points = []
    for i, row in enumerate(table.rows.to_pylist()):
        if row["depth"] is None or CUT_ARROW in str(row["cut"]):
            continue
        cells = tuple((name, format_value(name, row[name])) for name in heads)
        points += [point for name in quantity_by_column if (point := _point(row, i, name, quantity_by_column, cells))]
    return [*_starts(points), *points]


def quantities(table: Table) -> dict[str, str]:
    """Return what each column of gains or penalties measures: "net gain" of `net_gain`, "penalty" of `trained_penalty`.

    Columns without intervals, or without any value, are left out.
    """
    columns = table.rows.column_names
    names = [name for name in columns if name.endswith(("gain", "penalty")) and f"{name}_low" in columns]
    with_values = [name for name in names if table.rows[name].null_count < table.rows.num_rows]
    return {name: _quantity(name) for name in with_values}


def _quantity(name: str) -> str:
    """Return "net penalty" for `trained_net_penalty`."""
    *words, last = name.split("_")
    return title("_".join([*(word for word in words if word in ("net", "extra")), last]))


def _point(
    row: Mapping[str, Any],
    number: int,
    name: str,
    quantity_by_column: Mapping[str, str],
    cells: tuple[tuple[str, str], ...],
) -> DepthPoint | None:
    """Return the point of a column in a row, or None if it has no value there."""
    is_end = row["depth"] in (0, 1) and str(row["cut"]).startswith("(")
    # Where nothing is stitched no stitcher has learned anything, so the gain is the net gain.
    column = _without_net(name) if is_end and row[name] is None else name
    mean, low, high = (row.get(column + end) for end in ("", "_low", "_high"))
    if mean is None:
        return None
    is_alone = list(quantity_by_column.values()).count(quantity_by_column[name]) == 1
    bottoms = _BOTTOMS if "trained_penalty" in quantity_by_column else {}
    line = Line(cells, "" if is_alone else bottoms.get(_without_net(name), title(_without_net(name))))
    kind = "apart" if row.get(CUT_KIND) is not None else "end" if is_end else "cut"
    return DepthPoint(
        line, quantity_by_column[name], name, number, str(row["cut"]), kind, row["depth"], mean, low, high
    )


def _without_net(name: str) -> str:
    """Return `trained_penalty` for `trained_net_penalty`."""
    return "_".join(word for word in name.split("_") if word != "net")


def _starts(points: Sequence[DepthPoint]) -> Iterator[DepthPoint]:
    """Yield B alone for the lines that lack it. Extra gains have none: they compare with A into B, not with B alone."""
    lines_with_start = {(point.line, point.column) for point in points if point.depth == 0}
    for line, column, quantity in dict.fromkeys((point.line, point.column, point.quantity) for point in points):
        if (line, column) not in lines_with_start and not quantity.startswith("extra"):
            yield DepthPoint(line, quantity, column, None, "(B alone)", "end", 0.0, 0.0)
