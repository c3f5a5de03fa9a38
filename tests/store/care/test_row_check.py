"""The values of a part: what a column of its class can't hold is found, also where a page has another checksum."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from support.store_rows import stitch

from sweeper.spec.records.rows import StitchRow
from sweeper.store.care.row_check import wrong_values
from sweeper.store.parts.part import build_part
from sweeper.store.parts.schema import to_table


def test_sound_values_have_no_problem(tmp_path: Path):
    file = tmp_path / "part.parquet"
    file.write_bytes(build_part([stitch("m1", "m2", drift=None)]))
    assert wrong_values(StitchRow, file) is None


def test_a_later_column_may_be_missing_or_null(tmp_path: Path):
    table = to_table([stitch("m1", "m2")])
    table = table.set_column(table.column_names.index("stop"), "stop", pa.array([None], pa.string()))
    pq.write_table(table.drop_columns(["sender"]), tmp_path / "part.parquet")
    assert wrong_values(StitchRow, tmp_path / "part.parquet") is None


def test_a_value_that_differs_from_the_checksum_of_its_page_is_found(tmp_path: Path):
    file = tmp_path / "part.parquet"
    pq.write_table(to_table([stitch("m1", "m2")]), file, compression="none", write_page_checksum=True)
    content = file.read_bytes()
    assert content.count(b"m1>m2@block1") > 1
    file.write_bytes(content.replace(b"m1>m2@block1", b"m1>m3@block1", 1))
    assert str(wrong_values(StitchRow, file)).startswith("it has its digest, but can't be read: ")
