"""The full check of a store: it finds every damage, also what nobody has read since, and changes nothing."""

import math
import os
from pathlib import Path

import pyarrow as pa
import pytest
from support.damage import flipped
from support.saved_states import state_of
from support.store_rows import model, put_part, stitch, weights_of

from sweeper.spec.records import ident
from sweeper.store.care.full_check import check_all_files
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Objects
from sweeper.store.parts.schema import to_table
from sweeper.store.store import Store


@pytest.fixture
def filled(objects: Objects) -> Store:
    """Fill a store in a folder or a bucket with two models, their weights and two parts of stitches."""
    store = Store.open(objects.url, create=True)
    for name in ("m1", "m2"):
        store.put_weights(weights_of(name))
    store.commit([model("m1"), model("m2")], run="r", worker="w")
    for b in ("m1", "m2"):
        store.commit([stitch("m1", b)], run="r", worker=b)
    return store


def replace(store: Store, path: str, content: bytes) -> None:
    """Replace the content of an object."""
    store.objects.delete(path)
    assert store.objects.create(path, content)


def damage_of(store: Store) -> dict[str, str]:
    """Return the reason of each damage, by path."""
    return dict(check_all_files(store).damaged)


def test_a_sound_store_is_counted(filled: Store):
    steps: list[str] = []
    check = check_all_files(filled, lambda step, done, total: steps.append(step))
    assert check.sound
    assert (check.parts, check.rows, check.weights) == (3, 4, 2)
    assert check.part_bytes == sum(info.size for info in filled.objects.list("rows/"))
    assert list(dict.fromkeys(steps)) == [
        "comparing digests of parts", "reading rows", "comparing digests of weights", "comparing rows",
    ]  # fmt: skip
    assert check.mixes == check.repeats == check.foreign == []
    assert check.set_aside == 0


def test_damage_since_the_last_look_is_found(filled: Store):
    assert len(filled.done()) == 4
    part = filled.objects.list("rows/stitches/")[0].path
    weights = store_paths.weights(ident.digest(weights_of("m2")))
    for path in (part, weights):
        replace(filled, path, flipped(filled.objects.read(path), 100))
    check = check_all_files(filled)
    assert not check.sound
    assert {damage.path for damage in check.damaged} == {part, weights}
    assert [lost.model for lost in check.lost_weights] == ["m2"]
    assert (check.parts, check.rows, check.weights) == (2, 3, 1)
    assert check.damaged == check_all_files(filled).damaged, "nothing was moved"


def test_deleted_weights_of_a_model_are_lost(filled: Store):
    filled.objects.delete(store_paths.weights(ident.digest(weights_of("m1"))))
    check = check_all_files(filled)
    assert not check.sound
    assert check.lost_weights == [("m1", ident.digest(weights_of("m1")))]
    assert check.damaged == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda table: table.set_column(0, "task", pa.array([None], pa.string())),
            "1 values of its column task are null",
        ),
        (
            lambda table: table.set_column(table.column_names.index("gain"), "gain", pa.array([math.nan])),
            "a value of its column gain is not a finite number",
        ),
    ],
)
def test_wrong_values_are_found_and_left_out_from_then_on(filled: Store, change, reason: str):
    path = put_part(filled, change(to_table([stitch("m2", "m2")])))
    assert reason in damage_of(filled)[path]
    assert filled.sql("FROM stitches").num_rows == 2
    assert [damage.path for damage in Store.open(filled.url).set_aside()] == [path]


def test_saved_states_versions_lease_and_progress_objects_are_read(filled: Store):
    good, bad = state_of(("m1",)), b"no state"
    filled.objects.create(store_paths.saved_state("0" * 64, good), good)
    filled.objects.create(store_paths.saved_state("1" * 64, bad), bad)
    damaged = store_paths.saved_state("2" * 64, good)
    filled.objects.create(damaged, flipped(good, 70))
    filled.objects.create(store_paths.lease(3), b"{")
    filled.objects.create(store_paths.progress_object("r", 1), b"[]")
    filled.objects.create(store_paths.version_list("0" * 16), b"{}")
    filled.objects.create("progress/notes.txt", b"x")
    check = check_all_files(filled)
    assert check.others == 1
    assert check.foreign == ["progress/notes.txt"]
    reasons = dict(check.damaged)
    assert reasons[damaged] == "its content has another digest than its name"
    assert "is not a saved state" in reasons[store_paths.saved_state("1" * 64, bad)]
    assert "is not JSON" in reasons[store_paths.lease(3)]
    assert "another digest" in reasons[store_paths.version_list("0" * 16)]
    assert reasons[store_paths.progress_object("r", 1)] == "it is not a JSON object"
    assert len(reasons) == 5


def test_a_foreign_file_among_weights_is_named(filled: Store):
    filled.objects.create("weights/readme.txt", b"x")
    check = check_all_files(filled)
    assert (check.sound, check.foreign) == (True, ["weights/readme.txt"])


def test_weights_that_are_a_pipe_are_damaged(store: Store):
    file = Path(store.url, store_paths.weights("a" * 64))
    file.parent.mkdir(exist_ok=True)
    os.mkfifo(file)
    assert "is not a regular file" in damage_of(store)[store_paths.weights("a" * 64)]
