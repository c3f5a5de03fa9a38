"""The repair moves what is damaged, only while no driver works, and leaves a sound store."""

import os
from pathlib import Path

import pytest
from support.damage import flipped
from support.store_rows import model, stitch, weights_of

from sweeper.errors import StoreBusy
from sweeper.store.care.full_check import check_all_files
from sweeper.store.care.repair import repair_store
from sweeper.store.parts import store_paths
from sweeper.store.store import Store


@pytest.fixture
def damaged(store: Store) -> tuple[Store, set[str]]:
    """Return a store of two models and two stitches with a damaged part, weights and progress, and their paths."""
    for name in ("m1", "m2"):
        store.put_weights(weights_of(name))
    store.commit([model("m1"), model("m2")], run="r", worker="w")
    for b in ("m1", "m2"):
        store.commit([stitch("m1", b)], run="r", worker=b)
    store.objects.create(store_paths.progress_object("r", 1), b"{}")
    paths = {
        store.objects.list("rows/stitches/")[0].path,
        store_paths.weights(model("m2").weights),
        store_paths.progress_object("r", 1),
    }
    for path in paths:
        file = Path(store.url, path)
        file.write_bytes(flipped(file.read_bytes(), 3))
    return store, paths


def test_what_is_damaged_is_moved_and_the_rest_is_sound(damaged: tuple[Store, set[str]]):
    store, paths = damaged
    repair = repair_store(store)
    assert {damage.path for damage in repair.moved} == {damage.path for damage in repair.check.damaged} == paths
    assert all(Path(store.url, "damaged", path).exists() and not Path(store.url, path).exists() for path in paths)
    check = check_all_files(store)
    assert check.damaged == []
    assert [lost.model for lost in check.lost_weights] == ["m2"]
    assert store.done() == {"m1", "m1>m2@block1"}
    store.put_weights(weights_of("m2"))
    assert check_all_files(store).sound


def test_nothing_is_moved_while_a_driver_works(damaged: tuple[Store, set[str]]):
    store, paths = damaged
    with store.lease(), pytest.raises(StoreBusy, match="is in use by process"):
        repair_store(Store.open(store.url))
    assert all(Path(store.url, path).exists() for path in paths)


def test_a_damaged_lease_object_does_not_keep_the_repair_from_working(damaged: tuple[Store, set[str]]):
    store, paths = damaged
    store.objects.create(store_paths.lease(7), b"{")
    assert {damage.path for damage in repair_store(store).moved} == {*paths, store_paths.lease(7)}
    assert store.driver() is None


def test_a_pipe_in_place_of_weights_is_moved(store: Store):
    file = Path(store.url, store_paths.weights("a" * 64))
    file.parent.mkdir(exist_ok=True)
    os.mkfifo(file)
    assert [damage.path for damage in repair_store(store).moved] == [store_paths.weights("a" * 64)]
    assert check_all_files(store).sound
