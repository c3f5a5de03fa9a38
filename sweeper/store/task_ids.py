"""The ids of the tasks that have a result, and of those that have failed for good.

They are read in batches, because a store may have millions of tasks.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

import pyarrow as pa

from sweeper.spec.records.rows import RECEIPTS, ROWS, FailureRow
from sweeper.store.parts.verify import VerifiedPart
from sweeper.store.query import query

BATCH = 100_000  # ids

# The last failure of a task decides. Its other columns, such as its part, would take the memory of a sort: 1.5 GB for a
# million tasks.
_LAST_IS_FINAL = """
SELECT task FROM parts_failures GROUP BY task HAVING max("at") FILTER (final) = max("at")
"""


def with_result(parts: Sequence[VerifiedPart], kinds: Iterable[str] = RECEIPTS) -> Iterator[Collection[str]]:
    """Yield batches of the ids of the tasks that have a receipt of some kinds; an id may be repeated.

    Raises:
        PartChangedError: A part was damaged after it was verified.
    """
    for kind in kinds:
        with query.connect_parts(ROWS[kind], parts) as con:
            yield from _batches(con.sql(f"SELECT task FROM parts_{kind}").to_arrow_reader(BATCH))


def failed_for_good(parts: Sequence[VerifiedPart]) -> set[str]:
    """Return the ids of the tasks that have no receipt and whose last failure is final.

    Raises:
        PartChangedError: A part was damaged after it was verified.
    """
    task_ids: set[str] = set()
    with query.connect_parts(FailureRow, parts) as con:
        for batch in _batches(con.sql(_LAST_IS_FINAL).to_arrow_reader(BATCH)):
            task_ids.update(batch)
    for batch in with_result(parts) if task_ids else ():
        task_ids.difference_update(batch)
    return task_ids


def _batches(reader: pa.RecordBatchReader) -> Iterator[Collection[str]]:
    return (batch["task"].to_pylist() for batch in reader)
