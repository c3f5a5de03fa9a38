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


def wrong_columns(row: type[Row], schema: pa.Schema) -> str | None:
    """Return which column of a row class a schema lacks or has with another type; None if there is none.

    Columns that may be null, or have a default, may be missing: they were added after the part was written.
    """
    types = dict(zip(schema.names, schema.types, strict=True))
    for field in fields(row):
        if (type_ := types.get(field.name)) is None:
            if not field.nullable and field.default is None:
                return f"it lacks the column {field.name}"
        elif type_ != TYPES[field.type]:
            return f"its column {field.name} is {type_}, not {TYPES[field.type]}"
    return None


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
