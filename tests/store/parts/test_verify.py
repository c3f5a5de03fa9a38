"""Verification of parts: a part with any changed byte is detected, and its rows are left out."""

import contextlib
import os
import random
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.damage import flipped
from support.store_rows import model, put_part, stitch, weights_of

from sweeper.errors import StoreError
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Bucket
from sweeper.store.parts.part import build_part
from sweeper.store.parts.pieces import BLOCK
from sweeper.store.parts.schema import to_table
from sweeper.store.query import query
from sweeper.store.store import Store

ALL_STITCHES = "SELECT * FROM stitches ORDER BY task"


@pytest.fixture
def two_parts(store: Store) -> tuple[Store, Path, Path]:
    """Make a store with two parts of seven stitches each, and return it with the files of the parts."""
    store.commit([stitch("m1", f"m{i}", gain=i / 7, run="a") for i in range(2, 9)], run="a", worker="w")
    store.commit([stitch("m9", f"m{i}", gain=i / 7, run="b") for i in range(2, 9)], run="b", worker="w")
    files = sorted((Path(store.url) / "rows" / "stitches").iterdir())
    return store, files[0], files[1]


def gains(store: Store) -> set[tuple[str, float]]:
    """Return the id and gain of every stitch that the store shows."""
    rows = store.sql("SELECT task, gain FROM stitches").to_pylist()
    return {(row["task"], row["gain"]) for row in rows}


def flip(file: Path, bit: int) -> None:
    """Flip a bit of a file, counted from its beginning."""
    file.write_bytes(flipped(file.read_bytes(), bit))


def test_a_part_with_a_flipped_bit_is_left_out(two_parts: tuple[Store, Path, Path]):
    store, damaged_part, good_part = two_parts
    good_gains = {pair for pair in gains(store) if pair[0].startswith("m9")}
    bits = random.Random(0).sample(range(damaged_part.stat().st_size * 8), 40)
    for bit in bits:
        flip(damaged_part, bit)
        assert gains(store) == good_gains
        assert [damage.path for damage in store.damage] == [f"rows/stitches/{damaged_part.name}"]
        assert "digest" in store.damage[0].reason
        flip(damaged_part, bit)
    assert good_part.exists()
    assert damaged_part.exists()
    assert len(gains(store)) == 14
    assert store.damage == []


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))])
def test_a_bit_that_flips_between_the_check_and_the_scan_gives_an_error_or_the_right_rows(
    two_parts: tuple[Store, Path, Path], seed: int
):
    store, damaged_part, _ = two_parts
    expected = store.sql(ALL_STITCHES).to_pylist()
    for bit in random.Random(seed).sample(range(8 * damaged_part.stat().st_size), 40):
        with store.connect() as con:
            flip(damaged_part, bit)
            try:
                result = query.run_query(con, ALL_STITCHES).to_pylist()
            except StoreError as error:
                result = str(error)
            flip(damaged_part, bit)
        assert result == expected or str(result).startswith("a part of the store changed after it was checked")


def test_a_flipped_bit_is_detected_if_the_time_of_change_stays_the_same(two_parts: tuple[Store, Path, Path]):
    store, damaged_part, _ = two_parts
    for bit in random.Random(0).sample(range(8 * damaged_part.stat().st_size), 40):
        assert len(store.done()) == 14
        status = damaged_part.stat()
        flip(damaged_part, bit)
        os.utime(damaged_part, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert len(store.done()) == 7
        flip(damaged_part, bit)


def test_a_bit_that_flips_after_the_check_gives_an_error_when_its_block_is_read(store: Store):
    rows = [stitch("m1", f"m{i}", gain=random.Random(i).random()) for i in range(2, 20_000)]
    (path,) = store.commit(rows, run="r", worker="w")
    part = Path(store.url) / path
    assert part.stat().st_size > 4 * BLOCK
    group = pq.read_metadata(part).row_group(0)
    column = next(group.column(i) for i in range(group.num_columns) if group.column(i).path_in_schema == "gain")
    with store.connect() as con:
        flip(part, 8 * (column.dictionary_page_offset + column.total_compressed_size // 2))
        assert query.run_query(con, "SELECT count(*) AS n FROM stitches").to_pylist() == [{"n": len(rows)}]
        with pytest.raises(StoreError, match=f"changed after it was checked: {path}: its content has changed;"):
            query.run_query(con, "SELECT sum(gain) FROM stitches")


def test_a_known_part_is_not_read_again_until_it_changes(
    two_parts: tuple[Store, Path, Path], monkeypatch: pytest.MonkeyPatch
):
    store, first_part, second_part = two_parts
    gains(store)
    read, read_bytes = [], Path.read_bytes

    def record(file: Path) -> bytes:
        if file.parent == first_part.parent:
            read.append(file)
        return read_bytes(file)

    monkeypatch.setattr(Path, "read_bytes", record)
    reopened = Store.open(store.url)
    assert len(gains(reopened)) == len(gains(reopened)) == 14
    assert read == []
    second_part.write_bytes(read_bytes(second_part))
    assert len(gains(reopened)) == 14
    assert read == [second_part]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table.drop_columns(["gain"]), "it has no rows of stitches: it lacks the column gain"),
        (lambda table: table.set_column(0, "task", pa.array([1] * len(table))), "its column task is int64, not string"),
        (lambda _: pa.table({"task": ["a"]}), "it has no rows of stitches: it lacks the column a"),
        (lambda _: to_table([model("m1")]), "it has no rows of stitches: it lacks the column a"),
        (lambda table: table.append_column("temper", table["gain"]), "columns that this version doesn't know (temper)"),
    ],
)
def test_a_part_with_the_right_digest_but_wrong_columns_is_not_read(store: Store, change, reason: str):
    path = put_part(store, change(to_table([stitch("m1", "m2")])))
    if "this version" in reason:
        with pytest.raises(StoreError, match=re.escape(reason)):
            gains(store)
        return
    assert gains(store) == set()
    ((damaged_path, found),) = store.damage
    assert damaged_path == path
    assert reason in found
    assert [damage.path for damage in store.set_aside()] == [path]


def test_a_part_with_the_right_digest_that_is_no_parquet_file_is_damaged(store: Store):
    content = b"PAR1 but not a table"
    path = store_paths.part("stitches", "r", "w", datetime.now(UTC), content)
    store.objects.create(path, content)
    assert gains(store) == set()
    assert "it can't be read as Parquet" in store.damage[0].reason


def test_a_part_of_a_kind_of_a_later_version_is_refused(store: Store):
    content = build_part([stitch("m1", "m2")])
    store.objects.create(store_paths.part("patches", "r", "w", datetime.now(UTC), content), content)
    with pytest.raises(StoreError, match="a kind that this version doesn't know; a later version of Sweeper"):
        gains(store)


def test_a_part_of_a_later_version_is_refused_with_the_latest_version_that_it_names(store: Store):
    table = to_table([stitch("m1", "m2", code=code) for code in ("9.9.0", "9.10.0")])
    put_part(store, table.append_column("temper", table["gain"]))
    needed = "has written it, so install Sweeper 9.10.0 or later: pip install 'sweeper-stitching>=9.10.0'"
    with pytest.raises(StoreError, match=re.escape(needed)):
        gains(store)


@pytest.mark.parametrize("length", [0, 1, 7, 100, -1])
def test_a_truncated_part_is_left_out_and_the_others_are_read(two_parts: tuple[Store, Path, Path], length: int):
    store, damaged_part, _ = two_parts
    damaged_part.write_bytes(damaged_part.read_bytes()[:length])
    assert len(gains(store)) == 7
    assert len(store.done()) == 7
    ((path, reason),) = store.damage
    assert path.endswith(damaged_part.name)
    assert "bytes, but its name says" in reason


def test_set_aside_moves_a_damaged_part_and_reading_does_not(two_parts: tuple[Store, Path, Path]):
    store, damaged_part, _ = two_parts
    flip(damaged_part, 800)
    gains(store)
    store.done()
    assert damaged_part.exists()
    assert [damage.path for damage in store.set_aside()] == [f"rows/stitches/{damaged_part.name}"]
    assert not damaged_part.exists()
    assert (Path(store.url) / "damaged" / "rows" / "stitches" / damaged_part.name).exists()
    assert len(store.done()) == 7
    assert store.set_aside() == store.damage == []


def test_a_deleted_part_is_not_reported_as_damage(two_parts: tuple[Store, Path, Path]):
    store, deleted_part, _ = two_parts
    deleted_part.unlink()
    assert len(store.done()) == 7
    assert store.damage == []


def test_a_file_whose_name_does_not_contain_its_digest_is_not_read(two_parts: tuple[Store, Path, Path]):
    store, part, _ = two_parts
    shutil.copy(part, part.with_name("copy.parquet"))
    shutil.copy(part, part.with_name("notes.txt"))
    shutil.copy(part, part.with_name("._" + part.name))
    assert len(gains(store)) == 14
    assert [damage.reason for damage in store.damage] == ["its name doesn't contain its size and digest"]


def test_a_store_can_be_read_if_the_cache_folder_cannot_be_written(
    two_parts: tuple[Store, Path, Path], monkeypatch: pytest.MonkeyPatch
):
    store, *_ = two_parts
    monkeypatch.setenv("SWEEPER_CACHE", "/proc/nowhere")
    assert len(gains(Store.open(store.url))) == 14


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"stitches": 3}', b"\xff"], ids=repr)
def test_an_invalid_cache_of_repeated_tasks_is_ignored(
    two_parts: tuple[Store, Path, Path], cache: Path, content: bytes
):
    store, *_ = two_parts
    gains(store)
    (cache_file,) = cache.rglob("repeated.json")
    cache_file.write_bytes(content)
    assert len(gains(store)) == 14


def test_damaged_weights_are_refused_and_replaced_when_they_are_put_again(store: Store):
    digest = store.put_weights(weights_of("m1"))
    file = Path(store.url) / store_paths.weights(digest)
    flip(file, 9)
    with pytest.raises(StoreError, match="damaged"):
        store.get_weights(digest)
    assert store.put_weights(weights_of("m1")) == digest
    assert store.get_weights(digest) == weights_of("m1")
    assert (Path(store.url) / "damaged" / store_paths.weights(digest)).exists()


def test_models_without_their_weights_are_not_done(store: Store):
    digest = store.put_weights(weights_of("m1"))
    store.commit([model("m1"), model("m2"), stitch("m1", "m2")], run="r", worker="w")
    assert store.done() == {"m1", "m1>m2@block1"}
    assert store.weights() == {"m1": digest}
    flip(Path(store.url) / store_paths.weights(digest), 9)
    assert [damage.path for damage in store.set_aside(weights=True)] == [store_paths.weights(digest)]
    assert store.done() == {"m1>m2@block1"}
    with pytest.raises(StoreError, match="has no weights"):
        store.get_weights(digest)


def test_parts_of_a_bucket_are_checked_as_they_are_copied(bucket: Bucket, cache: Path):
    store = Store.open(bucket.url, create=True)
    store.commit([stitch("m1", "m2", run="a")], run="a", worker="w")
    store.commit([stitch("m1", "m3", run="b")], run="b", worker="w")
    damaged_part = bucket.list("rows/")[0]
    content = bytearray(bucket.read(damaged_part.path))
    content[200] ^= 4
    bucket.delete(damaged_part.path)
    bucket.create(damaged_part.path, bytes(content))
    assert {task for task, _ in gains(store)} == {"m1>m3@block1"}
    assert [damage.path for damage in store.damage] == [damaged_part.path]
    assert [damage.path for damage in store.set_aside()] == [damaged_part.path]
    assert bucket.read(f"damaged/{damaged_part.path}") == content
    with contextlib.suppress(FileNotFoundError):
        bucket.read(damaged_part.path)
        pytest.fail("the damaged part was not moved")
    (copy,) = cache.rglob("*.parquet")
    flip(copy, 2000)
    assert {task for task, _ in gains(Store.open(bucket.url))} == {"m1>m3@block1"}


def test_a_part_of_a_bucket_is_fetched_once(bucket: Bucket, monkeypatch: pytest.MonkeyPatch):
    store = Store.open(bucket.url, create=True)
    store.commit([stitch("m1", "m2")], run="r", worker="w")
    assert len(gains(store)) == 1
    reopened = Store.open(bucket.url)
    read = Bucket.read

    def read_no_part(objects: Bucket, path: str) -> bytes:
        assert not path.startswith("rows/"), "a part was fetched again"
        return read(objects, path)

    monkeypatch.setattr(Bucket, "read", read_no_part)
    assert len(gains(reopened)) == 1


def test_a_store_in_a_bucket_can_be_read_if_the_cache_folder_cannot_be_written(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SWEEPER_CACHE", "/proc/nowhere")
    store = Store.open(bucket.url, create=True)
    store.commit([stitch("m1", "m2")], run="r", worker="w")
    assert len(gains(store)) == 1


def test_old_copies_of_deleted_parts_are_deleted(bucket: Bucket, cache: Path):
    store = Store.open(bucket.url, create=True)
    (path,) = store.commit([stitch("m1", "m2")], run="r", worker="w")
    gains(store)
    (copy,) = cache.rglob("*.parquet")
    bucket.delete(path)
    assert gains(store) == set()
    assert copy.exists()
    os.utime(copy, (0, 0))
    assert gains(store) == set()
    assert not copy.exists()
