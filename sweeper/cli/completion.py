"""The words that complete a query at the prompt of `sweeper sql -i`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KEYWORDS = (
    *("AND", "AS", "ASC", "AVG", "BETWEEN", "BY", "CASE", "COUNT", "DESC", "DESCRIBE", "DISTINCT", "ELSE", "END"),
    *("EXCLUDE", "FROM", "GROUP", "HAVING", "IN", "IS", "JOIN", "LEFT", "LIKE", "LIMIT", "MAX", "MEDIAN", "MIN"),
    *("NOT", "NULL", "ON", "OR", "ORDER", "ROUND", "SELECT", "SUM", "SUMMARIZE", "THEN", "UNION", "USING", "WHEN"),
    *("WHERE", "WITH"),
)
_TABLES_FOLLOW = re.compile(r"\b(from|join|describe|summarize)\s+$", re.IGNORECASE)
_VIEW_AND_DOT = re.compile(r"(\w+)\.$")


@dataclass(frozen=True, slots=True)
class Completion:
    """The names of a store: the columns of each view, and the table macros."""

    columns_by_view: Mapping[str, Sequence[str]]
    macros: Sequence[str]

    def words(self, before: str, beginning: str) -> list[str]:
        """Return the words that a query may continue with, sorted.

        Args:
            before: The query before the word, which decides what may follow: views and macros after FROM and JOIN, the
                columns of a view after its name and a dot.
            beginning: The beginning of the word, in small or capital letters.
        """
        tables = [*self.columns_by_view, *(f"{macro}(" for macro in self.macros)]
        columns = [column for view in self.columns_by_view.values() for column in view]
        if _TABLES_FOLLOW.search(before):
            names = tables
        elif match := _VIEW_AND_DOT.search(before):
            names = list(self.columns_by_view.get(match[1].lower(), columns))
        else:
            names = [*columns, *tables, *KEYWORDS]
        return sorted({name for name in names if name.lower().startswith(beginning.lower())})


def completion_of_store() -> Completion:
    """Return the names that every store has."""
    from sweeper.store.query.views import TABLE_MACROS, legend

    columns_by_view: dict[str, list[str]] = {}
    for view, column, *_ in legend():
        columns_by_view.setdefault(view, []).append(column)
    return Completion(columns_by_view, [macro.name for macro in TABLE_MACROS])
