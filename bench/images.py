"""Seconds and memory of intervals that cover other test images, for 100,000 stitches with 10,000 images each.

    python bench/images.py

The table has 100 A and 100 B at ten cuts, with 10^9 outcomes, and treats the images as a further random factor; the
baseline is the same table with the images held fixed. Another figure is the time to read the outcomes of one stitch
from the view `examples`, which unpacks only the queried rows.
"""

import os
import resource
import tempfile
import time
from collections.abc import Callable

import numpy as np
from record import emit
from store import publish

from sweeper.report.tables import tables
from sweeper.spec.records import ident
from sweeper.spec.records.rows import ModelRow, StitchRow
from sweeper.store.store import Store

MODELS, CUTS, IMAGES = 100, 10, 10_000


def main() -> None:
    """Fill a store, measure, and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SWEEPER_CACHE"] = f"{folder}/cache"
        store = _fill_store(f"{folder}/store")
        store.sql("SELECT count(*) FROM stitches")  # parts are checked and gathered
        fixed_seconds = _seconds(lambda: tables(store, ["more_data"], parameters={"images": "fixed"}))
        peak_before = _peak_megabytes()
        sampled_seconds = _seconds(lambda: tables(store, ["more_data"]))
        emit(
            "table of 100,000 stitches x 10,000 images",
            sampled_seconds,
            "s",
            fixed_seconds,
            fixed_seconds / sampled_seconds,
        )
        emit("memory that the images take in it", _peak_megabytes() - peak_before, "MB")
        (task,) = store.sql("SELECT min(task) FROM stitches").to_pydict().popitem()[1]
        with store.connect() as con:
            seconds = _seconds(
                lambda: con.sql(f"SELECT sum(correct::INT) FROM examples WHERE task = '{task}'").fetchall()
            )
        emit("one stitch's outcomes among 100,000", seconds, "s")


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _fill_store(folder: str) -> Store:
    """Return a new store in which B classifies three of four images correctly, and each stitch some more."""
    store, rng = Store.open(folder, create=True), np.random.default_rng(0)
    ids = np.array([ident.digest(f"{n}".encode()) for n in range(2 * MODELS)])
    outcomes = rng.random((2 * MODELS, IMAGES)) < 0.75
    samples = np.repeat([1000, 100], MODELS)
    publish(
        store, ModelRow, 2 * MODELS, 0, task=ids, training=ids, weights=ids, samples=samples,
        correct=_packed(outcomes), test_error=100 * (1 - outcomes.mean(axis=1)), steps=np.full(2 * MODELS, 100),
    )  # fmt: skip
    for a in range(MODELS):
        b = np.tile(np.arange(MODELS, 2 * MODELS), CUTS)
        cut = np.repeat(np.arange(1, CUTS + 1), MODELS)
        correct = outcomes[b] | (rng.random((len(b), IMAGES)) < 0.1)
        cuts = [f"block{c}" for c in cut]
        gain = 100 * (correct.mean(axis=1) - outcomes[b].mean(axis=1))
        publish(
            store, StitchRow, len(b), a, task=[ident.digest(f"{a} {n}".encode()) for n in range(len(b))],
            a=np.repeat(ids[a], len(b)), b=ids[b], a_weights=np.repeat(ids[a], len(b)), b_weights=ids[b],
            cut_a=cuts, cut_b=cuts, depth_a=cut / 11, depth_b=cut / 11, correct=_packed(correct), gain=gain,
            test_error=100 * (1 - correct.mean(axis=1)), b_error=100 * (1 - outcomes[b].mean(axis=1)),
            a_error=np.repeat(100 * (1 - outcomes[a].mean()), len(b)),
        )  # fmt: skip
    return store


def _packed(outcomes: np.ndarray) -> list[bytes]:
    """Return the bits of each row of booleans (rows, images), as they are stored."""
    return [row.tobytes() for row in np.packbits(outcomes, axis=1)]


if __name__ == "__main__":
    main()
