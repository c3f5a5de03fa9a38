"""The gathered files of a store, each with the rows of many small parts, and their index, in a folder of the cache."""

import json
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from sweeper.files import read_cached_text, write_cached_text, write_with_folders
from sweeper.spec.records import ident
from sweeper.spec.records.rows import ROWS, Row
from sweeper.store.parts import store_paths
from sweeper.store.parts.compacted import rows_with_part
from sweeper.store.parts.known_files import FileState, file_state
from sweeper.store.parts.part import rewrite
from sweeper.store.parts.pieces import piece_table
from sweeper.store.parts.verify import CACHE_GRACE_SECONDS, VerifiedPart


class GatheredFile(NamedTuple):
    """A gathered file: its size, digest and state, the table of its pieces, and the paths of the parts in it."""

    file: str
    size: int
    digest: str
    state: FileState
    pieces: str  # hexadecimal digits
    parts: frozenset[str]


class GatheredFiles:
    """The gathered files of one store."""

    def __init__(self, folder: Path):
        self.folder = folder

    def read(self, kind: str) -> list[GatheredFile]:
        """Return the valid gathered files of a kind; none if there is no valid index."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            index = json.loads(read_cached_text(self._index(kind)))
            files = [
                GatheredFile(**{**entry, "state": tuple(entry["state"]), "parts": frozenset(entry["parts"])})
                for entry in index["files"]
            ]
            return [file for file in files if self._is_valid(file)]
        return []

    def save(self, kind: str, files: Sequence[GatheredFile]) -> None:
        """Write the index of the files of a kind, and delete old files that are not in it.

        Raises:
            OSError: The cache can't be written.
        """
        entries = [{**file._asdict(), "parts": sorted(file.parts)} for file in files]
        write_cached_text(self._index(kind), json.dumps({"files": entries}))
        current_names = {file.file for file in files}
        for path in self.folder.glob(f"{kind}-*.parquet"):
            with suppress(OSError):
                if path.name not in current_names and path.stat().st_mtime < time.time() - CACHE_GRACE_SECONDS:
                    path.unlink()

    def write(self, row: type[Row], batches: Iterable[pa.RecordBatch], paths: Collection[str]) -> GatheredFile:
        """Write the rows of parts, whose paths are given, to a new file.

        Raises:
            OSError: The cache can't be written.
        """
        content = rewrite(batches, rows_with_part(row))
        digest = ident.digest(content)
        path = self.folder / f"{row.kind}-{digest[:16]}.parquet"
        write_with_folders(path, content)
        pieces = piece_table(content).hex()
        return GatheredFile(path.name, len(content), digest, file_state(path), pieces, frozenset(paths))

    def part(self, kind: str, file: GatheredFile) -> VerifiedPart:
        """Return a gathered file as a part to scan."""
        name = store_paths.PartName(file.file, kind, file.size, file.digest)
        columns = tuple(rows_with_part(ROWS[kind]).names)
        return VerifiedPart(name, self.folder / file.file, bytes.fromhex(file.pieces), columns, gathered=True)

    def _is_valid(self, file: GatheredFile) -> bool:
        path = self.folder / file.file
        with suppress(OSError):
            return file_state(path) == file.state or ident.digest(path.read_bytes()) == file.digest
        return False

    def _index(self, kind: str) -> Path:
        return self.folder / f"{kind}.json"
