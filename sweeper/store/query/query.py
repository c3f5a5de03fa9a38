"""Read-only SQL over verified parts, and plain messages for queries that DuckDB refuses.

The parts are registered as Arrow datasets. Then external access is switched off and the configuration is locked, so no
query can read or write a file. A filter on statements would not suffice, because `WITH a AS (COPY ...) SELECT` also
writes.
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
from sweeper.store.parts.schema import scan_schema
from sweeper.store.parts.verify import VerifiedPart, by_kind
from sweeper.store.query import views
from sweeper.store.query.repeats import Repeats
from sweeper.store.statistics import interval

# The checksum of a page is compared when it is read, because a bit may flip after the part's digest was checked.
_PAGE_CHECKSUMS = ds.ParquetFragmentScanOptions(page_checksum_verification=True)

# Settings that are given when connecting, because some can't be changed later. With them, a query can't use a Python
# variable as a table, downloads no extension, and writes nothing to a temporary folder.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_persistent_secrets": False,
    "temp_directory": "",
}

_SUGGESTIONS = ("Candidate", "Did you mean")  # the beginnings of lines with DuckDB's own suggestions

# Texts in DuckDB's error if reading an Arrow dataset failed; they depend on the version of DuckDB.
_UNREADABLE = re.compile(r"stream registered as|arrow_scan|Arrow")


def dataset(row: type[Row], parts: Sequence[VerifiedPart]) -> ds.Dataset:
    """Return the parts of one kind as one dataset; the column `part` is the path of the part that contains a row.

    Texts other than ids of tasks are dictionaries, so that a setting is compared once for each part, not for each row.
    """
    text_columns = [field.name for field in scan_schema(row) if pa.types.is_dictionary(field.type)]
    parquet = ds.ParquetFileFormat(
        read_options=ds.ParquetReadOptions(dictionary_columns=text_columns),
        default_fragment_scan_options=_PAGE_CHECKSUMS,
    )
    file_system = LocalFileSystem()
    fragments = [
        parquet.make_fragment(
            str(part.file), file_system, None if part.gathered else ds.field("part") == part.name.path
        )
        for part in by_kind(parts, row.kind)
    ]
    if not fragments:
        return ds.dataset(scan_schema(row).empty_table())
    return ds.FileSystemDataset(fragments, scan_schema(row), parquet, file_system)


def read_rows(row: type[Row], parts: Sequence[VerifiedPart], columns: Sequence[str] | None = None) -> pa.Table:
    """Read the rows of one kind without DuckDB.

    Raises:
        StoreError: If a part was damaged after it was verified.
    """
    try:
        return dataset(row, parts).to_table(columns)
    except (pa.ArrowException, OSError) as error:
        raise _changed_part_error(error) from None


def connect_views(
    parts: Sequence[VerifiedPart],
    repeats: Repeats,
    present_weights: Callable[[], Iterable[str]],
    only: Iterable[str] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection with the views and the functions of `interval`, locked and read-only.

    Times are UTC.

    Args:
        parts: The verified parts.
        repeats: The cache of tasks that have several rows.
        present_weights: Returns the digests of the weights that the store holds. It is called only if a model has
            several rows.
        only: Ids of tasks to which the views are restricted.
    """
    con = duckdb.connect(":memory:", config=_CONFIG)
    try:
        _prepare(con, parts, repeats, present_weights, only)
    except duckdb.Error as error:  # a part was damaged after it was verified
        con.close()
        raise explained_error(error) from None
    return con


def _prepare(
    con: duckdb.DuckDBPyConnection,
    parts: Sequence[VerifiedPart],
    repeats: Repeats,
    present_weights: Callable[[], Iterable[str]],
    only: Iterable[str] | None,
) -> None:
    con.execute("SET TimeZone = 'UTC'")
    for kind, row in ROWS.items():
        con.register(f"parts_{kind}", dataset(row, parts))
    repeated = {kind: tasks for kind in RECEIPTS if (tasks := repeats.find(con, kind, by_kind(parts, kind)))}
    for kind, tasks in repeated.items():
        con.register(f"repeated_{kind}", _one_column("task", tasks))
    con.register("present_weights", _one_column("digest", present_weights() if "models" in repeated else ()))
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
        QueryError: If the query is wrong.
        StoreError: If a part was damaged after it was verified.
    """
    try:
        relation = con.sql(query)
        return relation.to_arrow_table() if relation is not None else pa.table({})
    except duckdb.Error as error:
        raise explained_error(error) from None


def explained_error(error: duckdb.Error) -> QueryError | StoreError:
    """Convert an error of DuckDB to one of Sweeper; for a missing column or view, the message has the closest name."""
    text = str(error)
    if isinstance(error, duckdb.PermissionException) or "configuration has been locked" in text:
        return QueryError(f"{_first_line(text)}; queries are read-only and have access only to the store's views")
    if _UNREADABLE.search(text):
        return _changed_part_error(error)
    missing_name = re.search(
        r'(?:column|Table with name|column named|table) "?([^"\s]+)"? (?:not found|does not exist)', text
    )
    match = missing_name or re.search(r'does not have a column named "([^"]+)"', text)
    hint = _hint(match[1]) if match else ""
    return QueryError(f"{_without_candidates(text)}{hint}")


def _hint(name: str) -> str:
    """Return a line that suggests the closest column or view, with the views that have the column."""
    views_by_column: dict[str, list[str]] = {}
    for view in views.VIEWS:
        for column in view.columns:
            views_by_column.setdefault(column.name, []).append(view.name)
    name = name.rsplit(".", 1)[-1].lower()
    if name in views_by_column:
        return f"\n{name} is a column of {', '.join(views_by_column[name])}"
    names = [*views_by_column, *(view.name for view in views.VIEWS)]
    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if not matches:
        return f"\nthe views are {', '.join(view.name for view in views.VIEWS)}; `sweeper sql` lists their columns"
    column_views = views_by_column.get(matches[0])
    location = f" (in {', '.join(column_views)})" if column_views else " (a view)"
    return f"\ndid you mean {matches[0]}{location}?"


def _changed_part_error(error: Exception) -> StoreError:
    return StoreError(
        f"a part of the store changed after it was checked: {_first_line(str(error))}; "
        "the next `sweeper run` or `sweeper resume` moves it away and performs its tasks again"
    )


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0].strip()


def _without_candidates(text: str) -> str:
    """Remove DuckDB's own suggestions from its message, because they ignore columns of other views."""
    lines = [
        line for line in text.split("\n") if not line.startswith("\t") and not line.lstrip().startswith(_SUGGESTIONS)
    ]
    return re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip()


def _one_column(name: str, values: Iterable[str]) -> pa.Table:
    return pa.table({name: pa.array(values, pa.string())})
