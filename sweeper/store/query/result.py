"""The result of a query as an Arrow table that every format can hold: different names, and types that Arrow keeps."""

import warnings
from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

# Types of DuckDB that Arrow has no equal of (their values would turn into bytes or lose a part), or Parquet or other
# readers of Arrow can't hold. Such a column is text, as DuckDB prints it.
_TEXT_TYPES = {"bignum", "bit", "interval", "time with time zone", "timetz", "uhugeint", "union", "variant", "varint"}
_LARGEST_DECIMAL = 10**38  # Arrow has a HUGEINT as a decimal of 38 digits


_ROWS_OF_BATCH = 1 << 13  # 50 MB of stitches with four bitmaps of 10,000 images


def result_table(relation: duckdb.DuckDBPyRelation, query_name: str = "the result") -> pa.Table:
    """Run a query and return its rows.

    A column whose name repeats is renamed (`a`, `a_1`), with a `UserWarning`, because no format but Arrow can hold two
    columns of one name. Names that differ in case only are one name in SQL.

    Args:
        relation: The query.
        query_name: What the warning calls it.
    """
    names = unique_names(relation.columns, query_name)
    return _readable_by_arrow(relation).to_arrow_table().rename_columns(names)


def result_reader(relation: duckdb.DuckDBPyRelation) -> pa.RecordBatchReader:
    """Return a reader that runs a query and gives the rows of `result_table`, of which it holds few at a time."""
    names = unique_names(relation.columns)
    reader = _readable_by_arrow(relation).to_arrow_reader(_ROWS_OF_BATCH)
    schema = pa.schema([field.with_name(name) for field, name in zip(reader.schema, names, strict=True)])
    return pa.RecordBatchReader.from_batches(schema, _renamed(reader, schema))


def _renamed(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a reader with the names of a schema.

    Raises:
        duckdb.Error: The query fails. DuckDB's error reaches Arrow as a text, which begins with its class.
    """
    try:
        for batch in reader:
            yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
    except OSError as error:
        text = str(error)
        kind = duckdb.OutOfMemoryException if text.startswith("Out of Memory Error") else duckdb.Error
        raise kind(text) from None


def _readable_by_arrow(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    return _with_texts(relation) if any(map(_is_text, relation.types)) else relation


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


def unique_names(columns: Sequence[str], query_name: str = "the result") -> list[str]:
    """Return different names for columns; a `UserWarning` says which were renamed."""
    names = _unique_names(columns)
    renamed = [f"{old} -> {new}" for old, new in zip(columns, names, strict=True) if old != new]
    if renamed:
        warnings.warn(
            f"columns of {query_name} have the same name and were renamed: {', '.join(renamed)}; "
            "give them names with AS",
            stacklevel=2,
        )
    return names


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
