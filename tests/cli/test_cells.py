"""Tests of cells as numbers, truth values and texts: the same from every type of DuckDB."""

import duckdb
import pytest

from sweeper.cli.cells import json_columns, readable
from sweeper.store.query.result import result_table

# Expressions of SQL with the text that CSV has and the value that JSON has.
CELLS = {
    "{'a': 1, 'b': [1, NULL]}": ('{"a": 1, "b": [1, null]}', {"a": 1, "b": [1, None]}),
    "MAP {'k': 1.5}": ('{"k": 1.5}', {"k": 1.5}),
    "{'q': 'NaN'::DOUBLE}": ('{"q": null}', {"q": None}),
    "[DATE 'infinity']": ('["infinity"]', ["infinity"]),
    "12.340::DECIMAL(10, 3)": ("12.340", 12.34),
    "sum(7)": ("7", 7),
    "18446744073709551615::UBIGINT": ("18446744073709551615", 18446744073709551615),
    "340282366920938463463374607431768211455::UHUGEINT": (
        "340282366920938463463374607431768211455", "340282366920938463463374607431768211455"),
    "TIMESTAMP '2024-01-02 03:04:05.678'": ("2024-01-02 03:04:05.678", "2024-01-02 03:04:05.678"),
    "TIMESTAMPTZ '2024-01-02 03:04:05+02'": ("2024-01-02 01:04:05+00", "2024-01-02 01:04:05+00"),
    "TIMESTAMP 'infinity'": ("infinity", "infinity"),
    "DATE '20000-01-01'": ("20000-01-01", "20000-01-01"),
    "TIME '24:00:00'": ("24:00:00", "24:00:00"),
    "TIMETZ '01:02:03+02'": ("01:02:03+02", "01:02:03+02"),
    "INTERVAL 3 DAY": ("3 days", "3 days"),
    "[INTERVAL 3 DAY]": ("[3 days]", "[3 days]"),
    "NULL": ("", None),
    "'NaN'::DOUBLE": ("nan", None),
    "'-inf'::DOUBLE": ("-inf", None),
    "'\\xAA\\xBB'::BLOB": ("aabb", "aabb"),
    "'101'::BIT": ("101", "101"),
    "'11111111-2222-3333-4444-555555555555'::UUID": (
        "11111111-2222-3333-4444-555555555555", "11111111-2222-3333-4444-555555555555"),
    "'a'::ENUM('a', 'b')": ("a", "a"),
    "union_value(k := 1)": ("1", "1"),
    "42::VARIANT": ("42", "42"),
    "MAP {}": ("{}", "{}"),
    "true": ("true", True),
    "'x,\"y'": ('x,"y', 'x,"y'),
}  # fmt: skip


@pytest.mark.parametrize("expression", CELLS)
def test_a_cell_has_one_text_and_one_value_in_json(expression):
    with duckdb.connect(":memory:") as con:
        con.execute("SET TimeZone = 'UTC'")
        rows = result_table(con.sql(f"SELECT {expression} AS cell"))
    text, value = CELLS[expression]
    (cell,) = readable(rows)["cell"].to_pylist()
    assert ("" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)) == text
    assert json_columns(rows) == [[value]]


def test_no_rows_and_no_columns_stay_none():
    with duckdb.connect(":memory:") as con:
        assert readable(result_table(con.sql("SELECT [1] AS a, 'x'::BLOB AS b WHERE false"))).num_rows == 0
