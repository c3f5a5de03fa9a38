"""Queries can't read or write files, and the error of a wrong query suggests a correct name."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from support.store_rows import model

from sweeper.errors import QueryError
from sweeper.store.query.query import explained_error
from sweeper.store.store import Store

REFUSED_STATEMENTS = [
    "COPY models TO '{folder}/out.csv'",
    "COPY (SELECT 1) TO '{folder}/out.parquet'",
    "WITH a AS (COPY (SELECT 1) TO '{folder}/out.csv') SELECT 1",
    "SELECT 1; COPY (SELECT 1) TO '{folder}/out.csv'",
    "PREPARE p AS COPY (SELECT 1) TO '{folder}/out.csv'; EXECUTE p",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/out.csv'",
    "EXPORT DATABASE '{folder}/out'",
    "IMPORT DATABASE '{folder}'",
    "ATTACH '{folder}/out.db'",
    "ATTACH '{folder}/out.db' AS o; CREATE TABLE o.t AS SELECT 1",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{folder}/x.duckdb_extension'",
    "SELECT * FROM read_csv('{folder}/secret.csv')",
    "SELECT * FROM read_text('{folder}/secret.csv')",
    "SELECT * FROM read_blob('{folder}/secret.csv')",
    "SELECT * FROM read_parquet('{folder}/*.parquet')",
    "SELECT * FROM sniff_csv('{folder}/secret.csv')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM '{folder}/secret.csv'",
    "CREATE TABLE t (x INT); COPY t FROM '{folder}/secret.csv'",
    "CREATE PERSISTENT SECRET s (TYPE http)",
    "SET enable_external_access = true",
    "RESET enable_external_access",
    "SET lock_configuration = false",
    "RESET lock_configuration",
    "SET GLOBAL threads = 1",
    "SET temp_directory = '{folder}/out'",
    "SET home_directory = '{folder}'",
    "PRAGMA profiling_output = '{folder}/out.json'",
    "PRAGMA enable_profiling",
    "CALL enable_logging(storage = 'file', storage_config = {{'path': '{folder}/out'}})",
]


@pytest.mark.parametrize("statement", REFUSED_STATEMENTS)
def test_no_statement_reads_or_writes_the_disk(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "secret.csv").write_text("secret\n1\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    with pytest.raises(QueryError) as error_info:
        store.sql(statement.format(folder=folder))
    assert error_info.value.__cause__ is None
    assert [path.name for path in folder.rglob("*")] == ["secret.csv"]


def test_a_table_that_a_query_creates_exists_only_for_this_query(store: Store):
    store.sql("CREATE TABLE t AS SELECT 1 AS x")
    with pytest.raises(QueryError):
        store.sql("SELECT * FROM t")


def test_a_python_variable_of_the_caller_is_not_a_table(store: Store):
    variable = pa.table({"x": [1]})
    with pytest.raises(QueryError, match="variable"):
        store.sql("SELECT * FROM variable")
    assert variable.num_rows == 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT gian FROM stitches", "did you mean gain (in stitches)?"),
        ("SELECT s.gian FROM stitches s", "did you mean gain (in stitches)?"),
        ("SELECT 1 FROM stitches WHERE tets_error > 1", "did you mean test_error (in models, stitches)?"),
        ("SELECT * FROM stitch", "did you mean stitches (a view)?"),
        ("SELECT * FROM modles", "did you mean models (a view)?"),
        ("SELECT arch FROM stitches", "arch is a column of models"),
        ("SELECT xyzzy FROM models", "the views are models, stitches,"),
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT floorr(1)", "floorr"),
        ("SELECT sum(arch) FROM models", "sum"),
        ("SELECT count(* FROM models", "syntax error"),
    ],
)
def test_the_error_of_a_wrong_query_suggests_the_nearest_name(store: Store, query: str, message: str):
    with pytest.raises(QueryError) as error_info:
        store.sql(query)
    assert message in str(error_info.value)
    assert "Candidate" not in str(error_info.value)
    assert error_info.value.__cause__ is None


def test_an_empty_query_has_an_empty_result(store: Store):
    assert store.sql("").num_rows == 0


def test_a_value_that_cannot_be_converted_is_a_query_error(store: Store):
    store.commit([model("m1")], run="r", worker="w")
    with pytest.raises(QueryError, match="Could not convert"):
        store.sql("SELECT arch::INT FROM models")


def test_json_and_date_functions_need_no_download(store: Store):
    assert store.sql("SELECT '{\"width\": 4}'::JSON->>'width' AS width").to_pylist() == [{"width": "4"}]
    assert store.sql("SELECT date_trunc('day', TIMESTAMPTZ '2026-01-02 03:04:05+02') AS day").num_rows == 1


def test_a_connection_takes_parameters_and_is_closed_after_its_block(store: Store):
    with store.connect() as con:
        assert con.execute("SELECT count(*) FROM models WHERE samples > $n", {"n": 3}).fetchall() == [(0,)]
    with pytest.raises(duckdb.ConnectionException):
        con.execute("SELECT 1")


@pytest.mark.parametrize(("joins_as_written", "join"), [(True, "LEFT"), (False, "RIGHT")])
def test_a_join_holds_its_right_side_in_memory_if_joins_are_as_written(store: Store, joins_as_written: bool, join: str):
    query = "EXPLAIN SELECT * FROM range(10) AS few LEFT JOIN range(100_000) AS many ON few.range = many.range"
    with store.connect(joins_as_written=joins_as_written) as con:
        ((_, plan),) = con.execute(query).fetchall()
    assert f"Join Type: {join} " in plan


@pytest.mark.parametrize(
    ("last_line", "message"),
    [
        (
            "OSError: [Errno 28] No space left on device",
            "the query needs more than 1GB of memory and the free space of",
        ),
        ("ValueError: cannot reshape an array", "ValueError: cannot reshape an array"),
    ],
)
def test_only_a_full_disk_is_explained_as_a_lack_of_memory(
    monkeypatch: pytest.MonkeyPatch, last_line: str, message: str
):
    monkeypatch.setenv("SWEEPER_QUERY_MEMORY", "1GB")
    text = f"Traceback (most recent call last):\n  File x, line 1\n{last_line}\n"
    assert str(explained_error(duckdb.Error(text))).startswith(message)
