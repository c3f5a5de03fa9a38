"""The command `settle`, which says how many more training runs would decide an undecided verdict, and their cost."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sweeper.plan.duration import duration

from . import places, show
from .query import TableSelection

if TYPE_CHECKING:
    from sweeper.report.settle import Settlement
    from sweeper.report.tables import Table

WIDTH = 100  # characters in a line, at most

_SECONDS = """
SELECT
    (SELECT avg(seconds) FROM models WHERE steps > 0) AS model,
    (SELECT avg(seconds) FROM stitches) AS stitch
"""

_HOW = (
    "Expected from the parts of the variance over runs, if the mean stays where it is, at the level of the next look "
    "at the data (docs/science.md, Looking again). The cost is that of the added models on both sides and of their "
    "stitches with all others and themselves, by the mean times of this store, on one worker."
)


def print_settlements(selection: TableSelection, store: str | None, json: bool) -> None:
    """Print what would settle each undecided headline of the tables with verdicts."""
    with places.opened(store) as opened_store:
        tables = selection.of(opened_store).tables
        (mean_seconds,) = opened_store.sql(_SECONDS).to_pylist()
    settled = [line for table in tables for line in _settled(table, mean_seconds)]
    if json:
        show.print_json(settled)
    elif not settled:
        show.write("No mean is undecided in more_data, more_width, more_training and random_control.")
    else:
        show.write("\n".join([*map(_lines, settled), _folded(_HOW, "")]))


def _settled(table: "Table", mean_seconds: Mapping[str, float | None]) -> Iterator[dict]:
    """Yield what would settle each undecided headline of a table, as JSON has it."""
    from sweeper.report.answers import answers
    from sweeper.report.settle import settlements

    sentences = {answer.row: answer.sentence for answer in answers(table)}
    for settlement in settlements(table):
        seconds = _seconds(mean_seconds, table, settlement)
        yield {"table": table.name, "answer": sentences[settlement.row], **_numbers(settlement, seconds)}


def _numbers(settlement: "Settlement", seconds: float | None) -> dict:
    return {
        "runs_a": settlement.runs_a,
        "runs_b": settlement.runs_b,
        "half_width": settlement.half_width,
        "needed_half_width": settlement.target,
        "more_runs": settlement.more,
        "expected_half_width": settlement.expected,
        "seconds": seconds,
    }


def _lines(settled: dict) -> str:
    """Return the answer and its half-widths as lines of at most `WIDTH` characters."""
    widths = f"half-width {settled['half_width']:.2g}, needed {settled['needed_half_width']:.2g}"
    cost = f", about {duration(settled['seconds'])}" if settled["seconds"] is not None else ""
    return _folded(f"{settled['table']}: {settled['answer']}", "  ") + f"\n  {widths}{cost}"


def _folded(text: str, indent: str) -> str:
    """Return a text as lines of at most `WIDTH` characters, of which those after the first are indented."""
    width = min(show.width(), WIDTH)
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _seconds(means: Mapping[str, float | None], table: "Table", settlement: "Settlement") -> float | None:
    """Return the time that the additional models and stitches take on one worker; None if it isn't known."""
    if settlement.more is None:
        return None
    if means["model"] is None or means["stitch"] is None:
        return None
    a, b, more = settlement.runs_a, settlement.runs_b, settlement.more
    pairs = (a + more) * (b + more) - a * b + more
    return 2 * more * means["model"] + pairs * _cuts(table, settlement.row) * means["stitch"]


def _cuts(table: "Table", row: int) -> int:
    """Return the number of cuts of the comparison of a row."""
    from sweeper.report.headlines import comparisons

    rows = table.rows.to_pylist()
    numbers = next(numbers for numbers in comparisons(table.question, rows).values() if row in numbers)
    return max(1, len({rows[i]["cut"] for i in numbers if not rows[i]["cut"].startswith("(")}))
