"""Tests of rows as the content of files."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweeper.report.export import row_files
from sweeper.report.export.row_files import csv_pieces, small_tables, write_parquet

ROWS = pa.table({"n": list(range(1000)), "text": ["é" * 100] * 1000, "bytes": [b"\xff"] * 1000})


def reader() -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(ROWS.schema, ROWS.to_batches(max_chunksize=100))


def test_row_groups_have_a_bounded_size_and_keep_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_files, "_BYTES_OF_ROW_GROUP", ROWS.nbytes // 4)
    stream = io.BytesIO()
    write_parquet(reader(), stream)
    file = pq.ParquetFile(stream)
    assert file.num_row_groups == 4
    assert file.read().equals(ROWS)


def test_metadata_of_a_schema_is_written() -> None:
    stream = io.BytesIO()
    write_parquet(reader(), stream, ROWS.schema.with_metadata({"sweeper": "x"}))
    assert pq.read_schema(stream).metadata[b"sweeper"] == b"x"


def test_csv_is_one_text_with_one_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_files, "_BYTES_OF_PIECE", ROWS.nbytes // 20)
    assert len(list(small_tables(reader()))) >= 20
    lines = "".join(csv_pieces(reader())).splitlines()
    assert lines[0] == '"n","text","bytes"'
    assert lines[1:] == [f'{n},"{"é" * 100}","ff"' for n in range(1000)]
