"""Many small parts are read in groups, and those that a check has just read from what it has read."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.damage import flipped
from support.store_rows import AT, stitch

from sweeper.spec.records.rows import StitchRow
from sweeper.store.parts import store_paths
from sweeper.store.parts.part import build_part
from sweeper.store.parts.verify import VerifiedPart
from sweeper.store.query import gather, small_parts
from sweeper.store.query.small_parts import read_together
from sweeper.store.store import Store

# Python reports every file that it opens, by whatever function, to an audit hook. DuckDB opens parts through Python.
FIRST_LOOK = """
import json, sys
from collections import Counter
from sweeper.store.query import gather, small_parts
from sweeper.store.store import Store
opened = Counter()
sys.addaudithook(lambda event, arguments: opened.update([str(arguments[0])]) if event == "open" else None)
gather.MOST_SINGLE_PARTS, small_parts.READ_TOGETHER, small_parts.FULL_FILE = 4, 5, int(sys.argv[2])
(row,) = Store.open(sys.argv[1]).sql("SELECT count(*) AS stitches, sum(gain) AS gain FROM stitches").to_pylist()
print(json.dumps({**row, "opened": {path: count for path, count in opened.items() if "/rows/stitches/" in path}}))
"""


@pytest.fixture
def store_of_many_parts(store: Store) -> Store:
    """Make a store of twelve parts of a stitch each."""
    for i in range(12):
        store.commit([stitch(f"m{i}", "m1", gain=float(i))], run="r", worker=f"w{i:02}")
    return store


def part_files(store: Store) -> list[Path]:
    """Return the files of the parts of stitches."""
    return sorted((Path(store.url) / "rows" / "stitches").iterdir())


@pytest.mark.parametrize("full_file", [1, 100_000, 1 << 26])
def test_a_first_look_opens_each_part_once(
    store_of_many_parts: Store, child_environment: dict[str, str], full_file: int
):
    command = [sys.executable, "-c", FIRST_LOOK, store_of_many_parts.url, str(full_file)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=child_environment).stdout
    expected = {"stitches": 12, "gain": 66.0, "opened": {str(file): 1 for file in part_files(store_of_many_parts)}}
    assert json.loads(output) == expected


def test_rows_come_from_contents_that_are_held(store_of_many_parts: Store):
    read: list[tuple[VerifiedPart, bytes]] = []
    store_of_many_parts._verifier.check(use=lambda part, content: read.append((part, content)))
    parts = [part for part, _ in read]
    expected = read_together(StitchRow, parts).to_pylist()
    for file in part_files(store_of_many_parts):
        file.unlink()
    assert read_together(StitchRow, parts, {part.name.path: content for part, content in read}).to_pylist() == expected
    assert len(expected) == 12


def test_a_known_part_is_not_given_to_its_user_again_until_it_changes(store_of_many_parts: Store):
    store_of_many_parts.done()
    changed_file = part_files(store_of_many_parts)[3]
    changed_file.write_bytes(changed_file.read_bytes())
    read: list[str] = []
    Store.open(store_of_many_parts.url)._verifier.check(use=lambda part, _: read.append(part.file.name))
    assert read == [changed_file.name]


def test_parts_that_are_not_tiny_are_gathered_by_a_few_rows_at_a_time(
    store_of_many_parts: Store, monkeypatch: pytest.MonkeyPatch
):
    expected = store_of_many_parts.sql("SELECT * FROM stitches ORDER BY task").to_pylist()
    monkeypatch.setattr(gather, "MOST_SINGLE_PARTS", 4)
    sizes = sorted(file.stat().st_size for file in part_files(store_of_many_parts))
    monkeypatch.setattr(small_parts, "TINY_PART", sizes[6])
    monkeypatch.setattr(small_parts, "READ_TOGETHER", 3)
    assert [part.gathered for part in store_of_many_parts._check_parts().valid] == [True]
    assert store_of_many_parts.sql("SELECT * FROM stitches ORDER BY task").to_pylist() == expected


def test_a_damaged_part_is_left_out_of_what_a_first_look_gathers(
    store_of_many_parts: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gather, "MOST_SINGLE_PARTS", 4)
    monkeypatch.setattr(small_parts, "READ_TOGETHER", 5)
    damaged_file = part_files(store_of_many_parts)[4]
    damaged_file.write_bytes(flipped(damaged_file.read_bytes(), 12_345))
    assert "m4>m1@block1" not in store_of_many_parts.done()
    assert [part.gathered for part in store_of_many_parts._check_parts().valid] == [True]
    assert len(store_of_many_parts.done()) == 11
    assert [damage.path for damage in store_of_many_parts.damage] == [f"rows/stitches/{damaged_file.name}"]


def test_a_part_that_cannot_be_read_although_it_has_its_digest_is_left_out_of_a_first_look(
    store_of_many_parts: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gather, "MOST_SINGLE_PARTS", 4)
    content = bytearray(build_part([stitch("m99", "m1")]))
    start = pq.read_metadata(io.BytesIO(content)).row_group(0).column(0).dictionary_page_offset
    content[start : start + 8] = b"\xff" * 8  # the header of a page
    path = store_paths.part("stitches", "r", "w", AT, bytes(content))
    assert store_of_many_parts.objects.create(path, bytes(content))
    assert len(store_of_many_parts.done()) == 12
    ((damaged_path, reason),) = store_of_many_parts.damage
    assert damaged_path == path
    assert "it has its digest, but can't be read" in reason
