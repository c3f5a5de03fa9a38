"""The files of parts, as DuckDB reads them: every block is compared with its digest when it is read.

DuckDB's own Parquet reader needs a tenth of the memory and of the time of a scan through Arrow, but verifies nothing.
It accepts file systems written in Python. This one serves only the parts that were checked, under URLs `part://PATH`,
and never writes.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from fsspec import AbstractFileSystem

from sweeper.store.parts.verify import VerifiedPart
from sweeper.store.query.bucket_file import BucketFile
from sweeper.store.query.shared_file import HeldContent
from sweeper.store.query.verified_file import VerifiedFile

PROTOCOL = "part"
NONE_HELD: Mapping[str, bytes] = MappingProxyType({})


class ServedParts:
    """The parts of a file system, whose arguments fsspec converts to a text; that of this one is short."""

    def __init__(self, parts: Iterable[VerifiedPart], contents: Mapping[str, bytes] = NONE_HELD):
        """Take the parts.

        Args:
            parts: The parts.
            contents: The contents of those that are held in memory since they were checked, by path.
        """
        self.part_by_path = {part.name.path: part for part in parts}
        self.contents = contents


class PartFiles(AbstractFileSystem):
    """A read-only file system of verified parts. `fsspec` gives the interface that DuckDB requires."""

    protocol = PROTOCOL
    cachable = False  # fsspec would return one object for all stores

    def __init__(self, parts: "ServedParts"):
        super().__init__()
        self._part_by_path, self._contents = parts.part_by_path, parts.contents

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
        """Open a part for reading, as a `VerifiedFile`; one that is fetched by pieces as a `BucketFile`.

        Raises:
            PermissionError: `mode` is not for reading.
            FileNotFoundError: There is no such part, or another process moved it away.
        """
        if mode != "rb":
            raise PermissionError(f"{path} can't be written: queries only read the store")
        part = self._part(path)
        if content := self._contents.get(part.name.path):
            return HeldContent(content)
        return BucketFile(part) if part.bucket else VerifiedFile(part)

    def _part(self, path: str) -> VerifiedPart:
        try:
            return self._part_by_path[_path(path)]
        except KeyError:
            raise FileNotFoundError(path) from None


def _path(url: str) -> str:
    return url.removeprefix(f"{PROTOCOL}://")
