"""The check of the values of a part against the class of its rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.spec.records.rows import Row, fields

_BATCH_ROWS = 1 << 14  # rows that are held at a time; with bitmaps of 10,000 images 20 MB


def wrong_values(row: type[Row], file: Path) -> str | None:
    """Read a part with the checksums of its pages, and return what is wrong with its values; None if nothing is.

    Args:
        row: The class of its rows.
        file: The part.
    """
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            for batch in parquet.iter_batches(_BATCH_ROWS):
                if problem := _problem(row, batch):
                    return f"it has its digest, but {problem}"
    except (pa.ArrowException, OSError, ValueError) as error:  # pyarrow raises all of them for damaged pages
        return f"it has its digest, but can't be read: {error}"
    return None


def _problem(row: type[Row], batch: pa.RecordBatch) -> str | None:
    for field in fields(row):
        if field.name not in batch.schema.names:
            continue
        column = batch[field.name]
        # A column that was added later is null in the rows of older parts that were merged.
        if column.null_count and not field.nullable and field.default is None:
            return f"{column.null_count} values of its column {field.name} are null"
        if field.type is float and not np.isfinite(column.drop_null().to_numpy(zero_copy_only=False)).all():
            return f"a value of its column {field.name} is not a finite number"
    return None
