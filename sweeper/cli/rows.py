"""Formats for the rows of a query: table, Markdown, CSV, JSON and Parquet."""

import io
import json as json_writer
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from sweeper.errors import UsageError

from . import show
from .cells import json_columns, readable

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

TEXT_SUFFIXES = (".txt", ".log")  # of files that hold what the terminal would show

AUDIT_FORMATS = {".json": "json", ".md": "markdown", ".markdown": "markdown"}


def choose_format(format: str | None, output: Path | None, by_suffix: Mapping[str, str] = FORMATS) -> str:
    """Return the format to write: the one that is named, else that of the file's suffix, else "table".

    Args:
        format: The format that the user named, if any.
        output: The file to write, if any.
        by_suffix: The formats by suffix.

    Raises:
        UsageError: The suffix is that of another format, or none is named and the suffix is that of none.
    """
    suffix = output.suffix.lower() if output else ""
    expected = by_suffix.get(suffix)
    if expected is None:
        if format is None and suffix not in ("", *TEXT_SUFFIXES):
            raise UsageError(
                f"-o {output}: no format has the suffix {suffix}; the suffixes are {', '.join(by_suffix)}, and "
                "--format names a format for any other file"
            )
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
    """Print aligned columns, with numbers aligned to the right; at most `MAX_PRINTED` rows.

    If the names of the columns alone are wider than the terminal, print each row as a list of names and values.
    """
    numeric = [field.name for field in rows.schema if pa.types.is_integer(field.type) or _has_fraction(field.type)]
    names, cells = rows.column_names, _cells(rows.slice(0, MAX_PRINTED))
    if sum(map(len, names)) + 3 * len(names) <= show.width():
        show.print_columns(names, cells, numeric)
    else:
        for i, row in enumerate(cells, 1):
            show.write(f"row {i}")
            show.print_fields({f"  {name}": cell for name, cell in zip(names, row, strict=True)})
    if rows.num_rows > MAX_PRINTED:
        show.say(f"{MAX_PRINTED} of {rows.num_rows} rows; --format csv prints all of them")


def _has_fraction(type: pa.DataType) -> bool:
    return pa.types.is_floating(type) or pa.types.is_decimal(type)


def rows_as_markdown(rows: pa.Table) -> str:
    """Return a table in GitHub's Markdown."""
    lines = [rows.column_names, ["---"] * rows.num_columns, *_cells(rows)]
    return "\n".join(f"| {' | '.join(map(_escape_cell, line))} |" for line in lines)


def _escape_cell(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").splitlines())


def rows_as_csv(rows: pa.Table) -> str:
    """Return CSV in full precision, with the cells of `readable`."""
    out = io.BytesIO()
    pyarrow.csv.write_csv(readable(rows), out)
    return out.getvalue().decode()


def rows_as_json(rows: pa.Table) -> str:
    """Return a JSON list of objects, with null for numbers that aren't finite."""
    names, columns = rows.column_names, json_columns(rows)
    records = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return json_writer.dumps(records, indent=2, ensure_ascii=False)


def rows_as_parquet(rows: pa.Table) -> bytes:
    """Return a Parquet file, compressed with zstd."""
    out = io.BytesIO()
    pyarrow.parquet.write_table(rows, out, compression="zstd")
    return out.getvalue()


def _cells(rows: pa.Table) -> list[list[str]]:
    """Return the cells as people read them: those of `readable`, with numbers rounded and bytes counted."""
    texts = readable(rows).to_pylist()
    lengths = {
        field.name: rows[field.name].to_pylist()
        for field in rows.schema
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
    }
    return [
        [show.format_cell(lengths[name][i] if name in lengths else value) for name, value in row.items()]
        for i, row in enumerate(texts)
    ]
