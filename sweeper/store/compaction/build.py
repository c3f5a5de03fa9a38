"""The content of a compacted part: the rows of its inputs, sorted by what queries select, and compared with them."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.errors import StoreError
from sweeper.spec.records import ident
from sweeper.spec.records.rows import ROWS
from sweeper.store.parts import store_paths
from sweeper.store.parts.compacted import DIGEST_SQL, compacted_schema
from sweeper.store.parts.part import rewrite
from sweeper.store.parts.pieces import piece_table
from sweeper.store.parts.tail import with_tail
from sweeper.store.parts.verify import VerifiedPart
from sweeper.store.query.query import connect_parts

# The columns by which the rows of a kind are sorted, so that queries that select by them skip row groups.
ORDER: Mapping[str, Sequence[str]] = {
    "models": ("dataset", "arch", "width", "samples", "steps", "seed"),
    "stitches": ("sender", "protocol", "stitcher", "data", "cut_b", "cut_a", "b", "a", "seed"),
    "similarities": ("measure", "cut_b", "cut_a", "b", "a"),
    "curves": ("task", "run", "attempt", "split", "step"),
    "failures": ("of", "error"),
    "runs": ("at", "event"),
}
_MEMORY = "1GB"  # of DuckDB, which sorts in files beyond that; a driver has other things to hold


class CompactedPart(NamedTuple):
    """A compacted part that is not published yet."""

    path: str
    content: bytes


def build(kind: str, inputs: Sequence[VerifiedPart]) -> CompactedPart:
    """Build the compacted part of inputs of one kind; the same inputs give the same bytes.

    Raises:
        PartChangedError: An input was moved away or damaged after it was verified.
        StoreError: The part doesn't have exactly the rows of its inputs, so something is wrong with this machine; or
            this machine has no room for temporary files.
    """
    try:
        return _build(kind, inputs)
    except OSError as error:
        folder = error.filename or tempfile.gettempdir()
        raise StoreError(
            f"temporary files can't be written in {folder} ({error.strerror or error}), so nothing was compacted; "
            "set TMPDIR to a folder with room for a part (128 MB)"
        ) from None


def _build(kind: str, inputs: Sequence[VerifiedPart]) -> CompactedPart:
    row = ROWS[kind]
    with connect_parts(row, sorted(inputs)) as con:
        _limit(con)
        originals = [digest for (digest,) in con.sql(f"SELECT DISTINCT {DIGEST_SQL} FROM parts_{kind}").fetchall()]
        # Rows that are equal in the columns before the hash may have any order, but always have the same one.
        order = ", ".join(f'"{name}"' for name in (*ORDER[kind], "task", "attempt", "part"))
        query = f"SELECT * FROM parts_{kind} ORDER BY {order}, hash(parts_{kind})"
        with closing(con.sql(query).to_arrow_reader()) as reader:
            content, tail = with_tail(rewrite(reader, compacted_schema(row, originals)))
        (latest,) = con.sql(f'SELECT max("at") FROM parts_{kind}').fetchall()[0]
        expected = _fingerprint(con, kind)
    _compare(kind, content, expected)
    return CompactedPart(store_paths.compacted_part(kind, len(originals), latest, content, tail), content)


def _limit(con: duckdb.DuckDBPyConnection) -> None:
    """Leave the machine to other work."""
    con.execute(f"SET memory_limit = '{_MEMORY}'")
    con.execute("SET threads = 1")


def _fingerprint(con: duckdb.DuckDBPyConnection, kind: str) -> tuple[int, int]:
    """Return the number of the rows that a connection has, and the sum of their hashes, whatever their order is."""
    return con.sql(f"SELECT count(*), sum(hash(parts_{kind})::HUGEINT) FROM parts_{kind}").fetchall()[0]


def _compare(kind: str, content: bytes, expected: tuple[int, int]) -> None:
    """Read the content of a compacted part as queries do, and compare its rows with those of the inputs.

    Raises:
        StoreError: They differ.
    """
    with tempfile.TemporaryDirectory(prefix="sweeper-") as folder:
        file = Path(folder) / "part.parquet"
        file.write_bytes(content)
        name = store_paths.PartName(f"rows/{kind}/new", kind, len(content), ident.digest(content)[:16])
        columns = tuple(pq.read_schema(pa.BufferReader(content)).names)
        part = VerifiedPart(name, file, piece_table(content), columns)
        with connect_parts(ROWS[kind], [part]) as con:
            _limit(con)
            found = _fingerprint(con, kind)
    if found != expected:
        raise StoreError(
            f"a compacted part of {kind} has other rows than its inputs ({found[0]}, not {expected[0]}, or changed "
            "ones); nothing was published; check the memory and the disk of this machine"
        )
