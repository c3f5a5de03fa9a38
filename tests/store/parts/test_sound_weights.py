"""Weights are checked once on a machine and when they change; a damaged file makes its model missing at once."""

import os
from pathlib import Path

import pytest
from support.damage import flipped
from support.store_rows import model, weights_of

from sweeper.errors import WeightsError
from sweeper.store.parts import sound_weights, store_paths
from sweeper.store.parts.objects import Bucket
from sweeper.store.store import Store

NAMES = ("m1", "m2", "m3")


@pytest.fixture
def filled(store: Store) -> Store:
    """Fill a store with three models and their weights."""
    fill(store)
    return store


def fill(store: Store) -> None:
    """Store three models and their weights."""
    for name in NAMES:
        store.put_weights(weights_of(name))
    store.commit([model(name) for name in NAMES], run="r", worker="w")


def file_of(store: Store, name: str) -> Path:
    """Return the file of the weights of a model."""
    return Path(store.url, store_paths.weights(model(name).weights))


@pytest.mark.parametrize("known", [True, False])
def test_a_flipped_bit_makes_a_model_missing_and_names_the_file(filled: Store, known: bool):
    if known:
        assert filled.done() == set(NAMES)
    file = file_of(filled, "m2")
    file.write_bytes(flipped(file.read_bytes(), 5))
    assert filled.done() == filled.weights().keys() == {"m1", "m3"}
    path = store_paths.weights(file.stem)
    assert filled.damage == [(path, "its content has another digest than its name")]
    assert [damage.path for damage in Store.open(filled.url).set_aside()] == [path]
    assert not file.exists()
    filled.put_weights(weights_of("m2"))
    assert filled.done() == set(NAMES)
    assert filled.damage == []


def test_sound_weights_are_read_once(filled: Store, monkeypatch: pytest.MonkeyPatch):
    assert filled.done() == set(NAMES)
    os.utime(file_of(filled, "m3"))  # it changed
    read: list[str] = []
    original = sound_weights._read
    monkeypatch.setattr(sound_weights, "_read", lambda file, path: read.append(path) or original(file, path))
    assert Store.open(filled.url).done() == set(NAMES)
    assert Store.open(filled.url).done() == set(NAMES)
    assert read == [store_paths.weights(file_of(filled, "m3").stem)]


def test_a_look_reads_a_limited_number_of_bytes_but_all_that_changed(filled: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sound_weights, "_BYTES_A_LOOK", 0)
    damaged = [file_of(filled, name) for name in ("m1", "m2")]
    for file in damaged:
        file.write_bytes(b"other")
    missing = [len(NAMES) - len(Store.open(filled.url).done()) for _ in range(4)]
    assert missing == sorted(missing), "each look checks one file more"
    assert missing[-1] == 2
    third = file_of(filled, "m3")
    third.write_bytes(b"other")
    assert Store.open(filled.url).done() == set()


@pytest.mark.parametrize("kind", ["pipe", "loop"])
def test_weights_that_are_no_file_are_damaged(filled: Store, kind: str):
    file = file_of(filled, "m1")
    file.unlink()
    os.mkfifo(file) if kind == "pipe" else file.symlink_to(file)
    assert filled.done() == {"m2", "m3"}
    assert filled.damage == [(store_paths.weights(file.stem), "it is not a regular file")]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="it gives the error of a bad disk")
def test_weights_that_their_disk_cannot_read_are_damaged(filled: Store):
    file = file_of(filled, "m1")
    file.unlink()
    file.symlink_to("/proc/self/mem")
    assert filled.done() == {"m2", "m3"}
    assert filled.damage == [(store_paths.weights(file.stem), "its disk can't read it: Input/output error")]
    with pytest.raises(WeightsError, match="can't be read from its disk: Input/output error"):
        filled.get_weights(file.stem)
    assert [damage.path for damage in filled.set_aside()] == [store_paths.weights(file.stem)]
    assert file.parent.parent.joinpath("damaged", store_paths.weights(file.stem)).is_symlink()


def test_weights_in_a_bucket_are_believed_until_they_are_read_or_set_aside(bucket: Bucket):
    store = Store.open(bucket.url, create=True)
    fill(store)
    path = store_paths.weights(model("m1").weights)
    bucket.delete(path)
    bucket.create(path, b"other")
    assert store.done() == set(NAMES)
    store.set_aside_weights(model("m1").weights)
    store.set_aside_weights(model("m2").weights)
    assert store.done() == {"m2", "m3"}
    assert bucket.read(store_paths.DAMAGED + path) == b"other"
