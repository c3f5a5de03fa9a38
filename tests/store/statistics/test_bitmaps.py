"""Bitmaps that are kept outside of memory: their references, sizes, counts and files."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sweeper.store.statistics.bitmaps import NONE, Bitmaps


def words(packed: bytes) -> list[int]:
    """Return a bitmap as words of 64 bits, padded with zeros."""
    return np.frombuffer(packed.ljust(-(-len(packed) // 8) * 8, b"\0"), np.uint64).tolist()


def test_a_bitmap_is_found_by_its_reference_among_others_of_its_size():
    bitmaps, column = Bitmaps(), [b"\xff\x01", None, b"123456789", b"", b"\x80\x00"]
    references = bitmaps.add(pa.array(column, pa.binary()))
    later = bitmaps.add(pa.array([b"no", b"\x07\x00", b"987654321"], pa.binary()).slice(1))
    assert references[[1, 3]].tolist() == [NONE, NONE]
    assert bitmaps.ones(np.r_[references[[0, 4]], later[0]]).tolist() == [9, 1, 3]
    known = np.r_[references[[0, 2, 4]], later]
    for reference, packed in zip(known, [*column[::2], b"\x07\x00", b"987654321"], strict=True):
        assert bitmaps.size(np.array([reference])) == len(packed)
        assert bitmaps.content(len(packed))[bitmaps.positions(reference)].tolist() == words(packed)


def test_bitmaps_of_which_one_is_missing_or_differs_in_size_have_no_common_size():
    bitmaps = Bitmaps()
    references = bitmaps.add(pa.array([b"ab", b"cd", None, b"efg"], pa.binary()))
    assert [bitmaps.size(references[rows]) for rows in ([0, 1], [0, 2], [1, 3], [])] == [2, 0, 0, 0]


def test_threads_may_add_bitmaps_at_once():
    bitmaps = Bitmaps()
    packed = [[os.urandom(30) for _ in range(50)] for _ in range(40)]
    with ThreadPoolExecutor(4) as threads:
        references = list(threads.map(lambda rows: bitmaps.add(pa.array(rows)), packed))
    assert len({int(reference) for rows in references for reference in rows}) == 2000
    content = bitmaps.content(30)
    for rows, numbers in zip(packed, references, strict=True):
        assert content[bitmaps.positions(numbers)].tolist() == [words(row) for row in rows]


def test_the_files_have_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    bitmaps = Bitmaps()
    bitmaps.add(pa.array([b"outcomes"]))
    assert list(tmp_path.iterdir()) == []
