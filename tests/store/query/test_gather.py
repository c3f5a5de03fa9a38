"""Gathered parts give the same answers as single ones, even if the gathered file or a part is damaged or deleted."""

import random
import shutil
from pathlib import Path

import pytest
from support.damage import flipped
from support.store_rows import model, stitch

from sweeper.spec.records.rows import RECEIPTS
from sweeper.store.parts.verify import VerifiedPart
from sweeper.store.query import gather, small_parts
from sweeper.store.store import Store

ALL_STITCHES = "SELECT * FROM stitches ORDER BY task"


@pytest.fixture
def store_of_many_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Make a store of twelve parts of stitches, which all have a row of one common task; gather parts from five on."""
    monkeypatch.setattr(gather, "MOST_SINGLE_PARTS", 4)
    for i in range(12):
        repeated = stitch("m0", "m0", run=f"r{i:02}", gain=float(i))
        store.commit([stitch(f"m{i}", "m1", run=f"r{i:02}"), repeated], run=f"r{i:02}", worker="w")
    return store


def scanned_parts(store: Store) -> list[VerifiedPart]:
    """Return the parts that a query scans."""
    return store._check_parts().valid


def part_files(store: Store) -> list[Path]:
    """Return the files of the parts of stitches."""
    return sorted((Path(store.url) / "rows" / "stitches").iterdir())


def test_gathered_and_single_parts_give_the_same_answers(store_of_many_parts: Store, monkeypatch: pytest.MonkeyPatch):
    (gathered,) = scanned_parts(store_of_many_parts)
    assert gathered.gathered
    answers_of_gathered_parts = (
        store_of_many_parts.sql(ALL_STITCHES).to_pylist(),
        store_of_many_parts.done(),
        store_of_many_parts.sql("SELECT * FROM attempts ORDER BY ALL"),
    )
    monkeypatch.setattr(gather, "MOST_SINGLE_PARTS", 100)
    assert len(scanned_parts(store_of_many_parts)) == 12
    assert (
        store_of_many_parts.sql(ALL_STITCHES).to_pylist(),
        store_of_many_parts.done(),
        store_of_many_parts.sql("SELECT * FROM attempts ORDER BY ALL"),
    ) == answers_of_gathered_parts
    assert {row["gain"] for row in answers_of_gathered_parts[0] if row["task"] == "m0>m0@block1"} == {0.0}


def test_a_gathered_file_is_written_once_and_later_parts_are_read_separately(store_of_many_parts: Store):
    (gathered,) = scanned_parts(store_of_many_parts)
    assert scanned_parts(Store.open(store_of_many_parts.url)) == [gathered]
    store_of_many_parts.commit([stitch("new", "m1")], run="r", worker="w")
    assert [part.gathered for part in scanned_parts(store_of_many_parts)] == [True, False]
    assert scanned_parts(store_of_many_parts)[0] == gathered
    assert "new>m1@block1" in store_of_many_parts.done()


def test_many_later_parts_are_gathered_together_with_the_earlier_ones(store_of_many_parts: Store):
    scanned_parts(store_of_many_parts)
    for i in range(6):
        store_of_many_parts.commit([stitch(f"new{i}", "m1")], run="r", worker=f"w{i}")
    (gathered,) = scanned_parts(store_of_many_parts)
    assert gathered.gathered
    assert len(store_of_many_parts.done()) == 12 + 1 + 6


def test_full_gathered_files_stay_as_they_are_and_a_damaged_part_undoes_one_of_them(
    store_of_many_parts: Store, monkeypatch: pytest.MonkeyPatch
):
    smallest = min(file.stat().st_size for file in part_files(store_of_many_parts))
    monkeypatch.setattr(small_parts, "FULL_FILE", 4 * smallest)
    monkeypatch.setattr(small_parts, "READ_TOGETHER", 4)
    earlier_files = scanned_parts(store_of_many_parts)
    assert [part.gathered for part in earlier_files] == [True] * 3
    expected = store_of_many_parts.sql(ALL_STITCHES).to_pylist()
    assert len(expected) == 12 + 1
    for i in range(6):
        store_of_many_parts.commit([stitch(f"new{i}", "m1", run="s")], run="s", worker=f"w{i}")
    later_files = scanned_parts(store_of_many_parts)
    assert [part.gathered for part in later_files] == [True] * 4
    assert later_files[:3] == earlier_files
    damaged_part = part_files(store_of_many_parts)[5]
    damaged_part.write_bytes(damaged_part.read_bytes()[:-1])
    parts = scanned_parts(store_of_many_parts)
    assert sorted(part in parts for part in earlier_files) == [False, True, True]
    rows = store_of_many_parts.sql(ALL_STITCHES).to_pylist()
    assert [row for row in rows if row["a"][:3] != "new"] == [row for row in expected if row["a"] != "m5"]
    assert len(rows) == 12 + 1 - 1 + 6


def test_rows_of_a_damaged_or_missing_part_are_not_shown_although_they_were_gathered(store_of_many_parts: Store):
    assert "m3>m1@block1" in store_of_many_parts.done()
    missing_part, damaged_part = part_files(store_of_many_parts)[3:5]
    missing_part.unlink()
    damaged_part.write_bytes(damaged_part.read_bytes()[:-1])
    assert not {"m3>m1@block1", "m4>m1@block1"} & store_of_many_parts.done()
    assert len(store_of_many_parts.damage) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_an_invalid_index_is_ignored(store_of_many_parts: Store, cache: Path, content: bytes):
    expected = store_of_many_parts.sql(ALL_STITCHES)
    (index,) = cache.rglob("stitches.json")
    index.write_bytes(content)
    assert Store.open(store_of_many_parts.url).sql(ALL_STITCHES) == expected


def test_a_damaged_gathered_file_is_not_used(store_of_many_parts: Store, cache: Path):
    expected = store_of_many_parts.sql(ALL_STITCHES)
    (file,) = cache.rglob("gathered/*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert store_of_many_parts.sql(ALL_STITCHES) == expected


@pytest.mark.parametrize("flips_of_a_file", [5, pytest.param(40, marks=pytest.mark.slow)])
def test_no_flipped_bit_in_any_file_of_the_cache_changes_an_answer(
    store_of_many_parts: Store, cache: Path, flips_of_a_file: int
):
    expected = store_of_many_parts.sql(ALL_STITCHES)
    files = [file for file in cache.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} == {".json", ".parquet"}
    assert "repeated.json" in {file.name for file in files}
    random_bits = random.Random(0)
    for file in files:
        content = file.read_bytes()
        for bit in random_bits.sample(range(8 * len(content)), flips_of_a_file):
            file.write_bytes(flipped(content, bit))
            assert store_of_many_parts.sql(ALL_STITCHES) == expected, (file, bit)
            file.write_bytes(content)


def test_parts_are_scanned_one_by_one_if_the_cache_cannot_be_written(
    store_of_many_parts: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SWEEPER_CACHE", "/proc/nowhere")
    without_cache = Store.open(store_of_many_parts.url)
    assert len(scanned_parts(without_cache)) == 12
    assert without_cache.done() == store_of_many_parts.done()


def test_large_parts_are_not_gathered(store_of_many_parts: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(small_parts, "LARGE_PART", 10)
    assert len(scanned_parts(store_of_many_parts)) == 12


def test_each_kind_is_gathered_into_a_file_of_its_own(store_of_many_parts: Store):
    for i in range(6):
        store_of_many_parts.commit([model(f"m{i}")], run="r", worker=f"w{i}")
    assert [part.name.kind for part in scanned_parts(store_of_many_parts)] == ["models", "stitches"]
    assert store_of_many_parts.sql("SELECT count(*) AS n FROM stitches WHERE a_arch = 'x'").to_pylist() == [{"n": 7}]


def test_parts_without_a_column_that_was_added_later_are_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = str(shutil.copytree(Path(__file__).parents[2] / "fixtures" / "store-v1", tmp_path / "v1"))
    rows_of_single_parts = {
        kind: Store.open(url).sql(f"SELECT * FROM {kind} ORDER BY ALL").to_pylist() for kind in RECEIPTS
    }
    monkeypatch.setattr(gather, "MOST_SINGLE_PARTS", 0)
    assert all(part.gathered for part in scanned_parts(Store.open(url)))
    rows_of_gathered_parts = {
        kind: Store.open(url).sql(f"SELECT * FROM {kind} ORDER BY ALL").to_pylist() for kind in RECEIPTS
    }
    assert rows_of_gathered_parts == rows_of_single_parts
    assert {row["stop"] for row in rows_of_gathered_parts["stitches"]} == {"held_out"}
