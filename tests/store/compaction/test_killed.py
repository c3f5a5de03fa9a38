"""A process that compacts a store and is killed at each of its steps; the next one ends the work, and no view changes.

The process kills itself when it reports a step, which is the same as a kill at that moment.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.compaction import all_views, fill_store, part_paths

from sweeper.store.store import Store

COMPACTION = """
import os, signal, sys
from sweeper.store.store import Store

def progress(step, done, total):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

store = Store.open(sys.argv[1])
compactor = store.compactor(grace=0, progress=progress)
with store.lease() as lease:
    compactor.publish_all(lease.is_held)
    compactor.delete_replaced(lease.is_held)
    progress("end", 1, 1)
"""

STEPS = ["building", "publishing", "published", "reading back", "read back", "deleting", "deleted", "end"]


def compact_until(url: str, step: str) -> None:
    """Compact a store in a process of its own, which kills itself at a step."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.run([sys.executable, "-c", COMPACTION, url, step], env=environment, check=False, timeout=300)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("place", ["folder", pytest.param("bucket", marks=pytest.mark.slow)])
def test_a_compaction_that_is_killed_at_any_step_loses_and_doubles_nothing(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    url = str(tmp_path / "store") if place == "folder" else request.getfixturevalue("bucket").url
    store = Store.open(url, create=True)
    fill_store(store, 3)
    expected, done = all_views(store), store.done()
    for step in STEPS:
        compact_until(url, step)
        store = Store.open(url)
        assert all_views(store) == expected, step
        assert (store.done(), store.damage) == (done, []), step
    assert len(part_paths(store)) == 6
