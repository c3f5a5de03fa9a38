"""The exports that a new one may replace: only such as Sweeper made, and that nobody has changed since."""

import csv
import json
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet

from sweeper.errors import UsageError
from sweeper.store.query.views import VIEWS

from .exported_views import Origin, columns_of

ORIGIN = "sweeper"  # the key of a Parquet file's metadata, and the table of a DuckDB file, with the origin
MARKER = "sweeper-export.json"  # the file of a folder with the origin and the sizes of the other files


def check_replaceable(path: Path) -> None:
    """Check that an export may be written to a path: nothing is there, or an empty file or folder, or an export.

    Raises:
        UsageError: It may not.
    """
    if path.is_dir():
        if changes := _changes(path):
            raise UsageError(f"{path} is not replaced, because {changes}; delete it, or name another folder")
    elif path.is_file() and path.stat().st_size and not _is_export(path):
        raise UsageError(
            f"{path} is not replaced, because it is not an export of Sweeper; delete it, or name another file"
        )


def write_marker(folder: Path, origin: Origin) -> None:
    """Write the file that makes a folder an export, which the next export may replace.

    Raises:
        OSError: It can't be written.
    """
    content = {**json.loads(origin.to_json()), "files": _sizes(folder)}
    (folder / MARKER).write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def _sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of the files of a folder and its folders, by path, without the marker."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir() and path != folder / MARKER)
    return {path.relative_to(folder).as_posix(): path.lstat().st_size for path in files}


def _changes(folder: Path) -> str:
    """Return what a folder has that an export of Sweeper has not; "" if nothing."""
    sizes = _sizes(folder)
    try:
        written = dict(json.loads((folder / MARKER).read_text("utf-8"))["files"])
    except FileNotFoundError:
        return "it is not an export of Sweeper" if any(folder.iterdir()) else ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its {MARKER} can't be read ({error})"
    others = [name for name, size in sizes.items() if written.get(name) != size]
    return f"{others[0]} in it was added or changed since it was exported" if others else ""


def _is_export(file: Path) -> bool:
    return _is_parquet_export(file) or _is_csv_export(file) or _is_duckdb_export(file)


def _is_parquet_export(file: Path) -> bool:
    try:
        metadata = pyarrow.parquet.read_schema(file).metadata
    except (pa.ArrowException, OSError):
        return False
    return ORIGIN.encode() in (metadata or {})


def _is_csv_export(file: Path) -> bool:
    """Return True if the first line of a file has the columns of a view."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            header = next(csv.reader([lines.readline()]), [])
    except (OSError, ValueError, csv.Error):
        return False
    return any(
        header == [column.name for column in columns_of(view.name, has_bitmaps)]
        for view in VIEWS
        for has_bitmaps in (False, True)
    )


def _is_duckdb_export(file: Path) -> bool:
    try:
        with duckdb.connect(str(file), read_only=True) as con:
            return con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = $1", [ORIGIN]).fetchone() == (
                1,
            )
    except (duckdb.Error, UnicodeError):
        return False
