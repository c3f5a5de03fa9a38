"""Tests of the export to Delta tables, which are read by deltalake."""

import importlib.util

import pyarrow as pa
import pytest

from sweeper.errors import SetupError
from sweeper.report.export import to_delta as module
from sweeper.report.export.earlier_export import check_replaceable
from sweeper.report.export.exported_views import ExportedView, columns_of
from sweeper.report.export.to_delta import to_delta

from .conftest import ORIGIN, rows_of

needs_deltalake = pytest.mark.skipif(
    importlib.util.find_spec("deltalake") is None, reason="not installed: pip install 'sweeper-stitching[delta]'"
)


@needs_deltalake
def test_deltalake_reads_every_value_and_comment(export, store, tmp_path):
    from deltalake import DeltaTable

    for _ in range(2):
        export(to_delta, tmp_path / "out", "stitches", "failures")
        check_replaceable(tmp_path / "out")
    for view in ("stitches", "failures"):
        table = DeltaTable(tmp_path / "out" / view)
        rows = pa.table(table.to_pyarrow_table()).sort_by("task")
        assert rows.to_pylist() == rows_of(store, view)
        assert rows.column_names == [column.name for column in columns_of(view, True)]
        assert all(field.metadata["comment"] for field in table.schema().fields)
        assert ORIGIN.version in table.metadata().description


def failing(*_: object, **__: object) -> None:
    """Fail as a library does that wraps the errors of the system."""
    raise RuntimeError("no space\nmore")


def consuming(_: str, rows: pa.RecordBatchReader, **__: object) -> None:
    """Read the rows, and report an error of the reader in other words."""
    try:
        rows.read_all()
    except Exception as error:
        raise RuntimeError("a reader failed") from error


class _Package:
    def __init__(self, write):
        self.write_deltalake = write


def test_what_the_library_cannot_write_is_a_sentence(export, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "import_module", lambda _: _Package(failing))
    with pytest.raises(SetupError, match=r"out can't be written \(no space\)"):
        export(to_delta, tmp_path / "out", "models")
    assert not any(path.name.startswith((".", "out")) for path in tmp_path.iterdir())


def test_an_error_of_the_store_stays_what_it_is(tmp_path, monkeypatch):
    def batches():
        raise ZeroDivisionError
        yield

    monkeypatch.setattr(module, "import_module", lambda _: _Package(consuming))
    columns = columns_of("models", False)[:1]
    view = ExportedView("models", columns, pa.schema([("task", pa.string())]), batches())
    with pytest.raises(ZeroDivisionError):
        to_delta([view], ORIGIN, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
