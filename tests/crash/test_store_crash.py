"""A process that commits in a loop and is killed at random moments.

After each kill, all visible rows must be complete, and every commit that was reported must be visible.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeper.store.parts import store_paths
from sweeper.store.store import Store

WRITER = """
import sys
from support.store_rows import curve, model, stitch, weights_of
from sweeper.store.store import Store
store, first = Store.open(sys.argv[1], create=True), int(sys.argv[2])
for i in range(first, first + 10_000):
    task = f"m{i}"
    store.put_weights(weights_of(task) * 1000)
    rows = [curve(task, step) for step in (1, 2, 3)]
    store.commit([*rows, model(task, weights=store.put_weights(weights_of(task)))], run="r", worker=f"w{first}")
    store.commit([stitch(task, task, gain=float(i))], run="r", worker=f"w{first}")
    print(i, flush=True)
"""


def killed_writer(url: str, first: int, seconds: float) -> list[int]:
    """Start a writer, kill it `seconds` after its first commit, and return the numbers of its reported commits."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, url, str(first)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert writer.stdout
    lines = [writer.stdout.readline()]
    time.sleep(seconds)  # random: a kill may come at any moment
    writer.send_signal(signal.SIGKILL)
    lines += writer.communicate()[0].splitlines(keepends=True)
    return [int(line) for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("rounds", [4, pytest.param(25, marks=pytest.mark.slow)])
def test_all_rows_visible_after_a_kill_are_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    url, rng = str(tmp_path / "store"), random.Random(rounds)
    reported: set[int] = set()
    for number in range(rounds):
        reported |= set(killed_writer(url, number * 10_000, rng.uniform(0, 0.4)))
        store = Store.open(url)
        done = store.done()
        assert store.damage == []
        assert {f"m{i}" for i in reported} | {f"m{i}>m{i}@block1" for i in reported} <= done
    _check_completeness(Store.open(url))


def _check_completeness(store: Store) -> None:
    """Check that every visible row belongs to its task and has its weights and curve."""
    rows = store.sql("SELECT task, gain FROM stitches").to_pylist()
    assert all(row["task"].startswith(f"m{row['gain']:.0f}>") for row in rows)
    for info in store.objects.list(store_paths.WEIGHTS):
        digest = store_paths.parse_weights(info.path)
        assert digest is not None
        store.get_weights(digest)
    # Curves are published before the row that means done, so a visible model has all points of its curve.
    curves = "SELECT m.task FROM models m LEFT JOIN curves c ON c.task = m.task GROUP BY ALL HAVING count(c.step) <> 3"
    assert store.sql(curves).num_rows == 0
