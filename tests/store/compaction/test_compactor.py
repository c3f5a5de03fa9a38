"""Compaction changes no view, whatever overlaps, is damaged or is published again, in a folder and in a bucket."""

import random
import shutil
from pathlib import Path

import pytest
from support.compaction import all_views, compact, fill_store, held, part_paths, parts_read
from support.damage import flipped
from support.many_stitches import put_stitches
from support.s3_proxy import CLOSED, LOST_ANSWER, UNAVAILABLE, S3Proxy
from support.store_rows import stitch

from sweeper.errors import StoreError
from sweeper.store.compaction.compactor import Compactor, Waiting
from sweeper.store.parts.objects import Bucket
from sweeper.store.store import Store


@pytest.fixture(params=["folder", "bucket"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return a store of several parts of each kind, in a folder and in a bucket in turn."""
    url = request.getfixturevalue("bucket").url if request.param == "bucket" else str(tmp_path / "store")
    store = Store.open(url, create=True)
    fill_store(store)
    return store


def test_no_view_changes_in_any_step_and_few_parts_are_left(filled: Store):
    expected, done = all_views(filled), filled.done()
    compactor = filled.compactor(grace=0)
    compactor.publish_all(held)
    assert all_views(filled) == all_views(Store.open(filled.url)) == expected
    assert [len(parts_read(filled, kind)) for kind in ("models", "stitches", "curves")] == [1, 1, 1]
    assert len(part_paths(filled)) == 3 * 6 + 3 + 3
    assert compactor.delete_replaced(held) == Waiting(0, 0.0)
    assert len(part_paths(filled)) == 6
    assert all_views(filled) == all_views(Store.open(filled.url)) == expected
    assert filled.done() == done
    assert filled.damage == []


def test_compacting_again_changes_nothing(filled: Store):
    compact(filled)
    paths = part_paths(filled)
    compact(filled)
    assert part_paths(filled) == paths


def test_replaced_parts_stay_for_the_grace_period(filled: Store):
    compactor = filled.compactor(grace=1000)
    compactor.publish_all(held)
    waiting = compactor.delete_replaced(held)
    assert waiting.parts == 18
    assert 900 < waiting.seconds <= 1000
    assert len(part_paths(filled)) == 3 * 6 + 3 + 3


def test_without_the_lease_nothing_is_published_or_deleted(filled: Store):
    before = part_paths(filled)
    with pytest.raises(StoreError, match="another process took over the store"):
        filled.compactor().publish_all(lambda: False)
    assert part_paths(filled) == before
    compactor = filled.compactor(grace=0)
    compactor.publish_all(held)
    both = part_paths(filled)
    with pytest.raises(StoreError, match="another process took over the store"):
        compactor.delete_replaced(lambda: False)
    assert part_paths(filled) == both


def test_a_compacted_part_that_was_damaged_is_not_used_and_nothing_is_deleted_for_it(filled: Store):
    expected = all_views(filled)
    filled.compactor().publish_all(held)
    (path,) = parts_read(filled, "stitches")
    content = filled.objects.read(path)
    filled.objects.delete(path)
    filled.objects.create(path, flipped(content, 4 * len(content)))
    if filled.url.startswith("s3"):  # the copy on this machine is as good as before
        shutil.rmtree(filled._verifier.folder / "rows")
    assert all_views(Store.open(filled.url)) == expected
    assert filled.compactor(grace=0).delete_replaced(held).parts == 0
    assert len(part_paths(filled, "stitches")) == 7
    assert len(part_paths(filled, "models")) == 1
    filled.set_aside()
    compact(filled)
    assert parts_read(filled, "stitches") == part_paths(filled, "stitches") == [path]
    assert all_views(Store.open(filled.url)) == expected


def test_a_compacted_part_is_read_back_from_the_store_before_anything_is_deleted(filled: Store):
    """A copy in the cache of this machine, or what it knows of a file, may be right although the store is not."""
    compactor = filled.compactor(grace=0)
    compactor.publish_all(held)
    (path,) = parts_read(filled, "curves")
    filled._verifier.check()
    content = filled.objects.read(path)

    class Changed(Compactor):
        def _seconds_left(self, checked):
            filled.objects.delete(path)
            filled.objects.create(path, flipped(content, 1000))
            return super()._seconds_left(checked)

    waiting = Changed(filled.objects, filled._verifier, grace=-1000).delete_replaced(held)
    assert waiting.parts == 6
    assert len(part_paths(filled, "curves")) == 7


def test_an_input_that_is_published_again_is_not_shown_twice_and_leaves_again(filled: Store):
    expected = all_views(filled)
    contents = {path: filled.objects.read(path) for path in part_paths(filled)}
    compact(filled)
    for path, content in contents.items():
        filled.objects.create(path, content)
    assert all_views(Store.open(filled.url)) == expected
    compact(filled)
    assert len(part_paths(filled)) == 6
    assert all_views(Store.open(filled.url)) == expected


def test_stores_that_were_compacted_apart_are_merged_by_copying(tmp_path: Path):
    urls = [str(tmp_path / name) for name in ("one", "two", "three")]
    store = Store.open(urls[0], create=True)
    fill_store(store, 4)
    for url in urls[1:]:
        shutil.copytree(urls[0], url)
    for number, url in enumerate(urls):
        other = Store.open(url)
        for b in range(number + 1):
            other.commit([stitch("new", f"m{b}", run="r9")], run="r9", worker=f"w{b}")
    expected = all_views(Store.open(urls[2]))
    for url in urls:
        compact(Store.open(url))
    shutil.copytree(urls[0], urls[2], dirs_exist_ok=True)
    shutil.copytree(urls[1], urls[2], dirs_exist_ok=True)
    merged = Store.open(urls[2])
    assert len(parts_read(merged, "stitches")) == 1
    assert all_views(merged) == expected
    (Path(merged.url) / parts_read(merged, "stitches")[0]).unlink()
    assert len(parts_read(merged, "stitches")) == 1
    assert len(Store.open(urls[2]).sql("FROM stitches WHERE a = 'new'")) == 2


def test_two_compacted_parts_that_overlap_are_both_read_and_no_row_is_shown_twice(store: Store, monkeypatch):
    fill_store(store)
    expected = all_views(store)
    compactor = store.compactor(grace=0)
    groups = compactor.groups()
    for group in groups:
        compactor.publish(group._replace(parts=group.parts[:4]))
    for group in groups:
        compactor.publish(group._replace(parts=group.parts[2:]))
    assert compactor.delete_replaced(held).parts == 0
    assert len(part_paths(store, "stitches")) == 2
    assert all_views(Store.open(store.url)) == expected
    monkeypatch.setattr("sweeper.store.query.gather.MOST_SINGLE_PARTS", 0)
    assert all_views(Store.open(store.url)) == expected
    compact(store)
    assert len(part_paths(store, "stitches")) == 1
    assert all_views(Store.open(store.url)) == expected


def test_damage_of_a_compacted_part_whose_inputs_are_gone_loses_its_tasks_alone(filled: Store):
    compact(filled)
    done = filled.done()
    (path,) = part_paths(filled, "similarities")
    content = filled.objects.read(path)
    filled.objects.delete(path)
    filled.objects.create(path, flipped(content, random.Random(1).randrange(8 * len(content))))
    if filled.url.startswith("s3"):
        shutil.rmtree(filled._verifier.folder / "rows")
    assert done - filled.done() == {"m0~m1"}
    assert [damage.path for damage in filled.damage] == [path]


def test_no_compacted_part_is_larger_than_the_limit(store: Store):
    put_stitches(store, 800, 1250, parts=8)
    expected = sorted(store.done())
    compactor = store.compactor(grace=0, largest=600_000)
    assert sum(group.size for group in compactor.groups()) > 1_000_000
    assert compactor.publish_all(held) > 1
    assert compactor.delete_replaced(held).parts == 0
    of_stitches = [info.size for info in store.objects.list("rows/stitches/")]
    assert 1 < len(of_stitches) < 8
    assert max(of_stitches) <= 600_000
    assert sorted(Store.open(store.url).done()) == expected


def test_a_compaction_over_a_bad_network_loses_and_doubles_nothing(disturbed_bucket: Bucket, proxy: S3Proxy):
    store = Store.open(disturbed_bucket.url, create=True)
    fill_store(store, 4)
    expected, done = all_views(store), store.done()
    proxy.faults = {LOST_ANSWER: 0.1, UNAVAILABLE: 0.1, CLOSED: 0.1}
    compact(store)
    assert sum(proxy.counts[fault] for fault in proxy.faults) > 5
    assert all_views(Store.open(store.url)) == expected
    proxy.faults = {}
    assert len(part_paths(store)) == 6
    assert (Store.open(store.url).done(), store.damage) == (done, [])
