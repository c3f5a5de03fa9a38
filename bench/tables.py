"""Seconds and memory of tables, of a report and of a query's result in a file, for stores of several sizes.

The size of the report's page stands beside them; its baseline is the largest that is allowed.

    python bench/tables.py [STITCHES ...]

A store has networks of four numbers of samples, which are stitched to each other at ten cuts, with the outcomes on
10,000 test images for each stitch. Each figure is from a process of its own; its memory is the largest resident set.
"""

import hashlib
import math
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from record import emit
from store import publish

from sweeper.spec.records.rows import ModelRow, StitchRow
from sweeper.store.store import Store

SIZES = (10_000, 100_000)
LEVELS = (500, 1000, 2000, 4000)
CUTS = [f"block{i}" for i in range(1, 11)]
BYTES = 1250  # of the outcomes on 10,000 images

PAGE_MEGABYTES = 3.0

COMMANDS = {
    "tables more_data": ("tables", "more_data", "--format", "json"),
    "tables more_data, images fixed": ("tables", "more_data", "--set", "images=fixed", "--format", "json"),
    "report": ("report", "-o", "{folder}/report.html"),
    "sql FROM stitches to Parquet": ("sql", "FROM stitches", "-o", "{folder}/stitches.parquet"),
    "sql 5 columns to CSV": ("sql", "SELECT task, a, b, cut_b, net_gain FROM stitches", "-o", "{folder}/stitches.csv"),
}


def main() -> None:
    """Fill a store of each size, measure, and print the figures."""
    for count in map(int, sys.argv[1:] or SIZES):
        with tempfile.TemporaryDirectory() as folder:
            os.environ |= {"SWEEPER_CACHE": f"{folder}/cache", "COLUMNS": "200"}
            stitches = fill(f"{folder}/store", count)
            _measure(("sql", "SELECT count(*) FROM stitches"), folder)  # check the parts once
            for name, arguments in COMMANDS.items():
                seconds, megabytes = _measure(arguments, folder)
                emit(f"{name} of {stitches} stitches", seconds, "s")
                emit(f"{name} of {stitches} stitches: memory", megabytes, "MB")
            page = Path(folder, "report.html").stat().st_size / 1e6
            emit(f"page of {stitches} stitches", page, "MB", PAGE_MEGABYTES, PAGE_MEGABYTES / page)


def fill(url: str, count: int) -> int:
    """Make a store of about `count` stitches and return their number."""
    store, random = Store.open(url, create=True), np.random.default_rng(0)
    seeds = max(2, round(math.sqrt(count / len(CUTS)) / len(LEVELS)))
    number = seeds * len(LEVELS)
    tasks = [hashlib.md5(f"m{i}".encode()).hexdigest() for i in range(number)]
    weights = [hashlib.sha256(task.encode()).hexdigest() for task in tasks]
    alone = random.integers(0, 256, (number, BYTES), np.uint8)
    publish(
        store, ModelRow, number, 0, task=tasks, training=tasks, weights=weights, seed=list(range(number)),
        samples=[LEVELS[i % len(LEVELS)] for i in range(number)], options=["{}"] * number, init=[None] * number,
        init_weights=[None] * number, shards=[1] * number, label_noise=[0.0] * number, correct=_packed(alone),
        test_error=_errors(alone),
    )  # fmt: skip
    for a in range(number):
        rows, b = number * len(CUTS), np.repeat(np.arange(number), len(CUTS))
        right = random.integers(0, 256, (rows, BYTES), np.uint8)
        gain, cuts = np.take(_errors(alone), b) - _errors(right), CUTS * number
        depths = [(i + 1) / len(CUTS) for i in range(len(CUTS))] * number
        publish(
            store, StitchRow, rows, a, a=[tasks[a]] * rows, b=[tasks[i] for i in b], cut_a=cuts, cut_b=cuts,
            task=[hashlib.md5(f"{a} {i}".encode()).hexdigest() for i in range(rows)], options=["{}"] * rows,
            a_weights=[weights[a]] * rows, b_weights=[weights[i] for i in b], sender=["network"] * rows,
            depth_a=depths, depth_b=depths,
            same_as=[None] * rows, affine_top=[False] * rows, probe_only=[False] * rows, gain=gain, penalty=-gain,
            test_error=_errors(right), b_error=np.take(_errors(alone), b), a_error=[_errors(alone)[a]] * rows,
            correct=_packed(right),
        )  # fmt: skip
    return number**2 * len(CUTS)


def _packed(right: np.ndarray) -> pa.Array:
    """Return bitmaps of shape (rows, bytes) as a column."""
    offsets = np.arange(0, right.size + 1, right.shape[1], dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), len(right), [None, pa.py_buffer(offsets), pa.py_buffer(right.tobytes())])


def _errors(right: np.ndarray) -> np.ndarray:
    """Return the error of each bitmap in percent."""
    return 100 - 100 * np.bitwise_count(right).sum(axis=1, dtype=int) / (8 * right.shape[1])


def _measure(arguments: tuple[str, ...], folder: str) -> tuple[float, float]:
    """Run a command on the store in `folder`, and return its seconds and its memory in megabytes."""
    start = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "sweeper",
        *(a.replace("{folder}", folder) for a in arguments),
        "--store",
        f"{folder}/store",
    ]
    process = os.posix_spawn(
        sys.executable, command, {**os.environ, "PYTHONPATH": _packages()},
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, f"{folder}/output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)],
    )  # fmt: skip
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / (1e3 if sys.platform == "linux" else 1e6)


def _packages() -> str:
    return str(Path(__file__).resolve().parents[1])


if __name__ == "__main__":
    main()
