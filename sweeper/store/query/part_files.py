"""The files of parts, as DuckDB reads them: every block is compared with its digest when it is read.

DuckDB's own Parquet reader needs a tenth of the memory and of the time of a scan through Arrow, but verifies nothing.
It accepts file systems written in Python. This one serves only the parts that were checked, under URLs `part://PATH`,
and never writes.
"""

import os
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import duckdb
from fsspec import AbstractFileSystem

from sweeper.store.parts.blocks import blocks_of, wrong_block
from sweeper.store.parts.verify import VerifiedPart
from sweeper.store.query.shared_file import SharedFile

PROTOCOL = "part"

# A mark in the messages of this module's errors. DuckDB converts an exception to a text; the mark, which no query can
# contain, tells such a text from a mistake in a query.
_MARK = f"[{secrets.token_hex(8)}]"


class PartFiles(AbstractFileSystem):
    """A read-only file system of verified parts. `fsspec` gives the interface that DuckDB requires."""

    protocol = PROTOCOL
    cachable = False  # fsspec would return one object for all stores

    def __init__(self, parts: Iterable[VerifiedPart]):
        super().__init__()
        self._part_by_path = {part.name.path: part for part in parts}

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return the name, size and type of a part.

        Raises:
            FileNotFoundError: There is no such part.
        """
        return {"name": path, "size": self._part(path).name.size, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        """Return True if a path is that of a part."""
        return _path(path) in self._part_by_path

    def glob(self, path: str, maxdepth: int | None = None, **_: Any) -> list[str]:
        """Return the path itself if it is that of a part; patterns have no meaning here."""
        return [path] if self.exists(path) else []

    def modified(self, path: str) -> datetime:
        """Return one time for all parts, because a part is never changed."""
        return datetime(2000, 1, 1, tzinfo=UTC)

    def open(self, path: str, mode: str = "rb", *_: Any, **__: Any) -> Any:
        """Open a part for reading, as a `VerifiedFile`.

        Raises:
            PermissionError: `mode` is not for reading.
            FileNotFoundError: There is no such part, or another process moved it away.
        """
        if mode != "rb":
            raise PermissionError(f"{path} can't be written: queries only read the store")
        return VerifiedFile(self._part(path))

    def _part(self, path: str) -> VerifiedPart:
        try:
            return self._part_by_path[_path(path)]
        except KeyError:
            raise FileNotFoundError(path) from None


class VerifiedFile(SharedFile):
    """A part's file, whose blocks are verified as they are read."""

    def __init__(self, part: VerifiedPart):
        self._part = part
        try:
            super().__init__(part.file, os.O_RDONLY)
        except OSError as error:
            raise _marked(part, error.strerror or str(error)) from None

    def size(self) -> int:
        """Return the size that the part had when it was checked."""
        return self._part.name.size

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, fewer at the end of the file.

        Raises:
            OSError: A block doesn't have its digest, or the file can't be read.
        """
        start = self.tell()
        end = self.size() if size is None or size < 0 else min(start + size, self.size())
        if end <= start:
            return b""
        first, last = blocks_of(start, end, self.size())
        try:
            content = self.read_range(first, last)
        except OSError as error:
            raise _marked(self._part, error.strerror or str(error)) from None
        if len(content) < last - first or wrong_block(content, first, self._part.blocks) is not None:
            raise _marked(self._part, "its content has changed")
        self.seek(end)
        return content[start - first : end - first]


def _path(url: str) -> str:
    return url.removeprefix(f"{PROTOCOL}://")


def damage_in(error: duckdb.Error) -> str | None:
    """Return which part an error is about and what is wrong with it, if a `VerifiedFile` has raised it; else None."""
    _, mark, text = str(error).partition(_MARK)
    return text.split(_MARK)[0].strip() if mark else None


def _marked(part: VerifiedPart, reason: str) -> OSError:
    return OSError(f"{_MARK} {part.name.path}: {reason} {_MARK}")
