"""The check of the content of a part, or of its tail alone: its digest, its columns, and the digests that it lists."""

from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
from packaging.version import Version

from sweeper import distribution
from sweeper.errors import StoreError
from sweeper.spec.records import ident
from sweeper.spec.records.rows import ROWS
from sweeper.store.parts import compacted, tail
from sweeper.store.parts.known_files import FileState, KnownFile
from sweeper.store.parts.pieces import piece_table
from sweeper.store.parts.schema import arrow_schema, wrong_columns
from sweeper.store.parts.store_paths import PartName


def check_content(name: PartName, state: FileState, content: bytes) -> KnownFile:
    """Check the whole content of a part, and return what it has, or what is wrong with it.

    Raises:
        StoreError: A later version of Sweeper has written it.
    """
    if problem := wrong_digest(name, content):
        return KnownFile.damaged(state, problem)
    schema = _schema(name, content)
    if isinstance(schema, str):
        return KnownFile.damaged(state, schema)
    originals = compacted.listed_originals(schema)
    problem = compacted.problem_with(content, originals) if originals else None
    if problem is None and name.tail:
        problem = tail.problem_with_tail(content, name)
    if problem:
        return KnownFile.damaged(state, problem)
    pieces = tail.pieces_in(content[-name.tail.size :], name.size) if name.tail else piece_table(content)
    return KnownFile(state, pieces, tuple(schema.names), originals)


def check_tail(name: PartName, state: FileState, content: bytes) -> KnownFile:
    """Check the tail of a part, and return what the part has, or what is wrong with its tail.

    Raises:
        StoreError: A later version of Sweeper has written it.
    """
    if not tail.has_its_digest(content, name):
        return KnownFile.damaged(state, f"its last {len(content)} bytes don't have the digest in its name")
    schema = _schema(name, content)
    if isinstance(schema, str):
        return KnownFile.damaged(state, schema)
    return KnownFile(state, tail.pieces_in(content, name.size), tuple(schema.names), compacted.listed_originals(schema))


def wrong_digest(name: PartName, content: bytes) -> str | None:
    """Return how the content of a part differs from the size and digest in its name; None if it doesn't."""
    if len(content) != name.size:
        return f"it has {len(content)} bytes, but its name says {name.size}"
    digest = ident.digest(content)[: len(name.digest)]
    if digest != name.digest:
        return f"its digest is {digest}, but its name says {name.digest}"
    return None


def _schema(name: PartName, content: bytes) -> pa.Schema | str:
    """Return the schema of a part, from its content or its tail; if it is not that of its kind, what is wrong with it.

    Raises:
        StoreError: The part has a kind or columns that this version doesn't know.
    """
    if (row := ROWS.get(name.kind)) is None:
        raise StoreError(_of_later_version(name, "rows of a kind that this version doesn't know", content))
    try:
        schema = pq.read_schema(pa.BufferReader(content))
    except (pa.ArrowException, OSError, ValueError) as error:  # pyarrow raises all of them for wrong footers
        return f"it can't be read as Parquet: {error}"
    if problem := wrong_columns(row, schema):
        return f"it has no rows of {name.kind}: {problem}"
    originals = compacted.listed_originals(schema)
    known_names = {*arrow_schema(row).names, *([compacted.PART] if originals else [])}
    if unknown := set(schema.names) - known_names:
        names = ", ".join(sorted(unknown))
        problem = f"columns that this version doesn't know ({names})"
        raise StoreError(_of_later_version(name, problem, content))
    return schema


def _of_later_version(name: PartName, problem: str, content: bytes) -> str:
    """Return the message about a part that a later version of Sweeper has written, with the version that it needs."""
    advice = distribution.later_version(_latest_code(content))
    return f"{name.path} has {problem}; a later version of Sweeper has written it, so {advice}"


def _latest_code(content: bytes) -> str | None:
    """Return the latest version of Sweeper that the statistics of the column `code` name; None if they name none."""
    with suppress(pa.ArrowException, OSError, ValueError):  # it can't be read as Parquet
        metadata = pq.read_metadata(pa.BufferReader(content))
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        columns = [group.column(number) for group in groups for number in range(group.num_columns)]
        codes = [column.statistics for column in columns if column.path_in_schema == "code"]
        versions = [version for code in codes if code and code.has_min_max for version in (code.min, code.max)]
        return max(versions, key=Version, default=None)
    return None
