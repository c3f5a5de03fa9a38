"""What a reader of a chart sees over its points and can switch, and which lines share a chart."""

from collections.abc import Mapping, Sequence

from sweeper.report.format import format_value, heading

from .chart import LINES
from .depth_points import Line

# What a reader can restrict a chart to, where its lines differ in it.
SWITCHES = ("protocol", "stitcher", "data")


def panels(lines: Sequence[Line]) -> list[list[Line]]:
    """Divide lines into groups of at most `LINES`, where those that differ only in A or the control stay together."""
    lines_by_rest: dict[tuple[tuple[str, str], ...], list[Line]] = {}
    for line in lines:
        rest = tuple(cell for cell in line.cells if not cell[0].startswith("a_") and cell[0] != "control")
        lines_by_rest.setdefault(rest, []).append(line)
    groups: list[list[Line]] = []
    for alike in lines_by_rest.values():
        for begin in range(0, len(alike), LINES):
            part = alike[begin : begin + LINES]
            if groups and len(groups[-1]) + len(part) <= LINES:
                groups[-1] += part
            else:
                groups.append(part)
    return groups


def counts_of_row(row: Mapping[str, object]) -> str:
    """Return "25 pairs of 5 x 5 runs", as far as a row has the numbers."""
    pairs = f"{row['pairs']} pairs" if row.get("pairs") else ""
    runs = f"{row['runs_a']} x {row['runs_b']} runs" if row.get("runs_a") and row.get("runs_b") else ""
    return " of ".join(filter(None, [pairs, runs])) or "none: true by definition"


def settings_of_row(heads: Sequence[str], row: Mapping[str, object]) -> str:
    """Return the settings of a row as the heading of its section in the table has them."""
    return heading(heads, {head: format_value(head, row.get(head)) for head in heads})
