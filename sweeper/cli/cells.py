"""The cells of a result as numbers, truth values and texts, which are the same in every format that holds text."""

import json
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa

from sweeper.report.export.row_files import is_bytes, readable

from . import show
from .row_table import Kind


def cell_texts(rows: pa.Table) -> list[tuple[str, ...]]:
    """Return the cells as people read them: those of `readable`, with numbers rounded and bytes counted."""
    columns = [
        (column if is_bytes(type) else text_column).to_pylist()
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


def _number(number: Decimal, scale: int) -> int | float:
    return int(number) if scale <= 0 else float(number)
