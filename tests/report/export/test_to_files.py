"""Tests of exports to Parquet and CSV, which are read by pyarrow, Python's csv and DuckDB."""

import csv
import json

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from sweeper.report.export.earlier_export import MARKER
from sweeper.report.export.to_files import to_csv, to_csv_folder, to_parquet

from .conftest import NUMBERS, ORIGIN, TEXTS, rows_of


def test_parquet_has_every_value_and_says_where_it_is_from(export, store, tmp_path):
    file = tmp_path / "x.parquet"
    export(to_parquet, file, "stitches")
    table = pq.read_table(file)
    assert table.sort_by("task").to_pylist() == rows_of(store, "stitches")
    assert json.loads(table.schema.metadata[b"sweeper"]) == {"store_version": ORIGIN.version, "sweeper": "0.1.0"}
    assert table.schema.field("gain").metadata[b"meaning"]
    assert duckdb.sql(f"SELECT options FROM '{file}' ORDER BY task").fetchall() == [
        (row["options"],) for row in rows_of(store, "stitches")
    ]


def test_parquet_can_be_without_bitmaps(export, tmp_path):
    export(to_parquet, tmp_path / "x.parquet", "models", has_bitmaps=False)
    assert not any(pa.types.is_binary(type) for type in pq.read_schema(tmp_path / "x.parquet").types)


def test_csv_keeps_texts_numbers_and_bytes(export, store, tmp_path):
    file = tmp_path / "x.csv"
    export(to_csv, file, "stitches")
    with file.open(encoding="utf-8", newline="") as lines:
        rows = sorted(csv.DictReader(lines), key=lambda row: row["task"])
    assert [row["options"] for row in rows] == [row["options"] for row in rows_of(store, "stitches")]
    assert [float(row["gain"]) for row in rows] == list(NUMBERS)
    assert [bytes.fromhex(row["correct"]) for row in rows] == [bytes([i]) * 7 for i in range(len(TEXTS))]
    assert "\\udce9 alone" in {row["options"] for row in rows}


def test_csv_tells_null_from_an_empty_text(export, store, tmp_path):
    file = tmp_path / "x.csv"
    export(to_csv, file, "stitches")
    kept = pa.csv.ConvertOptions(
        strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""],
        include_columns=["task", "options", "direct_error"],
    )  # fmt: skip
    table = pa.csv.read_csv(file, pa.csv.ReadOptions(), pa.csv.ParseOptions(newlines_in_values=True), kept)
    rows = table.sort_by("task").to_pylist()
    assert [row["options"] for row in rows] == [row["options"] for row in rows_of(store, "stitches")]
    assert {row["direct_error"] for row in rows} == {None}
    columns = duckdb.sql(f"SELECT count(*), count(direct_error) FROM read_csv('{file}', header = true)")
    assert columns.fetchall() == [(len(TEXTS), 0)]


def test_a_folder_has_a_csv_file_for_each_view(export, tmp_path):
    export(to_csv_folder, tmp_path / "out", "models", "failures")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"models.csv", "failures.csv", MARKER}
    with (tmp_path / "out" / "failures.csv").open(encoding="utf-8", newline="") as lines:
        messages = [row["message"] for row in csv.DictReader(lines)]
    assert sorted(messages) == sorted(text.replace("\udce9", "\\udce9") for text in TEXTS)
