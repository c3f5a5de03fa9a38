"""The rows of many small parts, which are read some hundred parts at a time.

A connection keeps the footers of all parts that it has read, so that one for thousands of parts takes gigabytes.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from sweeper.errors import QueryError, StoreError
from sweeper.spec.records.rows import ROWS, Row
from sweeper.store.parts.verify import VerifiedPart
from sweeper.store.query import query
from sweeper.store.query.gathered_files import GatheredFile, GatheredFiles
from sweeper.store.query.part_files import NONE_HELD

LARGE_PART = 1 << 20  # bytes; parts of this size are scanned separately, because the fixed time for each hardly matters
FULL_FILE = 1 << 26  # bytes of the parts in a gathered file, so that few are held, and a damaged part undoes one file
TINY_PART = 1 << 17  # bytes; rows of larger parts are read a few at a time, as they may need twenty times the memory
READ_TOGETHER = 256  # parts that one connection reads; it takes 0.1 MB for each
_HELD_BYTES = 1 << 23  # bytes of contents that are held until they are read together
_THREADS = 2


class ReadRows(NamedTuple):
    """The rows of some parts of a kind, the paths of the parts and their bytes."""

    table: pa.Table
    paths: frozenset[str]
    size: int


class _Held(NamedTuple):
    """A part and its content."""

    part: VerifiedPart
    content: bytes


class FreshRows:
    """The rows of the tiny parts that a check has just read, each from the bytes whose digest was compared.

    So a first look opens each of these files once. Gathered files that are full are written meanwhile, so that the rows
    of few parts are held. Many threads may use one object.
    """

    def __init__(self, files: GatheredFiles):
        self._files = files
        self._lock = threading.Lock()
        self._held: dict[str, list[_Held]] = {kind: [] for kind in ROWS}
        self._held_bytes = dict.fromkeys(ROWS, 0)
        self._rows: dict[str, list[ReadRows]] = {kind: [] for kind in ROWS}
        self._written: dict[str, list[GatheredFile]] = {kind: [] for kind in ROWS}

    def add(self, part: VerifiedPart, content: bytes) -> None:
        """Take the content of a part, which was just checked."""
        kind = part.name.kind
        if part.name.size >= TINY_PART:
            return
        with self._lock:
            held = self._held[kind]
            held.append(_Held(part, content))
            self._held_bytes[kind] += part.name.size
            if len(held) < READ_TOGETHER and self._held_bytes[kind] < _HELD_BYTES:
                return
            self._held[kind], self._held_bytes[kind] = [], 0
        for rows in self._read(kind, held):
            self._add_rows(kind, rows)

    def written(self, kind: str) -> list[GatheredFile]:
        """Return the gathered files that were written so far, which are in no index yet."""
        return self._written[kind]

    def rows(self, kind: str) -> list[ReadRows]:
        """Return the rows that are in no gathered file yet; called once, when the check has ended."""
        return [*self._rows[kind], *self._read(kind, self._held[kind])]

    def _read(self, kind: str, held: Sequence[_Held]) -> Iterator[ReadRows]:
        """Yield the rows of parts; none if that fails, so that they are read from their files later, which says why."""
        parts = [part for part, _ in held]
        with suppress(QueryError, StoreError):
            table = read_together(ROWS[kind], parts, {part.name.path: content for part, content in held})
            yield ReadRows(table, frozenset(part.name.path for part in parts), sum(part.name.size for part in parts))

    def _add_rows(self, kind: str, new: ReadRows) -> None:
        """Add rows to those that were read, and write all of them if they fill a gathered file.

        If the cache can't be written, they are read from their files later.
        """
        with self._lock:
            rows = self._rows[kind]
            rows.append(new)
            if sum(read.size for read in rows) < FULL_FILE:
                return
            self._rows[kind] = []
        batches = (batch for read in rows for batch in read.table.to_batches())
        with suppress(OSError):
            file = self._files.write(ROWS[kind], batches, frozenset().union(*(read.paths for read in rows)))
            with self._lock:
                self._written[kind].append(file)


def batches_of(row: type[Row], parts: Sequence[VerifiedPart]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of parts of one kind, with the path of their original part in the column `part`.

    Raises:
        StoreError: If a part was damaged after it was verified.
    """
    tiny = [part for part in parts if part.name.size < TINY_PART]
    others = [part for part in parts if part.name.size >= TINY_PART]
    chunks = [tiny[start : start + READ_TOGETHER] for start in range(0, len(tiny), READ_TOGETHER)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(chunks), _THREADS):
            for table in pool.map(partial(read_together, row), chunks[start : start + _THREADS]):
                yield from table.to_batches()
    for start in range(0, len(others), READ_TOGETHER):
        with query.reading(row, others[start : start + READ_TOGETHER]) as reader:
            yield from reader


def read_together(row: type[Row], parts: Sequence[VerifiedPart], contents: Mapping[str, bytes] = NONE_HELD) -> pa.Table:
    """Read the rows of parts of one kind by one connection.

    With several threads, or with its cache of files, DuckDB takes up to twice the processor time for small parts.

    Args:
        row: The kind's class.
        parts: The parts.
        contents: The contents of those that are held since they were checked, by path.

    Raises:
        StoreError: If a part was damaged after it was verified.
    """
    with query.connect_parts(row, parts, contents) as con:
        con.execute("SET threads = 1")
        con.execute("SET enable_external_file_cache = false")
        return con.sql(f"SELECT * FROM parts_{row.kind}").to_arrow_table()
