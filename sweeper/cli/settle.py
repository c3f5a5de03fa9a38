"""The command `settle`, which says how many more training runs would decide an undecided verdict, and their cost."""

from typing import TYPE_CHECKING

from sweeper.plan.duration import duration

from . import places, show
from .query import TableSelection

if TYPE_CHECKING:
    from sweeper.report.settle import Settlement
    from sweeper.report.tables import Table
    from sweeper.store.store import Store

_SECONDS = """
SELECT
    (SELECT avg(seconds) FROM models WHERE steps > 0) AS model,
    (SELECT avg(seconds) FROM stitches) AS stitch
"""

_HOW = (
    "Expected from the parts of the variance over runs, if the mean stays where it is. The cost is that of the added "
    "models on both sides and of their stitches with all others and themselves, by the mean times of this store, on "
    "one worker."
)


def print_settlements(selection: TableSelection, store: str | None, json: bool) -> None:
    """Print what would settle each undecided headline of the tables with verdicts."""
    from sweeper.report.settle import settlements

    with places.opened(store) as opened_store:
        tables = selection.of(opened_store).tables
        found = [
            {"table": table.name, **_as_json(table, settlement, _seconds(opened_store, table, settlement))}
            for table in tables
            for settlement in settlements(table)
        ]
    if json:
        show.print_json(found)
    elif not found:
        show.write("No mean is undecided in more_data, more_width, more_training and random_control.")
    else:
        show.write("\n".join([*map(_line, found), _HOW]))


def _as_json(table: "Table", settlement: "Settlement", seconds: float | None) -> dict:
    from sweeper.report.answers import answers

    sentence = next(answer.sentence for answer in answers(table) if answer.row == settlement.row)
    return {
        "answer": sentence,
        "runs_a": settlement.runs_a,
        "runs_b": settlement.runs_b,
        "half_width": settlement.half_width,
        "needed_half_width": settlement.target,
        "more_runs": settlement.more,
        "expected_half_width": settlement.expected,
        "seconds": seconds,
    }


def _line(found: dict) -> str:
    widths = f"half-width {found['half_width']:.2g}, needed {found['needed_half_width']:.2g}"
    cost = f", about {duration(found['seconds'])}" if found["seconds"] is not None else ""
    return f"{found['table']}: {found['answer']}\n  {widths}{cost}"


def _seconds(store: "Store", table: "Table", settlement: "Settlement") -> float | None:
    """Return the time that the additional models and stitches take on one worker; None if it isn't known."""
    if settlement.more is None:
        return None
    (means,) = store.sql(_SECONDS).to_pylist()
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
