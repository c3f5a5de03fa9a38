"""Packed rows hold what the CSV format writes, and little more than their different values."""

import csv
import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from sweeper.report.format import table_as_csv
from sweeper.report.page_parts.packed_rows import packed_chart, packed_rows


def unpacked(packed: dict) -> list[dict]:
    """Return the rows as the script of the page reads them."""
    columns = []
    for column in packed["columns"]:
        if "all" in column:
            columns.append([column["all"]] * packed["count"])
        elif "codes" in column:
            columns.append([column["values"][code] for code in column["codes"]])
        else:
            columns.append(column["rows"])
    return [dict(zip(packed["names"], row, strict=True)) for row in zip(*columns, strict=True)]


def test_the_rows_are_those_of_the_csv_format(demo_tables):
    for table in demo_tables.values():
        packed = json.loads(json.dumps(packed_rows(table.rows)))
        as_text = [
            {name: "" if value is None else str(value) for name, value in row.items()} for row in unpacked(packed)
        ]
        assert as_text == list(csv.DictReader(io.StringIO(table_as_csv(table), newline="")))


@pytest.mark.parametrize(
    ("column", "packed"),
    [
        (["a", "a", "a", "a"], {"all": "a"}),
        ([None, None], {"all": None}),
        (["a", "b", "a", "b"], {"values": ["a", "b"], "codes": [0, 1, 0, 1]}),
        ([0.5, 1.5, 2.5, 0.5], {"rows": [0.5, 1.5, 2.5, 0.5]}),
        ([True, False, None], {"rows": ["True", "False", None]}),
        ([float("nan"), float("-inf"), 1.0], {"rows": ["nan", "-inf", 1.0]}),
        ([2**60, 1, 2], {"rows": [str(2**60), 1, 2]}),
        ([datetime(2026, 1, 2, tzinfo=UTC)] * 2, {"all": "2026-01-02 00:00:00+00:00"}),
        ([[1.5], [2.5]], {"rows": ["[1.5]", "[2.5]"]}),
    ],
)
def test_a_column_takes_the_shortest_form_and_loses_no_digit(column, packed):
    assert packed_rows(pa.table({"x": column})) == {"names": ["x"], "count": len(column), "columns": [packed]}


def test_a_table_without_rows_has_its_names():
    packed = packed_rows(pa.table({"x": pa.array([], pa.int64())}))
    assert (packed["names"], packed["count"], unpacked(packed)) == (["x"], 0, [])


def test_the_rows_of_a_chart_are_packed_apart_from_its_specification():
    rows = [{"depth": 1 / 3, "line": "a", "known": True}, {"depth": 0.5, "line": "a", "known": None}]
    assert packed_chart({"mark": "line", "data": {"values": rows}}) == {
        "specification": {"mark": "line"},
        "data": {
            "names": ["depth", "line", "known"],
            "count": 2,
            "columns": [{"rows": [0.333333, 0.5]}, {"all": "a"}, {"rows": [True, None]}],
        },
    }


@pytest.mark.parametrize(
    "data", [{}, {"data": {"values": []}}, {"data": {"values": [{"x": 1}, {"y": 2}]}}, {"data": {"name": "x"}}]
)
def test_a_specification_without_equal_rows_stays_as_it_is(data):
    assert packed_chart({"mark": "line", **data}) == {"specification": {"mark": "line", **data}}
