"""Tests of exports to a DuckDB file, which is opened by another process."""

import json
import subprocess
import sys

import pytest

from sweeper.errors import SetupError
from sweeper.report.export.to_duckdb import to_duckdb

from .conftest import ORIGIN, rows_of

READ = """
import duckdb, json, sys
with duckdb.connect(sys.argv[1], read_only=True) as con:
    print(json.dumps({
        "rows": con.sql("FROM stitches ORDER BY task").to_arrow_table().to_pylist(),
        "tables": [name for (name,) in con.execute("SHOW TABLES").fetchall()],
        "origin": con.execute("FROM sweeper").fetchall(),
        "columns": [row[:2] for row in con.execute("DESCRIBE stitches").fetchall()],
        "comments": con.execute("SELECT column_name, comment FROM duckdb_columns() "
            "WHERE table_name = 'stitches' ORDER BY column_index").fetchall(),
    }, default=lambda value: value.hex() if isinstance(value, bytes) else value.isoformat()))
"""


def read(file):
    """Return what another process finds in a DuckDB file."""
    process = subprocess.run([sys.executable, "-c", READ, str(file)], capture_output=True, text=True, check=True)
    return json.loads(process.stdout)


def test_another_process_reads_every_value_type_and_comment(export, store, tmp_path):
    file = tmp_path / "x.duckdb"
    export(to_duckdb, file, "models", "stitches", "failures")
    content = read(file)
    as_json = json.dumps(
        rows_of(store, "stitches"), default=lambda value: value.hex() if isinstance(value, bytes) else value.isoformat()
    )
    assert content["rows"] == json.loads(as_json)
    assert set(content["tables"]) == {"models", "stitches", "failures", "sweeper"}
    assert content["origin"] == [list(ORIGIN)]
    with store.connect() as connection:
        assert content["columns"] == [list(row[:2]) for row in connection.execute("DESCRIBE stitches").fetchall()]
    comments = dict(content["comments"])
    assert comments["net_gain"].endswith("(%)")
    assert all(comments.values())
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(("x", "."))] == ["x.duckdb"]


def test_a_file_that_cannot_be_written_is_no_error_of_the_store(export, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"x\.duckdb can't be written"):
        export(to_duckdb, tmp_path / "file" / "x.duckdb", "models")
