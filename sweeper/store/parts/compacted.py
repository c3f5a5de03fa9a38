"""Compacted parts: parts that have the rows of many original parts, which they replace.

An original part is one that a process published with its results. A compacted part has every row of its original parts,
each with the path of its original part in the column `part`, and its Parquet metadata has the list of their digests. So
a reader knows from the files that it has verified which parts hold the same rows, and takes the rows of each original
part from one of them (`parts_in_use`). This holds for compacted parts whose original parts overlap, too: two drivers
have written them, or two stores with common parts were merged.
"""

import re
from collections.abc import Iterable
from typing import Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.spec.records.rows import Row
from sweeper.store.parts.schema import arrow_schema
from sweeper.store.parts.store_paths import PartName, parse_part

PART = "part"  # the column with the path of a row's original part

_KEY = b"sweeper.originals"
_DIGITS = 16  # of the digest in the name of a part
_LIST = re.compile(rf"(?:[0-9a-f]{{{_DIGITS}}})+")

# The digest in a row's path of its original part, in SQL.
DIGEST_SQL = f"substr({PART}, length({PART}) - length('.parquet') - {_DIGITS - 1}, {_DIGITS})"


class AnyPart(Protocol):
    """A part with the digests of the original parts whose rows it has; "" if it is an original part itself."""

    @property
    def name(self) -> PartName:
        """The path of the part, with its kind, size and digest."""
        ...

    @property
    def originals(self) -> str:
        """The digests of its original parts, one after the other."""
        ...


P = TypeVar("P", bound=AnyPart)


def rows_with_part(row: type[Row]) -> pa.Schema:
    """Return the schema of rows from many parts: the columns of a row class, and `part`.

    A column that was added later is null in the rows of older parts, even if its class allows no null. Bitmaps are the
    last column, so that they lie between no two columns that a query reads in one piece.
    """
    columns = [field.with_nullable(True) for field in arrow_schema(row).remove_metadata()]
    columns.append(pa.field(PART, pa.string()))
    return pa.schema(sorted(columns, key=lambda field: field.type == pa.binary()))


def compacted_schema(row: type[Row], digests: Iterable[str]) -> pa.Schema:
    """Return the schema of a compacted part, with the list of its original parts."""
    return rows_with_part(row).with_metadata({_KEY: "".join(sorted(digests)).encode()})


def listed_originals(schema: pa.Schema) -> str:
    """Return the digests of the original parts of a compacted part, one after the other; "" of an original part."""
    return (schema.metadata or {}).get(_KEY, b"").decode(errors="replace")


def problem_with(content: bytes, originals: str) -> str | None:
    """Return how the list of a compacted part differs from the original parts of its rows; None if it doesn't.

    Args:
        content: The bytes of the part.
        originals: Its list, as `listed_originals` returns it.
    """
    if not _LIST.fullmatch(originals):
        return "its list of original parts can't be read"
    schema = pq.read_schema(pa.BufferReader(content))
    if PART not in schema.names or schema.field(PART).type != pa.string():
        return f"it has no column {PART} of texts"
    paths = pq.read_table(pa.BufferReader(content), columns=[PART])[PART]
    if digests_of(paths) != split_digests(originals):
        return "its list of original parts differs from those of its rows"
    return None


def digests_of(paths: pa.ChunkedArray) -> frozenset[str]:
    """Return the digests in the names of the parts in a column of paths; "" for a path that is not one of a part."""
    names = (parse_part(path or "") for path in paths.unique().to_pylist())
    return frozenset(name.digest if name else "" for name in names)


def split_digests(originals: str) -> frozenset[str]:
    """Return the digests in a list of original parts."""
    return frozenset(originals[start : start + _DIGITS] for start in range(0, len(originals), _DIGITS))


def digests_in(part: AnyPart) -> frozenset[str]:
    """Return the digests of the original parts whose rows a part has: its own, unless it is compacted."""
    return split_digests(part.originals) if part.originals else frozenset([part.name.digest])


def parts_in_use(parts: Iterable[P]) -> list[tuple[P, frozenset[str]]]:
    """Choose the parts of one kind from which rows are read, so that the rows of each original part are read once.

    The compacted parts with most original parts come first. From a part only those original parts are read that no
    earlier one has; a part that has no others is left out. The result depends on nothing but the parts.

    Returns:
        Each chosen part, and the digests of those of its original parts that are read from another one.
    """
    in_order = sorted(parts, key=lambda part: (-len(part.originals), part.name.path))
    read: set[str] = set()
    chosen: list[tuple[P, frozenset[str]]] = []
    for part in in_order:
        digests = digests_in(part)
        if not digests <= read:
            chosen.append((part, digests & read))
            read |= digests
    return chosen
