"""Stores of many stitches, whose parts are made column by column because an object for each row would take too long."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from support.store_rows import model, put_part, stitch
from sweeper.spec.records import ident
from sweeper.store.parts.schema import to_table
from sweeper.store.store import Store

MODELS = 20


def put_stitches(store: Store, count: int, bitmap_bytes: int, parts: int = 2) -> None:
    """Publish stitches between a few models in several parts; their ids, values and outcomes differ at random."""
    rng = np.random.default_rng(0)
    store.commit([model(f"m{i}") for i in range(MODELS)], run="r", worker="w")
    template = to_table([stitch("m0", "m1")])
    for part in range(parts):
        rows = count // parts
        a, b = rng.integers(0, MODELS, rows), rng.integers(0, MODELS, rows)
        columns: dict[str, Sequence[object]] = {
            "task": [ident.digest(f"{part} {row}".encode())[:32] for row in range(rows)],
            "a": [f"m{i}" for i in a],
            "b": [f"m{i}" for i in b],
            "gain": rng.normal(size=rows).tolist(),
            "test_error": rng.normal(size=rows).tolist(),
            "correct": [rng.bytes(bitmap_bytes) for _ in range(rows)],
        }
        arrays = [
            pa.array(columns.get(name, [template[name][0].as_py()] * rows), template.schema.field(name).type)
            for name in template.column_names
        ]
        put_part(store, pa.table(arrays, template.schema))


def column_ranges(content: bytes, column: str) -> list[tuple[int, int]]:
    """Return where the values of a column lie in a Parquet file, the first byte and the one after the last."""
    metadata, ranges = pq.read_metadata(pa.BufferReader(content)), []
    number = metadata.schema.names.index(column)
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        chunk = group.column(number)
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        ranges.append((start, start + chunk.total_compressed_size))
    return ranges
