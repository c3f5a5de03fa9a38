"""Formats for the rows of a query: table, Markdown, CSV, JSON and Parquet."""

import io
import json as json_writer
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from sweeper.errors import UsageError

from . import show

MAX_PRINTED = 1_000  # rows of a table on the terminal; the other formats print all rows


# The format of rows by the suffix of a file.
FORMATS = {
    ".csv": "csv",
    ".json": "json",
    ".md": "markdown",
    ".markdown": "markdown",
    ".parquet": "parquet",
    ".pq": "parquet",
}
# The format of tables by the suffix of a file.
TABLE_FORMATS = {".csv": "csv", ".json": "json", ".md": "markdown", ".markdown": "markdown", ".tex": "latex"}

AUDIT_FORMATS = {".json": "json", ".md": "markdown", ".markdown": "markdown"}


def choose_format(format: str | None, output: Path | None, by_suffix: Mapping[str, str] = FORMATS) -> str:
    """Return the format to write: the one that is named, else that of the file's suffix, else "table".

    Args:
        format: The format that the user named, if any.
        output: The file to write, if any.
        by_suffix: The formats by suffix.

    Raises:
        UsageError: The suffix is that of another format.
    """
    suffix = output.suffix.lower() if output else ""
    expected = by_suffix.get(suffix)
    if expected is None:
        return format or "table"
    if format is None or format == expected:
        return expected
    raise UsageError(f"-o {output}: a file with the suffix {suffix} is {expected}, not {format}; change one of the two")


def write_rows(rows: pa.Table, format: str, output: Path | None) -> None:
    """Print rows in a format, or write them to a file."""
    if format == "parquet":
        if output is None:
            raise UsageError("Parquet is binary and can't be printed; name a file with -o FILE")
        show.write_bytes(rows_as_parquet(rows), output)
    elif format == "table" and output is None:
        print_rows(rows)
    else:
        show.write(
            {"table": rows_as_markdown, "markdown": rows_as_markdown, "csv": rows_as_csv, "json": rows_as_json}[format](
                rows
            ),
            output,
        )


def print_rows(rows: pa.Table) -> None:
    """Print aligned columns, with numbers aligned to the right; at most `MAX_PRINTED` rows."""
    numeric = [
        field.name for field in rows.schema if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ]
    show.print_columns(rows.column_names, _cells(rows.slice(0, MAX_PRINTED)), numeric)
    if rows.num_rows > MAX_PRINTED:
        show.say(f"{MAX_PRINTED} of {rows.num_rows} rows; --format csv prints all of them")


def rows_as_markdown(rows: pa.Table) -> str:
    """Return a table in GitHub's Markdown."""
    lines = [rows.column_names, ["---"] * rows.num_columns, *_cells(rows)]
    return "\n".join(f"| {' | '.join(map(_escape_cell, line))} |" for line in lines)


def _escape_cell(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def rows_as_csv(rows: pa.Table) -> str:
    """Return CSV in full precision, with bytes as hexadecimal digits."""
    out = io.BytesIO()
    pyarrow.csv.write_csv(pa.table({name: _for_csv(rows[name]) for name in rows.column_names}), out)
    return out.getvalue().decode()


def rows_as_json(rows: pa.Table) -> str:
    """Return a JSON list of objects, with null for numbers that aren't finite and hexadecimal digits for bytes."""
    return json_writer.dumps([_plain(row) for row in rows.to_pylist()], indent=2, ensure_ascii=False, default=_text)


def rows_as_parquet(rows: pa.Table) -> bytes:
    """Return a Parquet file, compressed with zstd."""
    out = io.BytesIO()
    pyarrow.parquet.write_table(rows, out, compression="zstd")
    return out.getvalue()


def _cells(rows: pa.Table) -> list[list[str]]:
    return [[show.format_cell(value) for value in row.values()] for row in rows.to_pylist()]


def _for_csv(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """Return a column that CSV can hold: bytes as hexadecimal digits, nested values as JSON."""
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())
    if pa.types.is_nested(column.type):
        return pa.array([json_writer.dumps(value, default=_text) for value in column.to_pylist()], pa.string())
    return column


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
