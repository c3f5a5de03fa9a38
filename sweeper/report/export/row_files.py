"""The rows of a result as the content of a Parquet or CSV file; few of them are held at a time."""

import io
import itertools
import json
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

_BYTES_OF_ROW_GROUP = 64 << 20  # of a Parquet file, in memory
_BYTES_OF_PIECE = 4 << 20  # of rows that are turned into text at a time


def write_parquet(rows: pa.RecordBatchReader, stream: BinaryIO, schema: pa.Schema | None = None) -> None:
    """Write a Parquet file, compressed with zstd, in row groups of at most `_BYTES_OF_ROW_GROUP` and one batch.

    Args:
        rows: The rows.
        stream: The file.
        schema: The schema of the rows with the metadata that the file gets; None: without any.
    """
    held, size = list[pa.RecordBatch](), 0
    with pyarrow.parquet.ParquetWriter(stream, schema or rows.schema, compression="zstd") as writer:
        for batch in rows:
            held.append(batch)
            size += batch.nbytes
            if size >= _BYTES_OF_ROW_GROUP:
                writer.write_table(pa.Table.from_batches(held))
                held, size = [], 0
        if held:
            writer.write_table(pa.Table.from_batches(held))


def csv_pieces(rows: pa.RecordBatchReader) -> Iterator[str]:
    """Yield the pieces of CSV in full precision, with the cells of `readable`."""
    tables = itertools.chain([rows.schema.empty_table()], small_tables(rows))
    for number, table in enumerate(tables):
        out = io.BytesIO()
        pyarrow.csv.write_csv(readable(table), out, pyarrow.csv.WriteOptions(include_header=number == 0))
        yield out.getvalue().decode()


def readable(rows: pa.Table) -> pa.Table:
    """Return a table whose columns are numbers, truth values or texts.

    Times are as DuckDB prints them, bytes are hexadecimal digits, and lists, structs and maps are JSON.
    """
    expressions = [_expression(f"c{i}", type) for i, type in enumerate(rows.schema.types)]
    if all(expression == f"c{i}" for i, expression in enumerate(expressions)):
        return rows
    import duckdb

    columns = rows.rename_columns([f"c{i}" for i in range(rows.num_columns)])
    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": False}) as con:
        con.execute("SET TimeZone = 'UTC'")
        texts = con.from_arrow(columns).project(", ".join(expressions)).to_arrow_table()
    texts = texts.rename_columns(rows.column_names)
    for i, type in enumerate(rows.schema.types):
        if pa.types.is_nested(type):
            cells = [None if text is None else _finite_json(text) for text in texts.column(i).to_pylist()]
            texts = texts.set_column(i, rows.column_names[i], pa.array(cells, pa.string()))
    return texts


def small_tables(rows: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Yield the rows in tables of about `_BYTES_OF_PIECE`, none of which is empty."""
    for batch in rows:
        step = max(1, batch.num_rows * _BYTES_OF_PIECE // max(1, batch.nbytes))
        for start in range(0, batch.num_rows, step):
            yield pa.Table.from_batches([batch.slice(start, step)])


def _expression(column: str, type: pa.DataType) -> str:
    """Return the SQL expression of a readable column."""
    if pa.types.is_nested(type):
        return f"to_json({column})::VARCHAR AS {column}"
    if is_bytes(type):
        return f"lower(hex({column})) AS {column}"
    if pa.types.is_temporal(type) or pa.types.is_dictionary(type):
        return f"{column}::VARCHAR AS {column}"
    return column


def is_bytes(type: pa.DataType) -> bool:
    """Return True if values of a type are bytes."""
    return pa.types.is_binary(type) or pa.types.is_large_binary(type)


def _finite_json(text: str) -> str:
    """Return JSON in which NaN and infinities, which JSON doesn't have, are null."""
    return json.dumps(json.loads(text, parse_constant=lambda _: None), ensure_ascii=False)
