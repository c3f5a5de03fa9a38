"""The views that an export writes, with the meanings of their columns, and what an export says of its source."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import duckdb
import pyarrow as pa

from sweeper.errors import UsageError, did_you_mean
from sweeper.store.query.result import result_reader
from sweeper.store.query.views import VIEWS, legend

RESULTS = ("models", "stitches", "similarities")  # the views of results, one for each kind of task
_BITMAP = "BLOB"  # the type of the columns with one bit per test image


class Origin(NamedTuple):
    """What an export says of its source. It names no place, because an export may be published.

    Args:
        version: The digest of the version of the store.
        code: The version of Sweeper that made the export.
    """

    version: str
    code: str

    def to_json(self) -> str:
        """Return these values as JSON."""
        return json.dumps({"store_version": self.version, "sweeper": self.code})


class ExportedColumn(NamedTuple):
    """A column with its type in DuckDB, its unit ("" if it has none) and its meaning."""

    name: str
    type: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class ViewSelection:
    """The views to export; those of `names`, or by default `defaults`, of which empty ones are left out.

    `job` restricts the view `runs`; the connection restricts the others.
    """

    names: Sequence[str] = ()
    defaults: Sequence[str] = RESULTS
    has_bitmaps: bool = False
    job: str | None = None

    @property
    def views(self) -> Sequence[str]:
        """The names of the views to read, each once."""
        return tuple(dict.fromkeys(self.names or self.defaults))

    def check(self) -> None:
        """Check that there is a view of each name.

        Raises:
            UsageError: There is none.
        """
        known = [view.name for view in VIEWS]
        for name in self.names:
            if name not in known:
                hint = did_you_mean(name, known) or f"the views are {', '.join(known)}"
                raise UsageError(f"--view {name}: there is no such view; {hint}")


@dataclass
class ExportedView:
    """The rows of a view, which can be read once, and their number so far."""

    name: str
    columns: Sequence[ExportedColumn]
    schema: pa.Schema
    _batches: Iterator[pa.RecordBatch]
    count: int = field(default=0, init=False)

    @property
    def rows(self) -> pa.RecordBatchReader:
        """A reader of the rows, which holds few of them at a time."""
        return pa.RecordBatchReader.from_batches(self.schema, self._counted())

    def _counted(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            self.count += batch.num_rows
            yield batch


def read_views(connection: duckdb.DuckDBPyConnection, selection: ViewSelection) -> Iterator[ExportedView]:
    """Yield each selected view that has rows; it must be read before the next one is asked for.

    Raises:
        duckdb.Error: A part can't be read, also while the rows of a view are.
    """
    for name in selection.views:
        columns = columns_of(name, selection.has_bitmaps)
        reader = result_reader(_relation(connection, name, columns, selection.job))
        batches = (batch for batch in reader if batch.num_rows)
        if first := list(itertools.islice(batches, 1)):
            yield ExportedView(name, columns, _described(reader.schema, columns), itertools.chain(first, batches))


def columns_of(view: str, has_bitmaps: bool) -> list[ExportedColumn]:
    """Return the columns of a view, with or without those that have one bit per test image."""
    return [
        ExportedColumn(name, type, unit, meaning)
        for of_view, name, type, unit, meaning in legend()
        if of_view == view and (has_bitmaps or type != _BITMAP)
    ]


def _relation(
    connection: duckdb.DuckDBPyConnection, view: str, columns: Sequence[ExportedColumn], job: str | None
) -> duckdb.DuckDBPyRelation:
    names = ", ".join(f'"{column.name}"' for column in columns)
    query = f"SELECT {names} FROM {view}"
    if view == "runs" and job is not None:
        return connection.sql(f"{query} WHERE job = $job", params={"job": job})
    return connection.sql(query)


def _described(schema: pa.Schema, columns: Sequence[ExportedColumn]) -> pa.Schema:
    """Return a schema whose fields have the units and meanings of columns as metadata."""
    return pa.schema(
        [
            arrow_field.with_metadata({"meaning": column.meaning, "unit": column.unit})
            for arrow_field, column in zip(schema, columns, strict=True)
        ]
    )


def comment(column: ExportedColumn) -> str:
    """Return the meaning of a column, with its unit if it has one."""
    return f"{column.meaning} ({column.unit})" if column.unit else column.meaning
