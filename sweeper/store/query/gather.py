"""Merging of many small parts into few files in the user's cache folder.

A scan takes half a millisecond for each part. A query that joins stitches with their self-stitches takes seconds for a
thousand parts, and a tenth of that for one file. Gathered files contain only rows of verified parts and are verified as
parts are. One is not used if one of its parts is missing or damaged. They can be deleted at any time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from sweeper.spec.records.rows import ROWS, Row
from sweeper.store.parts.compacted import digests_in
from sweeper.store.parts.verify import VerifiedPart, by_kind
from sweeper.store.query import small_parts
from sweeper.store.query.gathered_files import GatheredFile, GatheredFiles
from sweeper.store.query.small_parts import FreshRows, batches_of

MOST_SINGLE_PARTS = 64  # so many small parts of a kind are scanned separately; more are gathered


class _Source(NamedTuple):
    """A part, a gathered file or a table, the paths of the parts whose rows it has, and their bytes."""

    rows: VerifiedPart | pa.Table
    paths: frozenset[str]
    size: int


class Gatherer:
    """The gathering of the small parts of one store, of each kind by itself."""

    def __init__(self, folder: Path):
        self._files = GatheredFiles(folder)

    def fresh_rows(self) -> FreshRows:
        """Return an object that takes what a check of the parts reads, for `gather`."""
        return FreshRows(self._files)

    def gather(self, parts: Sequence[VerifiedPart], fresh: FreshRows) -> list[VerifiedPart]:
        """Replace many small parts of a kind by a few gathered files, and return the parts to scan.

        Args:
            parts: The parts.
            fresh: What the check that gave the parts has read.

        Raises:
            StoreError: If a part was damaged after it was verified.
        """
        return [part for kind, row in ROWS.items() for part in self._gather_kind(row, by_kind(parts, kind), fresh)]

    def _gather_kind(self, row: type[Row], parts: list[VerifiedPart], fresh: FreshRows) -> list[VerifiedPart]:
        small = {part.name.path: part for part in parts if part.name.size < small_parts.LARGE_PART and not part.hidden}
        if len(small) <= MOST_SINGLE_PARTS:
            return parts
        written = fresh.written(row.kind)
        files = _usable([*self._files.read(row.kind), *written], small.keys())
        new_parts = _outside(files, small)
        growing = [file for file in files if _size(file.parts, small) < small_parts.FULL_FILE // 2]
        # The larger the file that grows, the more new parts there must be before it is written again.
        most_single_parts = 0 if written else MOST_SINGLE_PARTS + sum(len(file.parts) for file in growing) // 8
        is_gathered = len(new_parts) > most_single_parts
        with suppress(OSError):  # the cache can't be written
            if is_gathered:
                sources = [*self._gathered_sources(row, growing, small), *_new_sources(row, new_parts, fresh)]
                files = [*(file for file in files if file not in growing), *self._write(row, sources)]
                new_parts = []
            if is_gathered or written:
                self._files.save(row.kind, files)
        gathered = [
            self._files.part(row.kind, file)._replace(originals=_joined(small[path] for path in file.parts))
            for file in files
        ]
        others = [part for part in parts if part.name.path not in small]
        return [*gathered, *new_parts, *others]

    def _gathered_sources(
        self, row: type[Row], files: Iterable[GatheredFile], parts: Mapping[str, VerifiedPart]
    ) -> Iterator[_Source]:
        for file in files:
            yield _Source(self._files.part(row.kind, file), file.parts, _size(file.parts, parts))

    def _write(self, row: type[Row], sources: Iterable[_Source]) -> list[GatheredFile]:
        """Write the rows of sources to new gathered files, each but the last full.

        Raises:
            OSError: The cache can't be written.
        """
        groups: list[list[_Source]] = []
        room = 0
        for source in sources:
            if room <= 0:
                groups.append([])
                room = small_parts.FULL_FILE
            groups[-1].append(source)
            room -= source.size
        return [
            self._files.write(row, _batches(row, group), frozenset().union(*(source.paths for source in group)))
            for group in groups
        ]


def _usable(files: Iterable[GatheredFile], paths: AbstractSet[str]) -> list[GatheredFile]:
    """Return the gathered files all of whose parts have the given paths, and of which no earlier one has any."""
    usable: list[GatheredFile] = []
    gathered_paths: set[str] = set()
    for file in files:
        if file.parts <= paths and file.parts.isdisjoint(gathered_paths):
            usable.append(file)
            gathered_paths |= file.parts
    return usable


def _outside(files: Iterable[GatheredFile], parts: Mapping[str, VerifiedPart]) -> list[VerifiedPart]:
    """Return the parts that are in none of the gathered files."""
    gathered_paths = frozenset[str]().union(*(file.parts for file in files))
    return [part for path, part in parts.items() if path not in gathered_paths]


def _size(paths: Iterable[str], parts: Mapping[str, VerifiedPart]) -> int:
    """Return the bytes of the parts with the given paths."""
    return sum(parts[path].name.size for path in paths)


def _new_sources(row: type[Row], parts: Iterable[VerifiedPart], fresh: FreshRows) -> Iterator[_Source]:
    """Yield parts as sources; in place of those whose rows were just read, their tables."""
    part_by_path = {part.name.path: part for part in parts}
    for rows in fresh.rows(row.kind):
        if rows.paths <= part_by_path.keys():
            part_by_path = {path: part for path, part in part_by_path.items() if path not in rows.paths}
            yield _Source(rows.table, rows.paths, rows.size)
    for path, part in part_by_path.items():
        yield _Source(part, frozenset([path]), part.name.size)


def _batches(row: type[Row], sources: Sequence[_Source]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of sources."""
    tables = [source.rows for source in sources if not isinstance(source.rows, VerifiedPart)]
    yield from (batch for table in tables for batch in table.to_batches())
    yield from batches_of(row, [source.rows for source in sources if isinstance(source.rows, VerifiedPart)])


def _joined(parts: Iterable[VerifiedPart]) -> str:
    """Return the digests of the original parts of several parts, one after the other."""
    return "".join(sorted(frozenset().union(*map(digests_in, parts))))
