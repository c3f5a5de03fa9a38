"""Tests of the result of a query: names that differ, and types that every format can hold."""

import io
import warnings

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweeper.store.query.result import result_reader, result_table


def table_of(query: str):
    with duckdb.connect(":memory:") as con, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return result_table(con.sql(query)), [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("SELECT 1 a, 2 a, 3 a", ["a", "a_1", "a_2"]),
        ("SELECT 1 a, 2 A", ["a", "A_1"]),
        ("SELECT 1 a_1, 2 a, 3 a", ["a_1", "a", "a_2"]),
        ("SELECT 1 a, 2 A, 3 a_1, 4 A_1", ["a", "A_2", "a_1", "A_1_1"]),
        ("SELECT 1 + 1, 1 + 1", ["(1 + 1)", "(1 + 1)_1"]),
        ('SELECT 1 AS "a\nb", 2 AS "a\nb"', ["a\nb", "a\nb_1"]),
    ],
)
def test_repeated_names_are_made_unique_as_sql_compares_them(query, names):
    table, messages = table_of(query)
    assert table.column_names == names
    assert [cell for (cell,) in (column.to_pylist() for column in table.columns)][:2] != [None, None]
    assert "have the same name and were renamed" in messages[0]


def test_names_that_differ_stay_without_a_word():
    table, messages = table_of('SELECT 1 AS a, 2 AS "a ", 3 AS b')
    assert (table.column_names, messages) == (["a", "a ", "b"], [])


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("INTERVAL 3 DAY", "3 days"),
        ("{'i': INTERVAL 1 HOUR}", "{'i': '01:00:00'}"),
        ("'101'::BIT", "101"),
        ("union_value(k := 1)", "1"),
        ("MAP {}", "{}"),
        ("TIMETZ '01:02:03+02'", "01:02:03+02"),
        ("340282366920938463463374607431768211455::UHUGEINT", "340282366920938463463374607431768211455"),
    ],
)
def test_a_type_that_parquet_cannot_hold_is_text(expression, value):
    table, _ = table_of(f"SELECT {expression} AS x, 1 AS n")
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    (row,) = pq.read_table(buffer).to_pylist()
    assert row["n"] == 1
    assert row["x"].replace("'01:00:00'", "01:00:00") == value.replace("'01:00:00'", "01:00:00")


@pytest.mark.parametrize("query", ["SELECT 1 a, 2 a, '1'::BIT c FROM range(20000)", "SELECT 1 AS a WHERE false"])
def test_a_reader_gives_the_rows_of_the_table_in_batches(query):
    expected, messages = table_of(query)
    with duckdb.connect(":memory:") as con, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        batches = list(result_reader(con.sql(query)))
    assert pa.Table.from_batches(batches, expected.schema).equals(expected)
    assert len(batches) == -(-expected.num_rows // 8192)
    assert [str(warning.message) for warning in caught] == messages


def test_a_query_that_fails_while_its_rows_are_read_raises_an_error_of_duckdb():
    with duckdb.connect(":memory:") as con:
        reader = result_reader(con.sql("SELECT if(range > 90000, error('it ends here'), 1) FROM range(200000)"))
        with pytest.raises(duckdb.Error, match="it ends here"):
            list(reader)
