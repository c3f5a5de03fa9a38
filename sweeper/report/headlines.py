"""The headlines of a table: the rows that stand for its comparisons, and the decisions about them."""

from collections.abc import Mapping, Sequence

from .question import Question
from .tables import CUT_KIND, Table, is_over_cuts

# The columns that hold a decision about a row, of which a table has one.
_DECISIONS = ("verdict", "outcome")


def headlines(table: Table) -> list[int]:
    """Return the numbers of the rows with a decision that stand for a comparison: those over several cuts, if any."""
    rows = table.rows.to_pylist()
    return [
        i
        for numbers in comparisons(table.question, rows).values()
        for i in _headlines_of(rows, [i for i in numbers if decision(table, i)])
    ]


def decision(table: Table, row: int) -> str:
    """Return the decision about a row ("better", "does worse"), or an empty text if it has none."""
    name = next((name for name in _DECISIONS if name in table.rows.column_names), None)
    return (table.rows[name][row].as_py() or "") if name else ""


def comparisons(question: Question, rows: Sequence[Mapping[str, object]]) -> dict[tuple[object, ...], list[int]]:
    """Return the numbers of the rows of each comparison: those with equal sections and settings."""
    numbers_by_key: dict[tuple[object, ...], list[int]] = {}
    for i, row in enumerate(rows):
        key = tuple(str(row[name]) for name in (*question.sections, *question.settings))
        numbers_by_key.setdefault(key, []).append(i)
    return numbers_by_key


def _headlines_of(rows: Sequence[Mapping[str, object]], decided: list[int]) -> list[int]:
    if not decided or "cut" not in rows[decided[0]]:
        return decided
    over_cuts = [i for i in decided if is_over_cuts(rows[i])]
    return over_cuts or [i for i in decided if rows[i].get(CUT_KIND) is None]
