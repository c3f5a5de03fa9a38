"""The union of two stores: what one lacks is copied under its own name after its digest was compared, and only that."""

import os
import shutil
from pathlib import Path

import pytest
from support.compaction import all_views, compact, part_paths
from support.damage import flipped
from support.store_rows import curve, model, start, stitch, weights_of

from sweeper.errors import StoreError, UsageError
from sweeper.store.care.full_check import check_all_files
from sweeper.store.care.merge import merge_stores
from sweeper.store.parts.objects import Objects
from sweeper.store.store import Store


@pytest.fixture
def two(objects: Objects, tmp_path: Path) -> tuple[Store, Store]:
    """Return two stores, the first in a folder or a bucket, which share the model m1."""
    stores = (Store.open(objects.url, create=True), Store.open(str(tmp_path / "two"), create=True))
    for number, store in enumerate(stores):
        own = f"m{number + 2}"
        for name in ("m1", own):
            store.put_weights(weights_of(name))
        rows = [model("m1", run="r"), curve("m1", 1, run="r")]
        store.commit(rows, run="r", worker="w")
        run = f"r{number}"
        store.commit([start(run), model(own, run=run), stitch("m1", own, run=run)], run=run, worker="w")
    return stores


def contents(store: Store) -> dict[str, bytes]:
    """Return the content of each part and weights file by path."""
    return {i.path: store.objects.read(i.path) for name in ("rows/", "weights/") for i in store.objects.list(name)}


def test_a_merged_store_has_the_files_and_tasks_of_both(two: tuple[Store, Store]):
    into, source = two
    before, added = contents(into), contents(source)
    merge = merge_stores(into, source)
    assert contents(into) == before | added
    assert contents(source) == added
    assert into.done() == {"m1", "m2", "m3", "m1>m2@block1", "m1>m3@block1"}
    assert (merge.parts, merge.weights, merge.tasks) == (3, 1, 2)
    assert merge.bytes == sum(len(content) for path, content in added.items() if path not in before)
    assert (merge.healed, merge.damaged) == ([], [])
    again = merge_stores(into, source)
    assert (again.parts, again.weights, again.tasks) == (0, 0, 0)


def test_a_damaged_file_of_the_source_is_not_copied_and_a_sound_one_replaces_a_damaged_one(two: tuple[Store, Store]):
    into, source = two
    shared = next(info.path for info in into.objects.list("rows/models/") if "/r-w" in info.path)
    content = into.objects.read(shared)
    into.objects.delete(shared)
    into.objects.create(shared, flipped(content, 200))
    damaged = source.objects.list("rows/stitches/")[0].path
    Path(source.url, damaged).write_bytes(flipped(source.objects.read(damaged), 200))
    merge = merge_stores(into, source)
    assert merge.healed == [shared]
    assert into.objects.read(shared) == content
    assert [damage.path for damage in merge.damaged] == [damaged]
    assert into.done() == {"m1", "m2", "m3", "m1>m2@block1"}
    assert check_all_files(into).sound


def test_a_file_of_the_source_that_is_none_is_named_and_the_others_are_copied(two: tuple[Store, Store]):
    into, source = two
    path = source.objects.list("rows/stitches/")[0].path
    (Path(source.url) / path).unlink()
    os.mkfifo(Path(source.url) / path)
    merge = merge_stores(into, source)
    assert [damage.path for damage in merge.damaged] == [path]
    assert "is not a regular file" in merge.damaged[0].reason
    assert into.done() == {"m1", "m2", "m3", "m1>m2@block1"}


@pytest.mark.parametrize(
    ("compacted", "grace"),
    [((True, False), 60.0), ((False, True), 60.0), ((True, True), 0.0)],
    ids=["into, inputs still there", "source, inputs still there", "both, inputs gone"],
)
def test_compacted_stores_merge_as_those_of_original_parts_do(
    two: tuple[Store, Store], tmp_path: Path, compacted: tuple[bool, bool], grace: float
):
    into, source = two
    plain = Store.open(shutil.copytree(source.url, tmp_path / "plain").as_posix())
    merge_stores(plain, into)
    for store, is_compacted in zip(two, compacted, strict=True):
        if is_compacted:
            compact(store, grace)
    merge = merge_stores(into, source)
    expected = all_views(plain)
    assert all_views(into) == expected
    assert (merge.tasks, merge.damaged) == (2, [])
    assert check_all_files(into).sound
    compact(into)
    assert all_views(Store.open(into.url)) == expected
    assert len(part_paths(into, "models")) == 1


def test_a_source_that_is_compacted_meanwhile_is_merged_whole(two: tuple[Store, Store]):
    into, source = two
    steps: list[str] = []

    def compact_at_first(step: str, done: int, total: int) -> None:
        if not steps:
            compact(source)
        steps.append(step)

    merge_stores(into, source, compact_at_first)
    assert into.done() == {"m1", "m2", "m3", "m1>m2@block1", "m1>m3@block1"}
    assert check_all_files(into).sound


def test_a_version_that_one_store_has_kept_is_shown_by_their_union(two: tuple[Store, Store]):
    into, source = two
    digest, rows = source.keep_version(), source.sql("FROM stitches").to_pylist()
    assert merge_stores(into, source).weights == 1
    assert into.as_of(digest).sql("FROM stitches").to_pylist() == rows
    assert len(into.sql("FROM stitches")) == 2


def test_a_store_is_not_merged_into_itself_and_one_of_a_later_version_not_at_all(store: Store, tmp_path: Path):
    store.commit([stitch("m1", "m2")], run="r", worker="w")
    with pytest.raises(UsageError, match="can't be merged into itself"):
        merge_stores(store, Store.open(f"file://{store.url}"))
    later = Store.open(shutil.copytree(store.url, tmp_path / "later").as_posix())
    part = Path(later.url, later.objects.list("rows/stitches/")[0].path)
    (part.parent.parent / "patches").mkdir()
    part.rename(part.parent.parent / "patches" / part.name)
    with pytest.raises(StoreError, match="a later version of Sweeper has written it"):
        merge_stores(store, later)
