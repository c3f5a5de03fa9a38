"""Merging of many small parts into one file in the user's cache folder.

A scan takes half a millisecond for each part. A query that joins stitches with their self-stitches takes seconds for a
thousand parts, and a tenth of that for one file. The file contains only rows of verified parts and is verified as parts
are. It is not used if one of its parts is missing or damaged. It can be deleted at any time.
"""

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sweeper.files import read_cached_text, write_cached_text, write_with_folders
from sweeper.spec.records import ident
from sweeper.spec.records.rows import ROWS, Row
from sweeper.store.parts import store_paths
from sweeper.store.parts.compacted import digests_in, rows_with_part
from sweeper.store.parts.known_files import FileState, file_state
from sweeper.store.parts.part import rewrite
from sweeper.store.parts.pieces import piece_table
from sweeper.store.parts.verify import CACHE_GRACE_SECONDS, VerifiedPart, by_kind
from sweeper.store.query import query

LARGE_PART = 1 << 20  # bytes; parts of this size are scanned separately, because the fixed time for each hardly matters
MOST_SINGLE_PARTS = 64  # so many small parts of a kind are scanned separately; more are gathered


class _Entry(NamedTuple):
    """A gathered file: its size, digest and state, the table of its pieces, and the paths of the parts in it."""

    file: str
    size: int
    digest: str
    state: FileState
    pieces: str  # hexadecimal digits
    parts: frozenset[str]


class Gatherer:
    """The gathered files of one store, one for each kind, in a folder of the cache."""

    def __init__(self, folder: Path):
        self.folder = folder

    def gather(self, parts: Sequence[VerifiedPart]) -> list[VerifiedPart]:
        """Replace many small parts by one gathered file for each kind, and return the parts to scan.

        Raises:
            StoreError: If a part was damaged after it was verified.
        """
        return [part for kind, row in ROWS.items() for part in self._gather_kind(row, by_kind(parts, kind))]

    def _gather_kind(self, row: type[Row], parts: list[VerifiedPart]) -> list[VerifiedPart]:
        small = [part for part in parts if part.name.size < LARGE_PART and not part.hidden]
        if len(small) <= MOST_SINGLE_PARTS:
            return parts
        gathered, entry = self._read_index(row.kind)
        if gathered is None or not entry.parts <= {part.name.path for part in small}:
            gathered, entry = None, _EMPTY_ENTRY
        new_parts = [part for part in small if part.name.path not in entry.parts]
        # The larger the gathered file, the more new parts there must be before it is written again.
        if len(new_parts) > MOST_SINGLE_PARTS + len(entry.parts) // 8:
            sources = [*([gathered] if gathered else []), *new_parts]
            with suppress(OSError):  # the cache can't be written
                gathered = self._write(row, sources, entry.parts | {part.name.path for part in new_parts})
                new_parts = []
        if gathered:
            outside = {part.name.path for part in new_parts}
            gathered = gathered._replace(originals=_joined(part for part in small if part.name.path not in outside))
        others = [part for part in parts if part.name.size >= LARGE_PART or part.hidden]
        return [*([gathered] if gathered else []), *new_parts, *others]

    def _read_index(self, kind: str) -> tuple[VerifiedPart | None, _Entry]:
        """Return the gathered file of a kind and its entry; None and an empty entry if there is no valid one."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            index = json.loads(read_cached_text(self._index_file(kind)))
            state, parts = tuple(index.pop("state")), frozenset(index.pop("parts"))
            entry = _Entry(**index, state=state, parts=parts)
            file = self.folder / entry.file
            if file_state(file) == entry.state or ident.digest(file.read_bytes()) == entry.digest:
                return self._part(kind, entry), entry
        return None, _EMPTY_ENTRY

    def _write(self, row: type[Row], parts: Sequence[VerifiedPart], paths: frozenset[str]) -> VerifiedPart:
        """Write the rows of parts to a new gathered file, whose entry has the given paths, and return it."""
        with query.reading(row, parts) as reader:
            content = rewrite(reader, rows_with_part(row))
        digest = ident.digest(content)
        file = self.folder / f"{row.kind}-{digest[:16]}.parquet"
        write_with_folders(file, content)
        pieces = piece_table(content).hex()
        entry = _Entry(file.name, len(content), digest, file_state(file), pieces, paths)
        write_cached_text(self._index_file(row.kind), json.dumps({**entry._asdict(), "parts": sorted(paths)}))
        self._delete_old_files(row.kind, entry.file)
        return self._part(row.kind, entry)

    def _part(self, kind: str, entry: _Entry) -> VerifiedPart:
        name = store_paths.PartName(entry.file, kind, entry.size, entry.digest)
        columns = tuple(rows_with_part(ROWS[kind]).names)
        return VerifiedPart(name, self.folder / entry.file, bytes.fromhex(entry.pieces), columns, gathered=True)

    def _index_file(self, kind: str) -> Path:
        return self.folder / f"{kind}.json"

    def _delete_old_files(self, kind: str, current_name: str) -> None:
        """Delete old gathered files of a kind, except the current one."""
        for file in self.folder.glob(f"{kind}-*.parquet"):
            with suppress(OSError):
                if file.name != current_name and file.stat().st_mtime < time.time() - CACHE_GRACE_SECONDS:
                    file.unlink()


def _joined(parts: Iterable[VerifiedPart]) -> str:
    """Return the digests of the original parts of several parts, one after the other."""
    return "".join(sorted(frozenset().union(*map(digests_in, parts))))


_EMPTY_ENTRY = _Entry("", 0, "", (0, 0, 0, 0), "", frozenset())
