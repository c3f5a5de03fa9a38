"""Read-only SQL over verified parts, and plain messages for queries that DuckDB refuses.

DuckDB reads the parts through a file system that verifies them (`part_files.py`). External access is switched off for
every other file, local files are switched off altogether, and the configuration is locked, so no query can read or
write a file. A filter on statements would not suffice, because `WITH a AS (COPY ...) SELECT` also writes.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import duckdb
import pyarrow as pa

from sweeper.errors import QueryError, QueryFailedError, StoreError
from sweeper.spec.records.rows import RECEIPTS, ROWS, Row, fields
from sweeper.store.parts.compacted import DIGEST_SQL, PART
from sweeper.store.parts.verify import VerifiedPart, by_kind
from sweeper.store.query import views
from sweeper.store.query.limits import out_of_memory, set_limits
from sweeper.store.query.part_files import NONE_HELD, PROTOCOL, PartFiles, ServedParts
from sweeper.store.query.repeats import Repeats
from sweeper.store.query.result import result_reader, result_table
from sweeper.store.query.verified_file import store_error_in
from sweeper.store.statistics import bitmaps, sql_functions

# Settings that are given when connecting, because some can't be changed later. With them, a query can't use a Python
# variable as a table, and downloads no extension.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_persistent_secrets": False,
}

# Statements that would seem to change the store. They could only reach the views and temporary files of one connection.
_CHANGING_STATEMENTS = {
    duckdb.StatementType.ALTER: "ALTER",
    duckdb.StatementType.ATTACH: "ATTACH",
    duckdb.StatementType.COPY: "COPY",
    duckdb.StatementType.DELETE: "DELETE",
    duckdb.StatementType.DROP: "DROP",
    duckdb.StatementType.INSERT: "INSERT",
    duckdb.StatementType.MERGE_INTO: "MERGE",
    duckdb.StatementType.UPDATE: "UPDATE",
}

# Errors that DuckDB raises before it reads anything, because of the text of a query.
_MISTAKES = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.SyntaxException)

_SUGGESTIONS = ("Candidate", "Did you mean")  # the beginnings of lines with DuckDB's own suggestions

# DuckDB's types of the columns of parts.
_SQL_TYPES: dict[type, str] = {
    str: "VARCHAR",
    int: "BIGINT",
    float: "DOUBLE",
    bool: "BOOLEAN",
    bytes: "BLOB",
    datetime: "TIMESTAMP WITH TIME ZONE",
}


def read_rows(row: type[Row], parts: Sequence[VerifiedPart], columns: Sequence[str] | None = None) -> pa.Table:
    """Read the rows of one kind, with the path of their part in the column `part`.

    Args:
        row: The kind's class.
        parts: The verified parts; those of other kinds are left out.
        columns: The columns to read. Default: all.

    Raises:
        StoreError: If a part was damaged after it was verified.
    """
    with reading(row, parts, columns) as reader:
        return reader.read_all()


@contextmanager
def reading(
    row: type[Row], parts: Sequence[VerifiedPart], columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatchReader]:
    """Return a context with a reader of the rows that `read_rows` returns, which holds few of them at a time.

    Raises:
        StoreError: If a part was damaged after it was verified, also while the reader is used.
    """
    names = ", ".join(f'"{name}"' for name in columns) if columns else "*"
    with connect_parts(row, parts) as con:
        yield con.sql(f"SELECT {names} FROM parts_{row.kind}").to_arrow_reader()


@contextmanager
def connect_parts(
    row: type[Row], parts: Sequence[VerifiedPart], contents: Mapping[str, bytes] = NONE_HELD
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Return a context with a connection that has the view `parts_<kind>` of one kind, for Sweeper's own queries.

    Args:
        row: The kind's class.
        parts: The verified parts; those of other kinds are left out.
        contents: The contents of those that are held in memory since they were verified, by path.

    Raises:
        StoreError: If a part was damaged after it was verified, also while the connection is used.
    """
    with duckdb.connect(":memory:", config=_CONFIG) as con, _explained_errors():
        _create_part_views(con, parts, {row.kind: row}, contents)
        yield con


def contested_weights(parts: Sequence[VerifiedPart]) -> frozenset[str]:
    """Return the digests of the weights of those models that have rows with several weights.

    Raises:
        StoreError: If a part was damaged after it was verified.
    """
    query = """
        SELECT DISTINCT weights FROM parts_models
        WHERE task IN (SELECT task FROM parts_models GROUP BY task HAVING min(weights) <> max(weights))
    """
    with connect_parts(ROWS["models"], parts) as con:
        return frozenset(digest for (digest,) in con.sql(query).fetchall())


def read_every_value(row: type[Row], parts: Sequence[VerifiedPart]) -> None:
    """Read every value of parts of one kind, and keep none.

    Raises:
        QueryError: DuckDB can't read them.
        PartChangedError: A part was damaged after it was verified.
    """
    values = ", ".join(f'"{field.name}"' for field in fields(row))
    with duckdb.connect(":memory:", config=_CONFIG) as con, _explained_errors():
        _create_part_views(con, parts, {row.kind: row})
        con.execute(f"SELECT bit_xor(hash({values})) FROM parts_{row.kind}").fetchall()


def _create_part_views(
    con: duckdb.DuckDBPyConnection,
    parts: Sequence[VerifiedPart],
    row_by_kind: Mapping[str, type[Row]] = ROWS,
    contents: Mapping[str, bytes] = NONE_HELD,
) -> None:
    """Create a view `parts_<kind>` of the parts of each kind, and allow access to no file but these parts."""
    parts = [part for part in parts if part.name.kind in row_by_kind]
    con.register_filesystem(PartFiles(ServedParts(parts, contents)))
    set_limits(con)
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET allowed_paths = $paths", {"paths": [_url(part) for part in parts]})
    con.execute("SET enable_external_access = false")
    con.execute("SET disabled_filesystems = 'LocalFileSystem'")
    for kind, row in row_by_kind.items():
        con.execute(f"CREATE VIEW parts_{kind} AS {_scan_query(row, by_kind(parts, kind))}")


def _scan_query(row: type[Row], parts: Sequence[VerifiedPart]) -> str:
    """Return the query for all rows of the parts of a kind, with the column `part`; a missing column is null.

    Parts with the same columns are scanned together. DuckDB could combine different columns itself (`union_by_name`),
    but would then read the schema of every part once more, which takes most of the time for thousands of parts.
    """
    parts_by_columns: dict[tuple[tuple[str, ...], frozenset[str]], list[VerifiedPart]] = {}
    for part in parts:
        parts_by_columns.setdefault((part.columns, part.hidden), []).append(part)
    if not parts:
        return f"SELECT {_selected(row, ())}, NULL::VARCHAR AS part WHERE false"
    return " UNION ALL ".join(
        _group_query(row, columns, hidden, group) for (columns, hidden), group in parts_by_columns.items()
    )


def _group_query(row: type[Row], columns: Sequence[str], hidden: Collection[str], parts: Sequence[VerifiedPart]) -> str:
    """Return the query for the rows of parts that have the same columns and the same hidden original parts."""
    part = PART if PART in columns else f"substr(filename, {len(PROTOCOL + '://') + 1}) AS {PART}"
    files = ", ".join(f"'{_url(part)}'" for part in parts)
    query = f"SELECT {_selected(row, columns)}, {part} FROM read_parquet([{files}], filename = true)"
    if not hidden:
        return query
    digests = ", ".join(f"'{digest}'" for digest in sorted(hidden))
    return f"{query} WHERE {DIGEST_SQL} NOT IN ({digests})"


def _selected(row: type[Row], columns: Collection[str]) -> str:
    """Return the columns of a row class as they are selected from files with some of them; the others are null."""
    return ", ".join(
        f'"{field.name}"' if field.name in columns else f'NULL::{_SQL_TYPES[field.type]} AS "{field.name}"'
        for field in fields(row)
    )


def _url(part: VerifiedPart) -> str:
    return f"{PROTOCOL}://{part.name.path}"


def connect_views(
    parts: Sequence[VerifiedPart],
    repeats: Repeats,
    present_weights: Callable[[], Iterable[str]],
    only: Iterable[str] | None = None,
    joins_as_written: bool = False,
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection with the views and the functions of `sql_functions`, locked and read-only.

    Times are UTC.

    Args:
        parts: The verified parts.
        repeats: The cache of tasks that have several rows.
        present_weights: Returns the digests of the weights that the store holds. It is called only if a model has
            several rows.
        only: Ids of tasks to which the views are restricted.
        joins_as_written: True holds the right side of each join in memory, as written in the query. DuckDB expects a
            join to have few rows, so the side that it chooses is often that with all stitches.
    """
    con = duckdb.connect(":memory:", config=_CONFIG)
    try:
        if joins_as_written:
            con.execute("SET disabled_optimizers = 'build_side_probe_side'")
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
    con.execute("SET parquet_metadata_cache = true")  # a view that is used in ten others reads its footers once
    _create_part_views(con, parts)
    repeated = {kind: tasks for kind in RECEIPTS if (tasks := repeats.find(con, kind, by_kind(parts, kind)))}
    for kind, tasks in repeated.items():
        con.register(f"repeated_{kind}", _one_column("task", tasks))
    con.register("present_weights", _one_column("digest", present_weights() if "models" in repeated else ()))
    if only is not None:
        con.register("only_tasks", _one_column("task", only))
    views.create(con, repeated, restricted=only is not None)
    sql_functions.register(con)
    views.create_table_macros(con)
    con.execute("SET lock_configuration = true")


def run_query(con: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """Run a query and return the result of its last statement; an empty table if no statement has a result.

    Raises:
        QueryError: If the query is wrong.
        StoreError: If a part was damaged after it was verified.
    """
    with _explained_errors():
        results = _run(con, _parse(con, query))
    return results[-1] if results else pa.table({})


def run_statements(
    con: duckdb.DuckDBPyConnection, text: str, use: Callable[[pa.RecordBatchReader, int, int], None]
) -> None:
    """Run statements one after the other and call a function for each that has a result.

    Args:
        con: The connection.
        text: The statements.
        use: Takes a reader of the rows of a result (`result_reader`), its number from 0 on, and the number of all
            results.

    Raises:
        QueryError: If a statement is wrong or would change something, or if there is none.
        StoreError: If a part was damaged after it was verified.
    """
    with _explained_errors():
        statements = _parse(con, text)
        if not statements:
            raise QueryError("the query is empty; `sweeper sql` without a query lists the views and sample queries")
        number, count = 0, sum(map(_has_result, statements))
        for statement in statements:
            relation = _relation(con, statement)
            if relation is not None:
                use(result_reader(relation), number, count)
                number += 1


@contextmanager
def _explained_errors() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise explained_error(error) from None


def _parse(con: duckdb.DuckDBPyConnection, text: str) -> list[duckdb.Statement]:
    """Return the statements of a text.

    Raises:
        QueryError: A statement would change something, or the text is not SQL.
    """
    _check_text(text)
    statements = con.extract_statements(text)
    for statement in statements:
        if verb := _CHANGING_STATEMENTS.get(statement.type):
            raise QueryError(f"{verb} is refused: queries only read the store, and nothing in it can be changed")
    return statements


def _run(con: duckdb.DuckDBPyConnection, statements: Iterable[duckdb.Statement]) -> list[pa.Table]:
    relations = (_relation(con, statement) for statement in statements)
    return [result_table(relation) for relation in relations if relation is not None]


def _check_text(text: str) -> None:
    """Check that a query is one that DuckDB can read.

    Raises:
        QueryError: It contains bytes that are not UTF-8, or a command of DuckDB's shell.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError(f"the query is not text in UTF-8 at character {error.start + 1}") from None
    if re.match(r"\s*[.\\][a-z?!]", text):
        raise QueryError(
            f"{text.split()[0]} is a command of a database's shell, not SQL; SHOW TABLES lists the views, "
            "DESCRIBE models the columns of one, and --format sets the format"
        )


def _relation(con: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> duckdb.DuckDBPyRelation | None:
    """Return the result of a statement, which runs when its rows are read; run a statement that has no result."""
    relation = con.sql(statement)
    return relation if _has_result(statement) else None


def _has_result(statement: duckdb.Statement) -> bool:
    """Return False for a statement that has no result, such as CREATE TEMP VIEW."""
    return statement.expected_result_type != [duckdb.ExpectedResultType.NOTHING] and statement.type not in (
        duckdb.StatementType.CREATE,
        duckdb.StatementType.PREPARE,
    )


def explained_error(error: duckdb.Error) -> QueryError | StoreError:
    """Convert an error of DuckDB to one of Sweeper; for a missing column or view, the message has the closest name."""
    text = str(error)
    if store_error := store_error_in(error):
        return store_error
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryError(out_of_memory(text))
    if text.startswith("Traceback"):  # of a file system of ours: `scratch_files.py` or `verified_file.py`
        reason = text.strip().rpartition("\n")[2]
        is_full = reason.startswith(("OSError", "MemoryError"))
        return QueryError(out_of_memory(reason)) if is_full else QueryFailedError(reason)
    if bitmaps.MARK in text:
        return QueryError(out_of_memory(text.split(bitmaps.MARK)[1]))
    if isinstance(error, duckdb.PermissionException) or "configuration has been locked" in text:
        return QueryError(f"{_first_line(text)}; queries are read-only and have access only to the store's views")
    missing_name = re.search(
        r'(?:column|Table with name|column named|table) "?([^"\s]+)"? (?:not found|does not exist)', text
    )
    match = missing_name or re.search(r'does not have a column named "([^"]+)"', text)
    hint = _hint(match[1]) if match else ""
    error_class = QueryError if isinstance(error, _MISTAKES) else QueryFailedError
    return error_class(f"{_without_candidates(text)}{hint}")


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
