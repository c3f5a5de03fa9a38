"""The export of views to a folder with a table of Delta Lake for each view."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa

from sweeper.files import replaced_folder

from .earlier_export import write_marker
from .exported_views import ExportedView, Origin, comment


def to_delta(views: Iterable[ExportedView], origin: Origin, folder: Path) -> None:
    """Write each view to a Delta table in a folder of its name, with comments on its columns.

    Raises:
        ImportError: The package `deltalake` is not installed.
        SetupError: The folder can't be written.
    """
    deltalake: Any = import_module("deltalake")
    with replaced_folder(folder) as new_folder:
        for view in views:
            _write(deltalake.write_deltalake, view, origin, new_folder / view.name)
        write_marker(new_folder, origin)


def _write(write_table: Any, view: ExportedView, origin: Origin, folder: Path) -> None:
    """Write the table of a view.

    Raises:
        OSError: It can't be written. Errors of reading the store stay what they are.
    """
    errors = list[Exception]()
    fields = [
        field.with_metadata({"comment": comment(column)})
        for field, column in zip(view.schema, view.columns, strict=True)
    ]
    schema = pa.schema(fields)
    rows = pa.RecordBatchReader.from_batches(schema, _with_schema(view, schema, errors))
    try:
        write_table(str(folder), rows, name=view.name, description=f"Sweeper: {origin.to_json()}")
    except Exception as error:
        if errors:
            raise errors[0] from None
        if isinstance(error, OSError):
            raise
        raise OSError(str(error).partition("\n")[0]) from None


def _with_schema(view: ExportedView, schema: pa.Schema, errors: list[Exception]) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a view with the metadata of a schema, and note the error that ends them, if any."""
    try:
        for batch in view.rows:
            yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
    except Exception as error:
        errors.append(error)
        raise
