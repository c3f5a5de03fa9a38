"""Merging of many small parts into few files in the user's cache folder.

A scan takes half a millisecond for each part. A query that joins stitches with their self-stitches takes seconds for a
thousand parts, and a tenth of that for one file. Gathered files contain only rows of verified parts and are verified as
parts are. One is not used if one of its parts is missing or damaged. They can be deleted at any time.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

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
FULL_FILE = 1 << 26  # bytes of the parts in a gathered file, so that few are held, and a damaged part undoes one file
_READ_TOGETHER = 256  # parts that one connection reads; it takes 0.1 MB for each
_THREADS = 2


class _Entry(NamedTuple):
    """A gathered file: its size, digest and state, the table of its pieces, and the paths of the parts in it."""

    file: str
    size: int
    digest: str
    state: FileState
    pieces: str  # hexadecimal digits
    parts: frozenset[str]


class _Group(NamedTuple):
    """Parts, and gathered files, that become one gathered file, and the paths of the parts in it."""

    sources: list[VerifiedPart]
    paths: set[str]


class Gatherer:
    """The gathered files of one store, of each kind, in a folder of the cache."""

    def __init__(self, folder: Path):
        self.folder = folder

    def gather(self, parts: Sequence[VerifiedPart]) -> list[VerifiedPart]:
        """Replace many small parts of a kind by a few gathered files, and return the parts to scan.

        Raises:
            StoreError: If a part was damaged after it was verified.
        """
        return [part for kind, row in ROWS.items() for part in self._gather_kind(row, by_kind(parts, kind))]

    def _gather_kind(self, row: type[Row], parts: list[VerifiedPart]) -> list[VerifiedPart]:
        small = {part.name.path: part for part in parts if part.name.size < LARGE_PART and not part.hidden}
        if len(small) <= MOST_SINGLE_PARTS:
            return parts
        entries = [entry for entry in self._read_index(row.kind) if entry.parts <= small.keys()]
        gathered_paths = frozenset[str]().union(*(entry.parts for entry in entries))
        new_parts = [part for path, part in small.items() if path not in gathered_paths]
        growing = [entry for entry in entries if _size(entry.parts, small) < FULL_FILE // 2]
        # The larger the file that grows, the more new parts there must be before it is written again.
        if len(new_parts) > MOST_SINGLE_PARTS + sum(len(entry.parts) for entry in growing) // 8:
            with suppress(OSError):  # the cache can't be written
                groups = _groups([(self._part(row.kind, entry), entry.parts) for entry in growing], new_parts, small)
                entries = self._write_all(row, [entry for entry in entries if entry not in growing], groups)
                new_parts = []
        gathered = [
            self._part(row.kind, entry)._replace(originals=_joined(small[path] for path in entry.parts))
            for entry in entries
        ]
        others = [part for part in parts if part.name.size >= LARGE_PART or part.hidden]
        return [*gathered, *new_parts, *others]

    def _read_index(self, kind: str) -> list[_Entry]:
        """Return the entries of the valid gathered files of a kind; none if there is no valid index."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            index = json.loads(read_cached_text(self._index_file(kind)))
            entries = [
                _Entry(**{**entry, "state": tuple(entry["state"]), "parts": frozenset(entry["parts"])})
                for entry in index["files"]
            ]
            return [entry for entry in entries if self._is_valid(entry)]
        return []

    def _is_valid(self, entry: _Entry) -> bool:
        file = self.folder / entry.file
        with suppress(OSError):
            return file_state(file) == entry.state or ident.digest(file.read_bytes()) == entry.digest
        return False

    def _write_all(self, row: type[Row], entries: Iterable[_Entry], groups: Iterable[_Group]) -> list[_Entry]:
        """Write a gathered file of each group, and the index after each; return the given entries and the new ones.

        Raises:
            OSError: The cache can't be written.
        """
        all_entries = list(entries)
        for group in groups:
            all_entries.append(self._write(row, group))
            index = [{**entry._asdict(), "parts": sorted(entry.parts)} for entry in all_entries]
            write_cached_text(self._index_file(row.kind), json.dumps({"files": index}))
        self._delete_old_files(row.kind, {entry.file for entry in all_entries})
        return all_entries

    def _write(self, row: type[Row], group: _Group) -> _Entry:
        """Write the rows of a group to a new gathered file, and return its entry."""
        content = rewrite(_batches(row, group.sources), rows_with_part(row))
        digest = ident.digest(content)
        file = self.folder / f"{row.kind}-{digest[:16]}.parquet"
        write_with_folders(file, content)
        pieces = piece_table(content).hex()
        return _Entry(file.name, len(content), digest, file_state(file), pieces, frozenset(group.paths))

    def _part(self, kind: str, entry: _Entry) -> VerifiedPart:
        name = store_paths.PartName(entry.file, kind, entry.size, entry.digest)
        columns = tuple(rows_with_part(ROWS[kind]).names)
        return VerifiedPart(name, self.folder / entry.file, bytes.fromhex(entry.pieces), columns, gathered=True)

    def _index_file(self, kind: str) -> Path:
        return self.folder / f"{kind}.json"

    def _delete_old_files(self, kind: str, current_names: set[str]) -> None:
        """Delete old gathered files of a kind, except the current ones."""
        for file in self.folder.glob(f"{kind}-*.parquet"):
            with suppress(OSError):
                if file.name not in current_names and file.stat().st_mtime < time.time() - CACHE_GRACE_SECONDS:
                    file.unlink()


def _size(paths: Iterable[str], parts: dict[str, VerifiedPart]) -> int:
    """Return the bytes of the parts with the given paths."""
    return sum(parts[path].name.size for path in paths)


def _groups(
    gathered: Iterable[tuple[VerifiedPart, frozenset[str]]],
    new_parts: Iterable[VerifiedPart],
    parts: dict[str, VerifiedPart],
) -> list[_Group]:
    """Divide gathered files, each with the paths of its parts, and new parts into groups for full gathered files."""
    groups: list[_Group] = []
    room = 0
    for source, paths in [*gathered, *((part, {part.name.path}) for part in new_parts)]:
        if room <= 0:
            groups.append(_Group([], set()))
            room = FULL_FILE
        groups[-1].sources.append(source)
        groups[-1].paths.update(paths)
        room -= _size(paths, parts)
    return groups


def _batches(row: type[Row], parts: Sequence[VerifiedPart]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of parts, some hundred parts at a time.

    A connection keeps the footers of all parts that it has read, so that one for thousands of parts takes gigabytes.
    """
    chunks = [parts[start : start + _READ_TOGETHER] for start in range(0, len(parts), _READ_TOGETHER)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(chunks), _THREADS):
            for table in pool.map(partial(_read, row), chunks[start : start + _THREADS]):
                yield from table.to_batches()


def _read(row: type[Row], parts: Sequence[VerifiedPart]) -> pa.Table:
    """Read the rows of parts.

    With several threads, or with its cache of files, DuckDB takes up to twice the processor time for small parts.
    """
    with query.connect_parts(row, parts) as con:
        con.execute("SET threads = 1")
        con.execute("SET enable_external_file_cache = false")
        return con.sql(f"SELECT * FROM parts_{row.kind}").to_arrow_table()


def _joined(parts: Iterable[VerifiedPart]) -> str:
    """Return the digests of the original parts of several parts, one after the other."""
    return "".join(sorted(frozenset().union(*map(digests_in, parts))))
