"""Read-only SQL over verified parts, and plain messages for queries that DuckDB refuses.

The parts are registered as Arrow datasets. Then external access is switched off and the configuration locked, so no
query can read or write a file. A filter on statements would not suffice: `WITH a AS (COPY ...) SELECT` writes, too.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import LocalFileSystem

from sweeper.errors import QueryError, StoreError
from sweeper.spec.records.rows import RECEIPTS, ROWS, Row
from sweeper.store.parts.schema import scanned
from sweeper.store.parts.verify import VerifiedPart, by_kind
from sweeper.store.query import views
from sweeper.store.query.repeats import Repeats
from sweeper.store.statistics import interval

# Pages are compared with their checksums as they are read: a bit may flip after a part's digest was checked.
_CHECKED = ds.ParquetFragmentScanOptions(page_checksum_verification=True)

# Set when connecting, because some can't be set later: no Python variable may serve as a table, nothing is downloaded.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_persistent_secrets": False,
    "temp_directory": "",
}

_GUESSES = ("Candidate", "Did you mean")

# Texts in DuckDB's error if reading an Arrow dataset failed; they depend on its version.
_UNREADABLE = re.compile(r"stream registered as|arrow_scan|Arrow")


def dataset(row: type[Row], parts: Sequence[VerifiedPart]) -> ds.Dataset:
    """Return the parts of one kind as one dataset; the column `part` is the path of the part that contains a row.

    Texts other than ids of tasks are dictionaries: a setting is compared once a part, not once a row.
    """
    texts = [field.name for field in scanned(row) if pa.types.is_dictionary(field.type)]
    form = ds.ParquetFileFormat(
        read_options=ds.ParquetReadOptions(dictionary_columns=texts), default_fragment_scan_options=_CHECKED
    )
    disk = LocalFileSystem()
    fragments = [
        form.make_fragment(str(part.file), disk, None if part.gathered else ds.field("part") == part.name.path)
        for part in by_kind(parts, row.kind)
    ]
    if not fragments:
        return ds.dataset(scanned(row).empty_table())
    return ds.FileSystemDataset(fragments, scanned(row), form, disk)


def read_rows(row: type[Row], parts: Sequence[VerifiedPart], columns: Sequence[str] | None = None) -> pa.Table:
    """Read the rows of one kind without DuckDB.

    Raises:
        StoreError: if a part was damaged after it was verified.
    """
    try:
        return dataset(row, parts).to_table(columns)
    except (pa.ArrowException, OSError) as error:
        raise _broken(error) from None


def connect_views(
    parts: Sequence[VerifiedPart],
    repeats: Repeats,
    present: Callable[[], Iterable[str]],
    only: Iterable[str] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection with the views and the functions of `interval`, locked and read-only.

    Times are UTC.

    Args:
        parts: the verified parts.
        repeats: the cache of tasks that have several rows.
        present: returns the digests of the weights that the store holds; called only if a model has several rows.
        only: ids of tasks to which the views are restricted.
    """
    con = duckdb.connect(":memory:", config=_CONFIG)
    try:
        _prepare(con, parts, repeats, present, only)
    except duckdb.Error as error:  # a part was damaged after it was verified
        con.close()
        raise explained_error(error) from None
    return con


def _prepare(
    con: duckdb.DuckDBPyConnection,
    parts: Sequence[VerifiedPart],
    repeats: Repeats,
    present: Callable[[], Iterable[str]],
    only: Iterable[str] | None,
) -> None:
    con.execute("SET TimeZone = 'UTC'")
    for kind, row in ROWS.items():
        con.register(f"parts_{kind}", dataset(row, parts))
    repeated = {kind: tasks for kind in RECEIPTS if (tasks := repeats.find(con, kind, by_kind(parts, kind)))}
    for kind, tasks in repeated.items():
        con.register(f"repeated_{kind}", _one_column("task", tasks))
    con.register("present_weights", _one_column("digest", present() if "models" in repeated else ()))
    if only is not None:
        con.register("only_tasks", _one_column("task", only))
    views.create(con, repeated, restricted=only is not None)
    interval.register(con)
    views.create_table_macros(con)
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def run_query(con: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """Run a query and return its result; an empty table for a statement without a result.

    Raises:
        QueryError: if the query is wrong.
        StoreError: if a part was damaged after it was verified.
    """
    try:
        relation = con.sql(query)
        return relation.to_arrow_table() if relation is not None else pa.table({})
    except duckdb.Error as error:
        raise explained_error(error) from None


def explained_error(error: duckdb.Error) -> QueryError | StoreError:
    """Convert DuckDB's error to one of Sweeper's; a missing column, view or function gets the closest existing name."""
    text = str(error)
    if isinstance(error, duckdb.PermissionException) or "configuration has been locked" in text:
        return QueryError(f"{_first(text)}; queries are read-only and see nothing but the store's views")
    if _UNREADABLE.search(text):
        return _broken(error)
    missing = re.search(
        r'(?:column|Table with name|column named|table) "?([^"\s]+)"? (?:not found|does not exist)', text
    )
    named = missing or re.search(r'does not have a column named "([^"]+)"', text)
    hint = _nearest(named[1]) if named else ""
    return QueryError(f"{_without_candidates(text)}{hint}")


def _nearest(name: str) -> str:
    """Return a hint at the closest column or view, with the views that have the column."""
    homes: dict[str, list[str]] = {}
    for view in views.VIEWS:
        for column in view.columns:
            homes.setdefault(column.name, []).append(view.name)
    name = name.rsplit(".", 1)[-1].lower()
    if name in homes:
        return f"\n{name} is a column of {', '.join(homes[name])}"
    names = [*homes, *(view.name for view in views.VIEWS)]
    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if not matches:
        return f"\nthe views are {', '.join(view.name for view in views.VIEWS)}; `sweeper sql` lists their columns"
    where = f" (in {', '.join(homes[matches[0]])})" if matches[0] in homes else " (a view)"
    return f"\ndid you mean {matches[0]}{where}?"


def _broken(error: Exception) -> StoreError:
    return StoreError(
        f"a part of the store changed after it was checked: {_first(str(error))}; "
        "the next `sweeper run` or `resume` sets it aside"
    )


def _first(text: str) -> str:
    return text.split("\n", 1)[0].strip()


def _without_candidates(text: str) -> str:
    """Remove DuckDB's own suggestions from its message; they ignore columns of other views."""
    lines = [line for line in text.split("\n") if not line.lstrip().startswith(_GUESSES) and not line.startswith("\t")]
    return re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip()


def _one_column(name: str, values: Iterable[str]) -> pa.Table:
    return pa.table({name: pa.array(values, pa.string())})
