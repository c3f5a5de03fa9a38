"""Tests of what an export may replace."""

import shutil

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweeper.errors import UsageError
from sweeper.report.export.earlier_export import MARKER, check_replaceable
from sweeper.report.export.to_duckdb import to_duckdb
from sweeper.report.export.to_files import to_csv, to_csv_folder, to_parquet

WRITERS = {"x.parquet": to_parquet, "x.csv": to_csv, "x.duckdb": to_duckdb, "out": to_csv_folder}


@pytest.mark.parametrize(("name", "writer"), WRITERS.items())
@pytest.mark.parametrize("has_bitmaps", [False, True])
def test_an_earlier_export_is_replaced(export, tmp_path, name, writer, has_bitmaps):
    export(writer, tmp_path / name, "models", has_bitmaps=has_bitmaps)
    check_replaceable(tmp_path / name)
    export(writer, tmp_path / name, "stitches", has_bitmaps=has_bitmaps)
    check_replaceable(tmp_path / name)


def test_nothing_and_an_empty_file_or_folder_are_replaced(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.csv").touch()
    for name in ("nothing", "empty", "empty.csv"):
        check_replaceable(tmp_path / name)


def test_files_of_others_are_not_replaced(tmp_path):
    pq.write_table(pa.table({"task": ["x"]}), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("task,gain\nx,1\n")
    (tmp_path / "latin1.csv").write_bytes(b"\xe9\n")
    duckdb.connect(str(tmp_path / "a.duckdb")).close()
    for name in ("a.parquet", "a.csv", "latin1.csv", "a.duckdb"):
        with pytest.raises(UsageError, match=f"{name} is not replaced, because it is not an export of Sweeper"):
            check_replaceable(tmp_path / name)


def test_a_folder_of_others_or_with_changes_is_not_replaced(export, tmp_path):
    folder = tmp_path / "out"
    (folder / "mine").mkdir(parents=True)
    with pytest.raises(UsageError, match="it is not an export of Sweeper"):
        check_replaceable(folder)
    shutil.rmtree(folder)
    export(to_csv_folder, folder, "models")
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match=r"notes/mine\.txt in it was added or changed"):
        check_replaceable(folder)
    shutil.rmtree(folder / "notes")
    check_replaceable(folder)
    with (folder / "models.csv").open("a") as file:
        file.write("more\n")
    with pytest.raises(UsageError, match=r"models\.csv in it was added or changed"):
        check_replaceable(folder)
    (folder / MARKER).write_text("[]")
    with pytest.raises(UsageError, match=f"its {MARKER} can't be read"):
        check_replaceable(folder)
