"""Parts: Parquet files with rows of one kind, which are published whole and never changed.

A part is built in memory, because an exception inside `with ParquetWriter(file)` leaves a valid file with too few rows.
Its pages have checksums, so that a scan detects a bit that flipped after the part's digest was checked.
"""

import io
from collections.abc import Sequence

import pyarrow.parquet as pq

from sweeper.spec.records.rows import Row
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Objects
from sweeper.store.parts.schema import to_table


def build_part(rows: Sequence[Row]) -> bytes:
    """Build the bytes of a Parquet file from rows of one kind; the same rows give the same bytes."""
    buffer = io.BytesIO()
    pq.write_table(to_table(rows), buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def publish(objects: Objects, rows: Sequence[Row], run: str, worker: str) -> str:
    """Publish rows of one kind by one put-if-absent and return the part's path.

    Publishing the same rows again gives the same path and changes nothing, because the name contains size and digest.

    Args:
        objects: The storage of the store.
        rows: At least one row; all of one kind.
        run: The id of the run.
        worker: The name of the worker.
    """
    content = build_part(rows)
    path = store_paths.part(rows[0].kind, run, worker, max(row.at for row in rows), content)
    objects.create(path, content)
    return path
