"""Outcomes on test images as packed bitmaps, kept in files outside of memory.

A query passes a *reference*, the number of a bitmap, in place of the bitmap itself, because a bitmap of 10,000 images
takes 1,250 bytes and a row of a table uses several. The files have no name, so no query can read them, and the
operating system deletes them with the process, however it ends.
"""

import secrets
import tempfile
import threading
import weakref
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NONE = -1  # the reference of a missing or empty bitmap

# A mark in the message of an error about these files. DuckDB converts an exception to a text; the mark, which no query
# can contain, tells such a text from a mistake in a query.
MARK = f"[{secrets.token_hex(8)}]"


class _Area:
    """The file of the bitmaps of one size, each padded with zeros to whole words."""

    def __init__(self, size: int):
        self.words, self.count = -(-size // 8), 0
        self._file = tempfile.TemporaryFile(prefix="sweeper-outcomes-", buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def append(self, content: np.ndarray) -> np.ndarray:
        """Append bitmaps, shape (bitmaps, size), and return the number of ones in each."""
        padded = np.zeros((len(content), 8 * self.words), np.uint8)
        padded[:, : content.shape[1]] = content
        remaining = padded.reshape(-1).data
        while remaining:
            remaining = remaining[self._file.write(remaining) :]
        self.count += len(content)
        return np.bitwise_count(padded.view(np.uint64)).sum(axis=1, dtype=np.int32)

    def read(self) -> np.ndarray:
        """Return all bitmaps, shape (bitmaps, words), as a memory map; its pages are released with it."""
        return np.memmap(self._file, np.uint64, "r", shape=(self.count, self.words))


class _Columns(NamedTuple):
    """Columns of bitmaps: the size, the position in the file of bitmaps of this size, and the number of ones."""

    size: np.ndarray
    position: np.ndarray
    ones: np.ndarray


class Bitmaps:
    """Bitmaps by reference. Several threads may use them at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._area_by_size: dict[int, _Area] = {}
        self._columns = [_Columns(*(np.zeros(0, np.int32) for _ in range(3)))]  # of the bitmaps of each addition
        self._count = 0

    def add(self, column: pa.BinaryArray) -> np.ndarray:
        """Add bitmaps and return the reference of each, shape (bitmaps,), type int32.

        Raises:
            OSError: The disk of the temporary folder is full.
        """
        sizes = pc.fill_null(pc.call_function("binary_length", [column]), 0).to_numpy()
        starts = np.frombuffer(column.buffers()[1], np.int32)[column.offset :][: len(column)]
        content = np.frombuffer(column.buffers()[2] or b"", np.uint8)
        references = np.full(len(column), NONE, np.int32)
        with self._lock:
            for size in np.unique(sizes[sizes > 0]).tolist():
                rows = np.flatnonzero(sizes == size)
                references[rows] = self._append(_slices(content, starts[rows], size))
        return references

    def _append(self, content: np.ndarray) -> np.ndarray:
        """Append bitmaps of one size, shape (bitmaps, size), and return their references."""
        count, size = content.shape
        try:
            area = self._area_by_size.get(size) or self._area_by_size.setdefault(size, _Area(size))
            positions = np.arange(area.count, area.count + count)
            ones = area.append(content)
        except OSError as error:
            raise OSError(f"{MARK}{error.strerror or error}{MARK}") from None
        self._columns.append(_Columns(np.full(count, size, np.int32), positions, ones))
        self._count += count
        return np.arange(self._count - count, self._count, dtype=np.int32)

    def size(self, references: np.ndarray) -> int:
        """Return the common size of bitmaps in bytes; 0 if one is missing or their sizes differ."""
        if not len(references) or (references == NONE).any():
            return 0
        sizes = self._all_columns().size[references]
        return int(sizes[0]) if (sizes == sizes[0]).all() else 0

    def ones(self, references: np.ndarray) -> np.ndarray:
        """Return the number of ones in each bitmap, shape (references,)."""
        return self._all_columns().ones[references].astype(np.int64)

    def content(self, size: int) -> np.ndarray:
        """Return all bitmaps of a size, shape (bitmaps, words of 64 images), as a memory map."""
        with self._lock:
            return self._area_by_size[size].read()

    def positions(self, references: np.ndarray) -> np.ndarray:
        """Return the place of each bitmap among those of its size, shape (references,)."""
        return self._all_columns().position[references]

    def _all_columns(self) -> _Columns:
        with self._lock:
            if len(self._columns) > 1:
                self._columns = [_Columns(*map(np.concatenate, zip(*self._columns, strict=True)))]
            return self._columns[0]


def _slices(content: np.ndarray, starts: np.ndarray, size: int) -> np.ndarray:
    """Return the pieces of `size` bytes at the given places, shape (pieces, size)."""
    if (np.diff(starts) == size).all():
        return content[starts[0] : starts[0] + len(starts) * size].reshape(-1, size)
    return content[starts[:, None] + np.arange(size)]
