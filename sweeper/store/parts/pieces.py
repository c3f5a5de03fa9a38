"""The pieces of a file and their digests, by which each later read can be checked without reading the whole file.

A table has a row for each piece, in order: the position of its end (8 bytes, the lowest first) and its digest. Pieces
need not be equally long. Those of a compacted part end where a column of a row group ends (`tail.py`), so that a query
reads nothing but the columns that it needs; other files are divided into blocks.
"""

from collections.abc import Iterable
from hashlib import sha256

import numpy as np

BLOCK = 1 << 16  # bytes
DIGEST_BYTES = 16  # of a piece's SHA-256
_END_BYTES = 8
ROW_BYTES = _END_BYTES + DIGEST_BYTES


def block_ends(start: int, end: int, block: int = BLOCK) -> range | list[int]:
    """Return the ends of the blocks into which the bytes from `start` to `end` are divided; the last may be shorter."""
    return [*range(start + block, end, block), end] if end > start else []


def piece_table(content: bytes, ends: Iterable[int] | None = None) -> bytes:
    """Return the table of the pieces of a content that end at the given positions, in order. Default: of its blocks."""
    view, rows, start = memoryview(content), [], 0
    for end in block_ends(0, len(content)) if ends is None else ends:
        rows.append(table_row(end, view[start:end]))
        start = end
    return b"".join(rows)


def table_row(end: int, piece: bytes | memoryview) -> bytes:
    """Return the row of a table for a piece that ends at a position."""
    return end.to_bytes(_END_BYTES, "little") + _digest(piece)


class Pieces:
    """The pieces of a file, numbered from 0."""

    def __init__(self, table: bytes):
        self._table = table
        self._ends = np.frombuffer(table, "<u8").reshape(-1, ROW_BYTES // _END_BYTES)[:, 0].astype(np.int64)

    def covering(self, start: int, end: int) -> range:
        """Return the numbers of the pieces that have the bytes from `start` to `end`, which is larger."""
        first, last = np.searchsorted(self._ends, [start, end - 1], "right").tolist()
        return range(first, last + 1)

    def bounds(self, numbers: range) -> tuple[int, int]:
        """Return where the first of consecutive pieces starts and the last one ends."""
        start = int(self._ends[numbers.start - 1]) if numbers.start else 0
        return start, int(self._ends[numbers.stop - 1])

    def wrong(self, content: bytes, numbers: range) -> list[int]:
        """Return the numbers of the pieces that don't have their digest.

        Args:
            content: What was read for consecutive pieces, possibly too little.
            numbers: The numbers of these pieces.
        """
        view, (first, _), wrong = memoryview(content), self.bounds(numbers), []
        for number in numbers:
            start, end = self.bounds(range(number, number + 1))
            if _digest(view[start - first : end - first]) != self._row_digest(number):
                wrong.append(number)
        return wrong

    def _row_digest(self, number: int) -> bytes:
        return self._table[number * ROW_BYTES + _END_BYTES : (number + 1) * ROW_BYTES]


def wrong_piece(content: bytes, table: bytes) -> int | None:
    """Return the number of the first piece of a whole content that doesn't have its digest; None if all have."""
    numbers = range(len(table) // ROW_BYTES)
    return next(iter(Pieces(table).wrong(content, numbers)), None) if numbers else None


def _digest(piece: bytes | memoryview) -> bytes:
    return sha256(piece).digest()[:DIGEST_BYTES]
