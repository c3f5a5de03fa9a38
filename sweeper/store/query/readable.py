"""The search for parts that have their digest but can't be read: their writer, or the memory that it used, was faulty.

Nobody decodes parts when they are first seen, because that takes longer than their digests. A query that fails starts
this search, and so does the full check of a store.
"""

from collections.abc import Iterator, Sequence

from sweeper.errors import PartChangedError, QueryError
from sweeper.spec.records.rows import ROWS, Row
from sweeper.store.parts.verify import VerifiedPart, by_kind
from sweeper.store.query import query


def unreadable_parts(parts: Sequence[VerifiedPart]) -> Iterator[tuple[VerifiedPart, str]]:
    """Yield each part that DuckDB can't read, and the reason; parts that have gone meanwhile are left out."""
    for kind, row in ROWS.items():
        if of_kind := by_kind(parts, kind):
            yield from _search(row, of_kind)


def _search(row: type[Row], parts: Sequence[VerifiedPart]) -> Iterator[tuple[VerifiedPart, str]]:
    """Read parts of one kind together, and after an error each half of them, until single parts are to blame."""
    try:
        query.read_every_value(row, parts)
    except (QueryError, PartChangedError) as error:
        if len(parts) > 1:
            middle = len(parts) // 2
            yield from _search(row, parts[:middle])
            yield from _search(row, parts[middle:])
        elif isinstance(error, QueryError):
            yield parts[0], f"it has its digest, but can't be read: {_first_line(error)}"


def _first_line(error: QueryError) -> str:
    return str(error).split("\n", 1)[0].strip()
