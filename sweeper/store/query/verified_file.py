"""The file of a checked part as DuckDB reads it: each piece is compared with its digest on every read.

DuckDB converts an exception of these files to a text. A mark in the text, which no query can contain, tells it from a
mistake in a query.
"""

import os
import secrets

import duckdb

from sweeper.errors import PartChangedError, StoreError, StoreUnreachableError
from sweeper.store.parts.pieces import Pieces
from sweeper.store.parts.verify import VerifiedPart
from sweeper.store.query.shared_file import SharedFile

_CHANGED, _UNREACHABLE = (f"[{secrets.token_hex(8)}]" for _ in range(2))


class VerifiedFile(SharedFile):
    """A part's file, whose pieces are verified as they are read."""

    def __init__(self, part: VerifiedPart, flags: int = os.O_RDONLY):
        self.part = part
        self.pieces = Pieces(part.pieces)
        try:
            super().__init__(part.file, flags)
        except OSError as error:
            raise changed(part, error.strerror or str(error)) from None

    def size(self) -> int:
        """Return the size that the part had when it was checked."""
        return self.part.name.size

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, fewer at the end of the file.

        Raises:
            OSError: A piece doesn't have its digest, or the file can't be read.
        """
        start = self.tell()
        end = self.size() if size is None or size < 0 else min(start + size, self.size())
        if end <= start:
            return b""
        numbers = self.pieces.covering(start, end)
        first, _ = self.pieces.bounds(numbers)
        content = self.read_pieces(numbers)
        self.seek(end)
        return content[start - first : end - first]

    def read_pieces(self, numbers: range) -> bytes:
        """Return consecutive pieces.

        Raises:
            OSError: A piece doesn't have its digest, or the file can't be read.
        """
        content = self.read_unchecked(numbers)
        if self.pieces.wrong(content, numbers):
            raise changed(self.part, "its content has changed")
        return content

    def read_unchecked(self, numbers: range) -> bytes:
        """Return what the file has in place of consecutive pieces, possibly too little.

        Raises:
            OSError: The file can't be read.
        """
        try:
            return self.read_range(*self.pieces.bounds(numbers))
        except OSError as error:
            raise changed(self.part, error.strerror or str(error)) from None


def changed(part: VerifiedPart, reason: str) -> OSError:
    """Return the error for a part that is not as it was when it was checked."""
    return OSError(f"{_CHANGED} {part.name.path}: {reason} {_CHANGED}")


def unreachable(error: StoreError) -> OSError:
    """Return the error for a store that can't be reached."""
    return OSError(f"{_UNREACHABLE} {error} {_UNREACHABLE}")


def store_error_in(error: duckdb.Error) -> StoreError | None:
    """Return what an error of DuckDB says of a part or of the store, if a file of this module has raised it."""
    text = str(error)
    if _UNREACHABLE in text:
        return StoreUnreachableError(text.split(_UNREACHABLE)[1].strip())
    if _CHANGED not in text:
        return None
    damage = text.split(_CHANGED)[1].strip()
    return PartChangedError(
        f"a part of the store changed after it was checked: {damage}; "
        "the next `sweeper run` or `sweeper resume` moves it away and performs its tasks again",
        path=damage.partition(": ")[0],
    )
