"""Weights that no row and no job names, and saved states of done tasks, are found; deleting them needs the lease."""

import os
from pathlib import Path

import pytest
from support.compaction import compact
from support.damage import flipped
from support.saved_states import state_of
from support.store_rows import model, start, stitch, weights_of

from sweeper.errors import StoreBusy, StoreError
from sweeper.spec.job import resolve
from sweeper.spec.job.sweep import Sweep
from sweeper.spec.records import ident
from sweeper.store.care.unneeded import delete_unneeded, find_unneeded
from sweeper.store.parts import store_paths
from sweeper.store.store import Store

OLD = ("m1", "m2", "initial", "used", "nobody's")
JOB = resolve.to_json(
    resolve.resolve(
        Sweep.model_validate({"name": "x", "models": {"m": {"arch": "resnet18k", "width": 4, "samples": 100}}})
    )
)


def digest_of(name: str) -> str:
    """Return the digest of the weights of a name."""
    return ident.digest(weights_of(name))


@pytest.fixture
def filled(store: Store) -> Store:
    """Return a store with old weights that rows name in each way, old ones that none names, and young ones."""
    for name in (*OLD, "young"):
        store.put_weights(weights_of(name))
    for name in OLD:
        os.utime(Path(store.url, store_paths.weights(digest_of(name))), (0, 0))
    rows = [model("m1"), model("m2", init_weights=digest_of("initial")), start("r", job_resolved=JOB)]
    store.commit([*rows, stitch("m1", "m2", a_weights=digest_of("used"))], run="r", worker="w")
    return store


def test_only_old_weights_that_nothing_names_are_unneeded(filled: Store):
    unneeded = find_unneeded(filled)
    assert [info.path for info in unneeded.weights] == [store_paths.weights(digest_of("nobody's"))]
    assert unneeded.bytes == len(weights_of("nobody's"))
    assert len(filled.objects.list("weights/")) == len(OLD) + 1, "nothing was deleted"


def test_deleting_needs_the_lease_and_leaves_what_is_needed(filled: Store):
    with filled.lease(), pytest.raises(StoreBusy):
        delete_unneeded(Store.open(filled.url))
    done = filled.done()
    assert len(delete_unneeded(filled).weights) == 1
    assert len(filled.objects.list("weights/")) == len(OLD)
    assert filled.done() == done
    assert find_unneeded(filled) == ([], [])


@pytest.mark.parametrize("grace", [0.0, 60.0], ids=["inputs gone", "inputs still there"])
def test_in_a_compacted_store_the_same_weights_are_unneeded(filled: Store, grace: float):
    filled.commit([stitch("m2", "m1"), model("m3")], run="r2", worker="w")
    compact(filled, grace)
    done = filled.done()
    unneeded = delete_unneeded(Store.open(filled.url))
    assert [info.path for info in unneeded.weights] == [store_paths.weights(digest_of("nobody's"))]
    assert Store.open(filled.url).done() == done == {"m1", "m2", "m1>m2@block1", "m2>m1@block1"}


def test_saved_states_are_unneeded_if_they_are_old_or_damaged_but_not_otherwise(filled: Store):
    for name, tasks, age in (("0", ("open",), 0), ("1", ("m1",), 0), ("2", ("open",), 40)):
        content = state_of(tasks)
        path = store_paths.saved_state(name * 64, content)
        filled.objects.create(path, content)
        if age:
            os.utime(Path(filled.url, path), (0, 0))
    assert [info.path[8] for info in find_unneeded(filled).states] == ["1", "2"]


def test_while_parts_are_damaged_nothing_is_unneeded(filled: Store):
    part = Path(filled.url, filled.objects.list("rows/models/")[0].path)
    part.write_bytes(flipped(part.read_bytes(), 100))
    with pytest.raises(StoreError, match="has damaged parts such as rows/models/"):
        delete_unneeded(filled)
    assert len(filled.objects.list("weights/")) == len(OLD) + 1
