"""The cells of a result as numbers, truth values and texts, which are the same in every format that holds text."""

import json
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa

from . import show
from .row_table import Kind


def readable(rows: pa.Table) -> pa.Table:
    """Return a table whose columns are numbers, truth values or texts.

    Times are as DuckDB prints them, bytes are hexadecimal digits, and lists, structs and maps are JSON.
    """
    expressions = [_expression(f"c{i}", type) for i, type in enumerate(rows.schema.types)]
    if all(expression == f"c{i}" for i, expression in enumerate(expressions)):
        return rows
    import duckdb

    columns = rows.rename_columns([f"c{i}" for i in range(rows.num_columns)])
    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": False}) as con:
        con.execute("SET TimeZone = 'UTC'")
        texts = con.from_arrow(columns).project(", ".join(expressions)).to_arrow_table()
    texts = texts.rename_columns(rows.column_names)
    for i, type in enumerate(rows.schema.types):
        if pa.types.is_nested(type):
            cells = [None if text is None else _finite_json(text) for text in texts.column(i).to_pylist()]
            texts = texts.set_column(i, rows.column_names[i], pa.array(cells, pa.string()))
    return texts


def cell_texts(rows: pa.Table) -> list[tuple[str, ...]]:
    """Return the cells as people read them: those of `readable`, with numbers rounded and bytes counted."""
    columns = [
        (column if _is_bytes(type) else text_column).to_pylist()
        for column, text_column, type in zip(rows.columns, readable(rows).columns, rows.schema.types, strict=True)
    ]
    return [tuple(map(show.format_cell, row)) for row in zip(*columns, strict=True)]


def column_kinds(schema: pa.Schema) -> list[Kind]:
    """Return what the cells of each column are."""
    return [_kind(type) for type in schema.types]


def _kind(type: pa.DataType) -> Kind:
    if pa.types.is_temporal(type):
        return Kind.TIME
    is_number = pa.types.is_integer(type) or pa.types.is_floating(type) or pa.types.is_decimal(type)
    return Kind.NUMBER if is_number else Kind.TEXT


def json_columns(rows: pa.Table) -> list[list[Any]]:
    """Return the columns as values that JSON has: decimals are numbers, and numbers that aren't finite are null."""
    columns = []
    for column, type in zip(readable(rows).columns, rows.schema.types, strict=True):
        values = column.to_pylist()
        if pa.types.is_nested(type):
            values = [None if text is None else json.loads(text) for text in values]
        elif pa.types.is_decimal(type):
            values = [None if number is None else _number(number, type.scale) for number in values]
        elif pa.types.is_floating(type):
            values = [number if number is not None and math.isfinite(number) else None for number in values]
        columns.append(values)
    return columns


def _expression(column: str, type: pa.DataType) -> str:
    """Return the SQL expression of a readable column."""
    if pa.types.is_nested(type):
        return f"to_json({column})::VARCHAR AS {column}"
    if _is_bytes(type):
        return f"lower(hex({column})) AS {column}"
    if pa.types.is_temporal(type) or pa.types.is_dictionary(type):
        return f"{column}::VARCHAR AS {column}"
    return column


def _is_bytes(type: pa.DataType) -> bool:
    return pa.types.is_binary(type) or pa.types.is_large_binary(type)


def _number(number: Decimal, scale: int) -> int | float:
    return int(number) if scale <= 0 else float(number)


def _finite_json(text: str) -> str:
    """Return JSON in which NaN and infinities, which JSON doesn't have, are null."""
    return json.dumps(json.loads(text, parse_constant=lambda _: None), ensure_ascii=False)
