"""Parts: Parquet files with rows of one kind, which are published whole and never changed.

A part is built in memory, because an exception inside `with ParquetWriter(file)` leaves a valid file with too few rows.
Its pages have checksums, so that a scan detects a bit that flipped after the part's digest was checked.
"""

import io
from collections.abc import Iterable, Sequence
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
    buffer, held = io.BytesIO(), schema.empty_table()
    with pq.ParquetWriter(buffer, schema, compression="zstd", write_page_checksum=True, **options) as writer:
        for batch in batches:
            held = pa.concat_tables([held, pa.Table.from_batches([batch]).select(schema.names).cast(schema)])
            while len(held) >= ROWS_PER_GROUP:
                writer.write_table(held.slice(0, ROWS_PER_GROUP).combine_chunks())
                held = held.slice(ROWS_PER_GROUP)
        if len(held):
            writer.write_table(held.combine_chunks())
    return buffer.getvalue()
