"""Merging of many small parts into one file in the user's cache folder: a scan spends a millisecond on each part.

A query that joins stitches with their self-stitches takes seconds over a thousand parts, a tenth of that over one file.
The file contains rows of verified parts only and is checked against its own digest. It is not used once one of its
parts is missing or damaged. It may be deleted.
"""

import io
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.files import write_atomically
from sweeper.spec.records import ident
from sweeper.spec.records.rows import ROWS, Row
from sweeper.store.parts import store_paths
from sweeper.store.parts.schema import arrow_schema
from sweeper.store.parts.verify import VerifiedPart, by_kind
from sweeper.store.query import query

SMALL = 1 << 20  # bytes: larger parts are worth a scan of their own
MANY = 64  # parts: fewer are scanned as they are
_ROWS = 1 << 17  # rows of a row group: a thread each
_STALE = 3600.0  # seconds after which no query can still read a file that was replaced


class _Entry(NamedTuple):
    """A gathered file and the paths of the parts whose rows it holds."""

    file: str
    size: int
    digest: str
    parts: frozenset[str]


class Gatherer:
    """Gathers the parts of one store in a folder of the cache."""

    def __init__(self, folder: Path):
        self.folder = folder

    def gather(self, parts: Sequence[VerifiedPart]) -> list[VerifiedPart]:
        """Return parts with the same rows in fewer files.

        Raises:
            StoreError: if a part was damaged after it was verified.
        """
        return [part for kind, row in ROWS.items() for part in self._kind(row, by_kind(parts, kind))]

    def _kind(self, row: type[Row], parts: list[VerifiedPart]) -> list[VerifiedPart]:
        small = [part for part in parts if part.name.size < SMALL]
        if len(small) <= MANY:
            return parts
        gathered, entry = self._known(row.kind)
        if gathered is None or not entry.parts <= {part.name.path for part in small}:
            gathered, entry = None, _NOTHING
        rest = [part for part in small if part.name.path not in entry.parts]
        # The larger the gathered file, the more new parts must have come before it is written again.
        if len(rest) > MANY + len(entry.parts) // 8:
            known = [gathered] if gathered else []
            with suppress(OSError):  # the cache can't be written
                gathered, rest = self._write(row, [*known, *rest], entry.parts | {p.name.path for p in rest}), []
        large = [part for part in parts if part.name.size >= SMALL]
        return [*([gathered] if gathered else []), *rest, *large]

    def _known(self, kind: str) -> tuple[VerifiedPart | None, _Entry]:
        with suppress(OSError, ValueError, TypeError, KeyError):
            raw = json.loads(self._index(kind).read_bytes())
            entry = _Entry(str(raw["file"]), int(raw["size"]), str(raw["digest"]), frozenset(raw["parts"]))
            file = self.folder / entry.file
            if ident.digest(file.read_bytes()) == entry.digest:
                return self._part(kind, entry), entry
        return None, _NOTHING

    def _write(self, row: type[Row], parts: Sequence[VerifiedPart], paths: frozenset[str]) -> VerifiedPart:
        # A column that was added later is null in the rows of older parts, even if its class allows no null.
        row_fields = [field.with_nullable(True) for field in arrow_schema(row).remove_metadata()]
        texts = pa.schema([*row_fields, pa.field("part", pa.string())])
        buffer = io.BytesIO()
        table = query.read_rows(row, parts).cast(texts)
        pq.write_table(table, buffer, compression="zstd", write_page_checksum=True, row_group_size=_ROWS)
        content = buffer.getvalue()
        digest = ident.digest(content)
        entry = _Entry(f"{row.kind}-{digest[:16]}.parquet", len(content), digest, paths)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / entry.file, content)
        write_atomically(self._index(row.kind), json.dumps({**entry._asdict(), "parts": sorted(paths)}))
        self._forget(row.kind, entry.file)
        return self._part(row.kind, entry)

    def _part(self, kind: str, entry: _Entry) -> VerifiedPart:
        return VerifiedPart(
            store_paths.PartName(entry.file, kind, entry.size, entry.digest), self.folder / entry.file, gathered=True
        )

    def _index(self, kind: str) -> Path:
        return self.folder / f"{kind}.json"

    def _forget(self, kind: str, current: str) -> None:
        for file in self.folder.glob(f"{kind}-*.parquet"):
            with suppress(OSError):
                if file.name != current and file.stat().st_mtime < time.time() - _STALE:
                    file.unlink()


_NOTHING = _Entry("", 0, "", frozenset())
