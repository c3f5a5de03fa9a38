"""Parts: Parquet files with rows of one kind, which are published whole and never changed.

A part is built in memory, because an exception inside `with ParquetWriter(file)` leaves a valid file with too few rows.
Its pages have checksums, so that a scan detects a bit that flipped after the part's digest was checked.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.spec.records.rows import Row
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Objects, put_whole
from sweeper.store.parts.schema import to_table

ROWS_PER_GROUP = 1 << 14  # of a file with the rows of many parts: a query skips groups, and scans each in a thread


def build_part(rows: Sequence[Row]) -> bytes:
    """Build the bytes of a Parquet file from rows of one kind; the same rows give the same bytes."""
    buffer = io.BytesIO()
    pq.write_table(to_table(rows), buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def publish(objects: Objects, rows: Sequence[Row], run: str, worker: str) -> str:
    """Publish rows of one kind by one put-if-absent and return the part's path.

    Publishing the same rows again gives the same path and changes nothing, because the name contains size and digest; a
    damaged part of this name is moved to `damaged/` and replaced.

    Args:
        objects: The storage of the store.
        rows: At least one row; all of one kind.
        run: The id of the run.
        worker: The name of the worker.
    """
    content = build_part(rows)
    path = store_paths.part(rows[0].kind, run, worker, max(row.at for row in rows), content)
    put_whole(objects, path, content)
    return path


def rewrite(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> bytes:
    """Return rows as the bytes of a Parquet file, with `ROWS_PER_GROUP` rows in each group but the last.

    The same rows in the same order give the same bytes, however they are divided into batches. Few batches are held at
    a time. Columns of bytes get no dictionary and no statistics: bitmaps hardly repeat, and no query compares them. The
    ids of tasks get no dictionary either, because nearly every row has another one.
    """
    names = [field.name for field in schema if field.type != pa.binary()]
    options: dict[str, Any] = {"use_dictionary": [n for n in names if n != "task"], "write_statistics": names}
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, schema, compression="zstd", write_page_checksum=True, **options) as writer:
        for group in _row_groups(batches):
            writer.write_table(group.select(schema.names).combine_chunks().cast(schema))
    return buffer.getvalue()


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the rows of batches in tables of `ROWS_PER_GROUP` rows; the last may have fewer.

    Batches are joined once for each group, because DuckDB gives one for each small part, often of ten rows.
    """
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += len(batch)
        if rows >= ROWS_PER_GROUP:
            table = pa.Table.from_batches(held)
            end = rows - rows % ROWS_PER_GROUP
            yield from (table.slice(start, ROWS_PER_GROUP) for start in range(0, end, ROWS_PER_GROUP))
            held, rows = table.slice(end).to_batches(), rows - end
    if rows:
        yield pa.Table.from_batches(held)
