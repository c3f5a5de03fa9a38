"""Formats for the rows of a query: table, Markdown, CSV, JSON and Parquet."""

import itertools
import json as json_writer
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from sweeper.errors import UsageError
from sweeper.report.export.row_files import csv_pieces, small_tables, write_parquet

from . import row_table, row_text, show
from .cells import cell_texts, column_kinds, json_columns

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


def begun(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Return a reader of the same rows, whose first rows are already read.

    Raises:
        StoreError: A part was damaged after it was verified.
        QueryError: The query is wrong in a way that shows when it runs.
    """
    first = list(itertools.islice(reader, 1))
    return pa.RecordBatchReader.from_batches(reader.schema, itertools.chain(first, reader))


def write_rows(rows: pa.RecordBatchReader, format: str, output: Path | None) -> None:
    """Print rows in a format, or write them to a file; few of them are held at a time."""
    if format == "parquet":
        if output is None:
            raise UsageError("Parquet is binary and can't be printed; name a file with -o FILE")
        with show.written_output(output) as stream:
            write_parquet(rows, stream)
    elif format == "table" and output is None and sys.stdout.isatty():
        print_rows(rows)
    else:
        text = markdown_pieces if output else text_pieces
        pieces = {"table": text, "markdown": markdown_pieces, "csv": csv_pieces, "json": json_pieces}[format](rows)
        if output is None:
            for piece in pieces:
                sys.stdout.write(piece)
        else:
            with show.written_output(output) as stream:
                stream.writelines(piece.encode() for piece in pieces)


def print_rows(rows: pa.RecordBatchReader) -> None:
    """Print rows on a terminal: the columns that fit it, and at most `MAX_PRINTED` rows."""
    printed, count = list[pa.RecordBatch](), 0
    for batch in rows:
        printed += [batch.slice(0, MAX_PRINTED - count)] if count < MAX_PRINTED else []
        count += batch.num_rows
    cells = cell_texts(pa.Table.from_batches(printed, rows.schema))
    lines = row_table.table_lines(rows.schema.names, cells, column_kinds(rows.schema), show.width())
    console = show.console()
    for number, line in enumerate(lines):
        console.print(line, style="" if number else "bold", soft_wrap=True)
    if count > MAX_PRINTED:
        show.say(f"{MAX_PRINTED} of {count} rows; --format csv prints all of them")


def text_pieces(rows: pa.RecordBatchReader) -> Iterator[str]:
    """Yield the pieces of a text with every cell: aligned columns if they fit `show.width()`, else lists of values."""
    batches = map(cell_texts, small_tables(rows))
    return row_text.pieces(rows.schema.names, batches, column_kinds(rows.schema), show.width())


def markdown_pieces(rows: pa.RecordBatchReader) -> Iterator[str]:
    """Yield the pieces of a table in GitHub's Markdown."""
    names = rows.schema.names
    yield _markdown_lines([names, ["---"] * len(names)])
    for table in small_tables(rows):
        yield _markdown_lines(cell_texts(table))


def _markdown_lines(lines: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(map(_escape_cell, line))} |\n" for line in lines)


def _escape_cell(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").splitlines())


def json_pieces(rows: pa.RecordBatchReader) -> Iterator[str]:
    """Yield the pieces of a JSON list of objects, with null for numbers that aren't finite."""
    names, separator = rows.schema.names, "[\n"
    for table in small_tables(rows):
        records = [dict(zip(names, row, strict=True)) for row in zip(*json_columns(table), strict=True)]
        text = json_writer.dumps(records, indent=2, ensure_ascii=False)
        yield separator + text.removeprefix("[\n").removesuffix("\n]")
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"
