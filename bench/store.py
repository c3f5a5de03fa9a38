"""Seconds of queries over a thousand small parts and over a million stitches.

    python bench/store.py

Seconds are the shortest of `REPETITIONS` measurements in one process, the first of which reads files into memory. For a
million stitches the baseline is DuckDB's own reader on the same files, which verifies no digests, joins nothing and
doesn't merge attempts.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from record import emit

from sweeper.spec.records.rows import FailureRow, ModelRow, Row, StitchRow
from sweeper.store.parts import store_paths
from sweeper.store.parts.schema import arrow_schema
from sweeper.store.store import Store

REPETITIONS = 5
BUDGET = 1.0  # seconds per query
IDS_SECONDS, IDS_MEMORY = 5.0, 500.0  # seconds and megabytes for the ids of a million tasks
MODELS = 1_000
VALUE_BY_TYPE = {"string": "x", "int64": 1, "double": 0.5, "bool": True, "binary": b"\x01" * 56}


def main() -> None:
    """Fill two stores, measure, and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SWEEPER_CACHE"] = f"{folder}/cache"
        small = _fill_store(f"{folder}/small", parts=1_000, rows=20)
        seconds = _shortest(lambda: small.sql("SELECT cut_b, avg(net_gain) FROM stitches GROUP BY ALL"))
        emit("sql over 1000 parts of 20 stitches", seconds, "s", BUDGET, BUDGET / seconds)
        large = _fill_store(f"{folder}/large", parts=100, rows=10_000)
        from_files = f"FROM read_parquet('{large.url}/rows/stitches/*.parquet')"
        for column in ("gain", "net_gain"):
            seconds = _shortest(lambda c=column: large.sql(f"SELECT cut_b, avg({c}) FROM stitches GROUP BY ALL"))
            baseline = _shortest(
                lambda: duckdb.execute(f"SELECT cut_b, avg(gain) {from_files} GROUP BY ALL").fetchall()
            )
            emit(f"sql: mean {column} by cut of a million stitches", seconds, "s", baseline, baseline / seconds)
        seconds = _shortest(large.set_aside)
        size = sum(entry.size for entry in large.objects.list(store_paths.ROWS)) / 1e6
        emit("parts checked", size / seconds, "MB/s")
        seconds = _shortest(large.done)
        emit("done() of a million stitches", seconds, "s", IDS_SECONDS, IDS_SECONDS / seconds)
        _emit_memory("done() of a million stitches", large, "done")
        _add_failures(large, parts=100, rows=10_000)
        seconds = _shortest(large.failed)
        emit("failed() of a million failed and a million done", seconds, "s", IDS_SECONDS, IDS_SECONDS / seconds)
        _emit_memory("failed() of a million failed and a million done", large, "failed")


def _emit_memory(name: str, store: Store, method: str) -> None:
    """Measure a method of a store in a process of its own, and print the figure."""
    code = (
        "import sys; from sweeper.store.store import Store; getattr(Store.open(sys.argv[1]), sys.argv[2])();"
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
    )
    command = [sys.executable, "-c", code, store.url, method]
    memory = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1e3
    emit(f"{name}: memory", memory, "MB", IDS_MEMORY, IDS_MEMORY / memory)


def _shortest(call: Callable[[], object]) -> float:
    def timed() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return min(timed() for _ in range(REPETITIONS))


def _fill_store(folder: str, parts: int, rows: int) -> Store:
    """Return a store of a thousand models and of stitches between them, of which one in a hundred is a self-stitch."""
    store, rng = Store.open(folder, create=True), np.random.default_rng(0)
    models = [hashlib.md5(f"m{i}".encode()).hexdigest() for i in range(MODELS)]
    weights = [hashlib.sha256(model.encode()).hexdigest() for model in models]
    publish(store, ModelRow, MODELS, 0, task=models, training=models, weights=weights)
    for part in range(parts):
        a, b, cut = rng.integers(0, MODELS, rows), rng.integers(0, MODELS, rows), rng.integers(1, 11, rows)
        a = np.where(np.arange(rows) % 100 == 0, b, a)
        cuts = [f"block{c}" for c in cut]
        sides = {"a": _take(models, a), "b": _take(models, b), "cut_a": cuts, "cut_b": cuts}
        digests = {"a_weights": _take(weights, a), "b_weights": _take(weights, b)}
        tasks = [hashlib.md5(f"{part} {i}".encode()).hexdigest() for i in range(rows)]
        publish(store, StitchRow, rows, part, task=tasks, gain=rng.normal(size=rows), **sides, **digests)
    return store


def _add_failures(store: Store, parts: int, rows: int) -> None:
    """Publish final failures of tasks that have no result."""
    for part in range(parts):
        tasks = [hashlib.md5(f"failed {part} {i}".encode()).hexdigest() for i in range(rows)]
        publish(store, FailureRow, rows, part, task=tasks, final=[True] * rows)


def _take(values: list[str], indices: np.ndarray) -> list[str]:
    return [values[i] for i in indices]


def publish(store: Store, row: type[Row], rows: int, number: int, **columns: object) -> None:
    """Publish a part of rows, column by column, since one Python object per row would take too long.

    Args:
        store: The store.
        row: The kind of row.
        rows: The number of rows.
        number: The number of the worker in whose name the part is published.
        columns: Values by column; the other columns get one value of their type (`VALUE_BY_TYPE`).
    """
    published_at = datetime.now(UTC)
    defaults = {f.name: [VALUE_BY_TYPE.get(str(f.type), published_at)] * rows for f in arrow_schema(row)}
    arrays = {
        name: pa.array(values, arrow_schema(row).field(name).type) for name, values in {**defaults, **columns}.items()
    }
    file = Path(f"{store.url}.parquet")
    pq.write_table(pa.table(arrays, arrow_schema(row)), file, compression="zstd", write_page_checksum=True)
    content = file.read_bytes()
    store.objects.create(store_paths.part(row.kind, "run", f"w{number}", published_at, content), content)


if __name__ == "__main__":
    main()
