"""Tests of saved states in a store: in a folder and in a bucket."""

import logging
import os
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from safetensors.numpy import save

from sweeper.spec.records.ident import digest
from sweeper.spec.records.saved_state import to_metadata
from sweeper.store import scratch as scratch_module
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Bucket, Objects
from sweeper.store.scratch import Scratch
from sweeper.store.store import Store

ONE, OTHER = digest(b"one computation"), digest(b"another computation")


@cache
def state(*tasks: str, step: int = 3) -> bytes:
    """Return the content of a saved state of some tasks; safetensors varies the order of its metadata."""
    return save({}, to_metadata(tasks, {"step": step}))


def test_a_state_is_read_by_its_computation_until_it_is_dropped(objects: Objects) -> None:
    scratch = Scratch(objects)
    path = scratch.write(ONE, state("a"))
    scratch.write(OTHER, state("b"))
    assert scratch.write(ONE, state("a")) == path, "the same state again changes nothing"
    assert scratch.read(ONE) == [(path, state("a"))]
    scratch.drop(path)
    scratch.drop(path)
    assert scratch.read(ONE) == []
    assert [content for _, content in scratch.read(OTHER)] == [state("b")]


@pytest.mark.parametrize("damage", [b"", state("a")[:-1], state("a")[:-1] + b"!"], ids=["empty", "cut", "flipped"])
def test_a_damaged_state_is_deleted_with_a_line(
    objects: Objects, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    scratch = Scratch(objects)
    path = scratch.write(ONE, state("a"))
    newer = scratch.write(ONE, state("a", step=4))
    objects.delete(path)
    objects.create(path, damage)
    with caplog.at_level(logging.WARNING):
        assert scratch.read(ONE) == [(newer, state("a", step=4))]
    assert f"the saved state {path} is damaged and was deleted; its tasks start anew" in caplog.text
    assert [info.path for info in objects.list(store_paths.SCRATCH)] == [newer]


def test_a_named_pipe_in_place_of_a_state_is_deleted(store: Store) -> None:
    path = store.scratch.write(ONE, state("a"))
    (Path(store.url) / path).unlink()
    os.mkfifo(Path(store.url) / path)
    assert store.scratch.read(ONE) == []
    assert store.objects.list(store_paths.SCRATCH) == []


def test_cleaning_deletes_what_no_task_continues_from(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = Scratch(objects)
    scratch.write(ONE, state("done"))
    scratch.write(ONE, b"not a state")
    objects.create(f"{store_paths.SCRATCH}note.txt", b"not a state")
    kept = [scratch.write(ONE, state("done", "missing")), scratch.write(OTHER, state("missing"))]
    scratch.clean({"done"})
    assert [info.path for info in objects.list(store_paths.SCRATCH)] == sorted(kept)

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(days=scratch_module.DAYS_KEPT, minutes=1)

    monkeypatch.setattr(scratch_module, "datetime", Later)
    scratch.clean({"done"})
    assert objects.list(store_paths.SCRATCH) == []


def test_states_change_nothing_that_a_reader_of_the_store_sees(store: Store) -> None:
    store.scratch.write(ONE, state("a"))
    assert Store.open(store.url).done() == set()
    assert store.damage == []


def test_a_bucket_keeps_states(bucket: Bucket) -> None:
    store = Store.open(bucket.url, create=True)
    path = store.scratch.write(ONE, state("a"))
    assert Store.open(bucket.url).scratch.read(ONE) == [(path, state("a"))]
