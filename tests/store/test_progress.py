"""Tests of the progress that a driver publishes in its store."""

import json
from dataclasses import replace

import pytest

from sweeper.store.parts import store_paths
from sweeper.store.progress import NodeProgress, Progress
from sweeper.store.store import Store

NODE = NodeProgress("box", places=4, running=2, starting=1, used=0.5, longest=12.5)
PROGRESS = Progress(
    "20260102T030405-1", "2026-01-02T03:04:05+00:00", done=3, failed=1, blocked=0, running=2, starting=1, queued=7,
    rate=0.5, left=60.0, left_range=(50.0, 70.0), nodes=(NODE,),
)  # fmt: skip


@pytest.fixture
def store(tmp_path) -> Store:
    return Store.open(str(tmp_path / "store"), create=True)


def test_the_latest_progress_of_a_run_is_read_by_another_process(store):
    log = store.progress_log(PROGRESS.run)
    for done in range(12):
        log.publish(replace(PROGRESS, done=done))
    assert Store.open(store.url).progress(PROGRESS.run) == replace(PROGRESS, done=11)
    assert store.progress("another run") is None
    assert len(store.objects.list(store_paths.PROGRESS)) == 2, "older objects are deleted"
    log.clear()
    assert store.progress(PROGRESS.run) is None


def test_what_a_killed_driver_left_is_deleted_by_the_next_one(store):
    store.progress_log(PROGRESS.run).publish(PROGRESS)
    store.progress_log("20260102T040000-2").publish(replace(PROGRESS, run="20260102T040000-2"))
    assert store.progress(PROGRESS.run) is None
    assert len(store.objects.list(store_paths.PROGRESS)) == 1


def test_a_truncated_object_is_skipped_and_fields_of_a_later_version_are_left_out(store):
    log = store.progress_log(PROGRESS.run)
    log.publish(PROGRESS)
    store.objects.create(store_paths.progress_object(PROGRESS.run, 2), b'{"run": ')
    assert store.progress(PROGRESS.run) == PROGRESS
    content = json.loads(store.objects.read(store_paths.progress_object(PROGRESS.run, 1)))
    content |= {"later": 1, "nodes": [content["nodes"][0] | {"later": 2}]}
    store.objects.create(store_paths.progress_object(PROGRESS.run, 3), json.dumps(content).encode())
    assert store.progress(PROGRESS.run) == PROGRESS
