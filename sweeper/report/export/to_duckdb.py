"""The export of views to a DuckDB file: a table for each view, with comments on its columns."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from sweeper.files import replaced_by_path

from .earlier_export import ORIGIN
from .exported_views import ExportedView, Origin, comment

# The oldest version of DuckDB that Sweeper itself works with can read the file.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "storage_compatibility_version": "v1.4.0",
    "python_enable_replacements": False,
    "memory_limit": "1GB",  # beside that of the connection which reads the store; the rest goes to the hidden folder
}


def to_duckdb(views: Iterable[ExportedView], origin: Origin, file: Path) -> None:
    """Write each view to a table of its name in a DuckDB file; the table `sweeper` has the origin.

    Raises:
        SetupError: The file can't be written.
    """
    with replaced_by_path(file) as new_file:
        connection = _connect(new_file)
        with connection:
            _execute(connection, "SET TimeZone = 'UTC'")
            _execute(connection, "BEGIN")
            for view in views:
                _write(connection, view)
            _execute(connection, f"CREATE TABLE {ORIGIN} (store_version VARCHAR, sweeper VARCHAR)")
            _execute(connection, f"INSERT INTO {ORIGIN} VALUES ({_quoted(origin.version)}, {_quoted(origin.code)})")
            _execute(connection, "COMMIT")
            _execute(connection, "CHECKPOINT")


def _write(connection: duckdb.DuckDBPyConnection, view: ExportedView) -> None:
    """Write a table with the rows of a view in one statement, so that DuckDB writes them to the file as they come.

    Raises:
        OSError: The file can't be written. Errors of reading the store stay what they are.
    """
    columns = ", ".join(f'"{column.name}" {column.type}' for column in view.columns)
    _execute(connection, f"CREATE TABLE {view.name} ({columns})")
    errors = list[Exception]()
    connection.register("rows", pa.RecordBatchReader.from_batches(view.schema, _noting_errors(view, errors)))
    try:
        _execute(connection, f"INSERT INTO {view.name} FROM rows")
    except OSError:
        if errors:
            raise errors[0] from None
        raise
    connection.unregister("rows")
    for column in view.columns:
        _execute(connection, f'COMMENT ON COLUMN {view.name}."{column.name}" IS {_quoted(comment(column))}')


def _noting_errors(view: ExportedView, errors: list[Exception]) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a view, and note the error that ends them, if any."""
    try:
        yield from view.rows
    except Exception as error:
        errors.append(error)
        raise


def _connect(file: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection to a new file.

    Raises:
        OSError: It can't be made.
    """
    try:
        return duckdb.connect(str(file), config=_CONFIG)
    except (duckdb.Error, UnicodeError) as error:
        raise OSError(_first_line(error)) from None


def _execute(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Run a statement on the file.

    Raises:
        OSError: The file can't be written. An error of DuckDB would seem to be one of the store.
    """
    try:
        connection.execute(statement)
    except duckdb.Error as error:
        raise OSError(_first_line(error)) from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
