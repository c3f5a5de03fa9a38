"""The difference between the tables of two stores or runs: values whose intervals don't overlap."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .tables import Table


class ShownInterval(NamedTuple):
    """A mean with the ends of its interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True, slots=True)
class DifferentValue:
    """A value of a table that differs beyond its intervals, at a place: the columns that name the row."""

    table: str
    place: Mapping[str, object]
    quantity: str
    left: ShownInterval
    right: ShownInterval

    def __str__(self) -> str:
        place = ", ".join(f"{name} {value}" for name, value in self.place.items() if value is not None)
        return f"{self.table}, {place}: {self.quantity} {self.left} -> {self.right}"


@dataclass(frozen=True, slots=True)
class TableDifference:
    """The comparison of two sides of tables: the numbers of values, and those that differ."""

    compared: int  # values that both sides have with an interval
    only_left: int  # rows
    only_right: int
    different: tuple[DifferentValue, ...]


def difference(left: Sequence[Table], right: Sequence[Table]) -> TableDifference:
    """Compare tables of equal names row by row.

    Rows belong together if they have the same cut or cuts, sections and settings. A setting that has one value on each
    side and differs between the sides is what is compared, so it is left out of this.
    """
    right_by_name = {table.name: table for table in right}
    compared = only_left = only_right = 0
    different: list[DifferentValue] = []
    for left_table in left:
        right_table = right_by_name.get(left_table.name)
        if right_table is None:
            continue
        keys = _keys(left_table, right_table)
        left_rows, right_rows = _rows_by_place(left_table, keys), _rows_by_place(right_table, keys)
        only_left += len(left_rows.keys() - right_rows.keys())
        only_right += len(right_rows.keys() - left_rows.keys())
        for place, row in left_rows.items():
            for quantity, pair in _pairs(row, right_rows.get(place, {})):
                compared += 1
                if pair[0].high < pair[1].low or pair[1].high < pair[0].low:
                    names = dict(zip(keys, place, strict=True))
                    shown = {name: value for name, value in names.items() if name not in left_table.constants}
                    different.append(DifferentValue(left_table.name, shown, quantity, *pair))
    return TableDifference(compared, only_left, only_right, tuple(different))


def _keys(left: Table, right: Table) -> list[str]:
    """Return the columns that name a row on both sides."""
    names = dict.fromkeys((*left.question.sections, *left.question.settings, "cut", "cut_a", "cut_b"))
    common = [name for name in names if name in left.rows.column_names and name in right.rows.column_names]
    return [name for name in common if not _is_compared(left, right, name)]


def _is_compared(left: Table, right: Table, name: str) -> bool:
    values = [set(table.rows[name].to_pylist()) for table in (left, right)]
    return len(values[0]) == len(values[1]) == 1 and values[0] != values[1]


def _rows_by_place(table: Table, keys: Sequence[str]) -> dict[tuple[object, ...], dict[str, Any]]:
    """Return the rows by the values of their keys; rows that the keys don't tell apart are left out."""
    rows: dict[tuple[object, ...], dict[str, Any]] = {}
    repeated: set[tuple[object, ...]] = set()
    for row in table.rows.to_pylist():
        place = tuple(row[name] for name in keys)
        repeated |= {place} & rows.keys()
        rows[place] = row
    return {place: row for place, row in rows.items() if place not in repeated}


def _pairs(
    left: Mapping[str, Any], right: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[ShownInterval, ShownInterval]]]:
    """Yield each quantity that both rows have with an interval."""
    for name in left:
        left_interval, right_interval = _interval(left, name), _interval(right, name)
        if left_interval and right_interval:
            yield name, (left_interval, right_interval)


def _interval(row: Mapping[str, Any], name: str) -> ShownInterval | None:
    """Return a quantity of a row with its interval; None if the row has none."""
    mean, low, high = row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high")
    return None if mean is None or low is None or high is None else ShownInterval(mean, low, high)
