"""The short form of a table: its answer and as many of its rows as fit on a screen, without the rules and settings.

Of a table with more rows than fit, the cuts of those comparisons are left out first that only show what other seeds do,
then all cuts, so that each comparison has one row; a table that is still too long is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .format import MISSING, Grid, GridColumn, GridSection, distinguishing_headings, format_value, heading, lay_out
from .headlines import comparisons, decision, headlines
from .tables import CONTROL, NO_CONTROL, Table, is_over_cuts

WIDTH = 100  # characters in a line, at most
MOST_ROWS = 6  # of a table that is printed together with others
MOST_ROWS_ALONE = 24  # of the only table that is printed

_CAVEATS = "caveats"
MARK = " *"  # after a decision with caveats


@dataclass(frozen=True, slots=True)
class ShortTable:
    """The part of a table that is shown; `hidden` is the number of its other rows.

    A decision with caveats has a mark, which `is_marked` says of the table.
    """

    grid: Grid
    hidden: int
    is_marked: bool


def short_form(table: Table, most: int) -> ShortTable:
    """Return the short form of a table, with at most `most` rows."""
    rows = table.rows.to_pylist()
    names = [name for name in table.question.shown or table.columns if name != _CAVEATS]
    lines = headlines(table)
    for numbers in _choices(table, lines):
        if 0 < len(numbers) <= most:
            break
    else:
        return ShortTable(Grid((), ()), len(rows), False)
    heads = distinguishing_headings(table)
    if len(comparisons(table.question, [rows[i] for i in numbers])) == len(numbers) > 1 and heads:
        grid = _one_row_for_each(table, names, numbers, heads)
    else:
        grid = lay_out(table, names, numbers, heads)
    marked = [bool(rows[i].get(_CAVEATS)) and i in lines and decision(table, i) != CONTROL for i in numbers]
    return ShortTable(_with_marks(grid, marked), len(rows) - len(numbers), any(marked))


def _choices(table: Table, lines: Sequence[int]) -> Iterator[list[int]]:
    """Yield the numbers of the rows that may be shown, from more to fewer."""
    rows = table.rows.to_pylist()
    stitched = [i for i, row in enumerate(rows) if not _is_end(row)]
    yield stitched
    if not lines:
        return
    in_full = {
        i
        for numbers in comparisons(table.question, rows).values()
        if any(decision(table, i) not in (CONTROL, NO_CONTROL) for i in numbers if i in lines)
        for i in numbers
    }
    yield [i for i in stitched if i in lines or i in in_full]
    yield list(lines)


def _is_end(row: Mapping[str, object]) -> bool:
    """Return whether a row is about one of the two networks alone, which is not stitched."""
    return str(row.get("cut", "")).startswith("(") and not is_over_cuts(row)


def _one_row_for_each(table: Table, names: Sequence[str], numbers: Sequence[int], heads: Sequence[str]) -> Grid:
    """Return a grid with one row for each comparison, whose settings are in the first column."""
    rows = table.rows.to_pylist()
    places = {str(rows[i].get("cut")) for i in numbers}
    kept = [name for name in names if name != "depth" and (name != "cut" or len(places) > 1)]
    grid = lay_out(table, kept, numbers, ())
    titles = [heading(heads, {name: format_value(name, rows[i][name]) for name in heads}) for i in numbers]
    cells = [row for section in grid.sections for row in section.rows]
    with_titles = tuple((title, *row) for title, row in zip(titles, cells, strict=True))
    return Grid((GridColumn("comparison", "comparison", False), *grid.columns), (GridSection("", with_titles),))


def _with_marks(grid: Grid, marked: Sequence[bool]) -> Grid:
    """Return a grid in which the decisions of the marked rows have a mark."""
    column = next((i for i, column in enumerate(grid.columns) if column.name in ("verdict", "outcome")), None)
    if column is None or not any(marked):
        return grid
    marks, sections = iter(marked), []
    for section in grid.sections:
        rows = [
            (*row[:column], row[column] + MARK * (next(marks) and row[column] != MISSING), *row[column + 1 :])
            for row in section.rows
        ]
        sections.append(replace(section, rows=tuple(rows)))
    return Grid(grid.columns, tuple(sections))
