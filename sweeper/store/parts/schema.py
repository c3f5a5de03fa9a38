"""Arrow schemas from the row classes, and rows to tables and back."""

import functools
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import pyarrow as pa

from sweeper.spec.records.rows import Row, fields

TYPES = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    datetime: pa.timestamp("us", tz="UTC"),
}

R = TypeVar("R", bound=Row)


@functools.cache
def schema(row: type[Row]) -> pa.Schema:
    """The Arrow schema of a row class; each field's metadata holds its `meaning` and `unit`."""
    return pa.schema(
        pa.field(
            f.name, TYPES[f.type], nullable=f.nullable, metadata={"meaning": f.column.meaning, "unit": f.column.unit}
        )
        for f in fields(row)
    )


@functools.cache
def scanned(row: type[Row]) -> pa.Schema:
    """The schema under which parts are read: a column that an older part lacks is null, `part` names the part, and
    texts are dictionaries but for the ids of tasks, which hardly repeat."""
    text = pa.dictionary(pa.int32(), pa.string())
    types = {f.name: text if f.type is str and f.name != "task" else TYPES[f.type] for f in fields(row)}
    return pa.schema({**types, "part": pa.string()})


def to_table(rows: Sequence[Row]) -> pa.Table:
    """Rows of one class as a table.

    Raises ValueError for a null where the class allows none, and pyarrow.ArrowInvalid or ArrowTypeError for a value of
    another type.
    """
    wanted = schema(type(rows[0]))
    table = pa.table(
        {name: pa.array((getattr(r, name) for r in rows), wanted.field(name).type) for name in wanted.names}, wanted
    )
    for field in wanted:
        if not field.nullable and table[field.name].null_count:
            raise ValueError(f"{type(rows[0]).__name__}.{field.name} is null, but must not be")
    return table


def to_rows(row: type[R], table: pa.Table) -> Iterator[R]:
    """The rows of a table, which may hold further columns."""
    for values in table.select(schema(row).names).to_pylist():
        yield row(**values)
