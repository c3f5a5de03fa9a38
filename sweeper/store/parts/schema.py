"""Arrow schemas of the row classes, and conversion between rows and tables."""

import functools
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import pyarrow as pa

from sweeper.spec.records.rows import Row, fields
from sweeper.spec.records.text import storable

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
def arrow_schema(row: type[Row]) -> pa.Schema:
    """Return the Arrow schema of a row class; each field's metadata contains its `meaning` and `unit`."""
    return pa.schema(
        pa.field(
            f.name, TYPES[f.type], nullable=f.nullable, metadata={"meaning": f.column.meaning, "unit": f.column.unit}
        )
        for f in fields(row)
    )


@functools.cache
def scan_schema(row: type[Row]) -> pa.Schema:
    """Return the schema with which parts are read.

    A column that an older part lacks is null. The column `part` is the path of the part. Texts are dictionaries, except
    for the ids of tasks, which are almost all different.
    """
    text = pa.dictionary(pa.int32(), pa.string())
    types = {f.name: text if f.type is str and f.name != "task" else TYPES[f.type] for f in fields(row)}
    return pa.schema({**types, "part": pa.string()})


def to_table(rows: Sequence[Row]) -> pa.Table:
    """Convert rows of one class to a table; a text of any characters can be stored (see `storable`).

    Raises:
        ValueError: If a value is null and the class does not allow it.
        pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: If a value has another type.
    """
    schema = arrow_schema(type(rows[0]))
    table = pa.table(
        {name: pa.array((_value(row, name) for row in rows), schema.field(name).type) for name in schema.names}, schema
    )
    for field in schema:
        if not field.nullable and table[field.name].null_count:
            raise ValueError(f"{type(rows[0]).__name__}.{field.name} is null, but must not be")
    return table


def _value(row: Row, name: str) -> object:
    value = getattr(row, name)
    return storable(value) if isinstance(value, str) else value


def to_rows(row: type[R], table: pa.Table) -> Iterator[R]:
    """Convert a table to rows; columns that the row class lacks are ignored."""
    for values in table.select(arrow_schema(row).names).to_pylist():
        yield row(**values)
