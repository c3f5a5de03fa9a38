"""The result of a query as an Arrow table that every format can hold: different names, and types that Arrow keeps."""

import warnings
from collections.abc import Sequence

import duckdb
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

# Types of DuckDB that Arrow has no equal of (their values would turn into bytes or lose a part), or Parquet or other
# readers of Arrow can't hold. Such a column is text, as DuckDB prints it.
_TEXT_TYPES = {"bignum", "bit", "interval", "time with time zone", "timetz", "uhugeint", "union", "variant", "varint"}
_LARGEST_DECIMAL = 10**38  # Arrow has a HUGEINT as a decimal of 38 digits


def result_table(relation: duckdb.DuckDBPyRelation) -> pa.Table:
    """Run a query and return its rows.

    A column whose name repeats is renamed (`a`, `a_1`), with a `UserWarning`, because no format but Arrow can hold two
    columns of one name. Names that differ in case only are one name in SQL.
    """
    names = relation.columns
    if any(map(_is_text, relation.types)):
        relation = _with_texts(relation)
    return make_names_unique(relation.to_arrow_table().rename_columns(names))


def _with_texts(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    columns = [f"c{i}" for i in range(len(relation.columns))]
    selected = [
        f"{column}::VARCHAR" if _is_text(type) else column for column, type in zip(columns, relation.types, strict=True)
    ]
    query = f"SELECT {', '.join(selected)} FROM result AS result({', '.join(columns)})"
    texts = relation.query("result", query)
    assert texts is not None, "a SELECT has a result"
    return texts


def _is_text(type: DuckDBPyType) -> bool:
    """Return True if values of a type are given as text."""
    if type.id in _TEXT_TYPES or str(type).lower() in _TEXT_TYPES:
        return True
    if type.id == "map" and '"NULL"' in str(type):  # the type of an empty map
        return True
    if type.id not in ("struct", "list", "map", "array", "tuple"):
        return False
    return any(_is_text(child) for _, child in type.children if isinstance(child, DuckDBPyType))


def make_names_unique(table: pa.Table) -> pa.Table:
    """Return a table whose columns have different names; a `UserWarning` says which were renamed."""
    names = _unique_names(table.column_names)
    renamed = [f"{old} -> {new}" for old, new in zip(table.column_names, names, strict=True) if old != new]
    if renamed:
        warnings.warn(
            f"columns of the result have the same name and were renamed: {', '.join(renamed)}; give them names with AS",
            stacklevel=2,
        )
    return table.rename_columns(names)


def _unique_names(names: Sequence[str]) -> list[str]:
    given, used, unique_names = {name.lower() for name in names}, set[str](), []
    for name in names:
        unique, number = name, 0
        while unique.lower() in used or (number and unique.lower() in given):
            number += 1
            unique = f"{name}_{number}"
        used.add(unique.lower())
        unique_names.append(unique)
    return unique_names
