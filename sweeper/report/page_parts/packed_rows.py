"""The rows of a table or of a chart as packed JSON, which the script of the page unpacks (`templates/unpack.js`).

A column is one of these, so that a setting that is equal in all rows, or has few values, takes little space:

    {"all": VALUE}                          equal in all rows
    {"values": [...], "codes": [...]}       the different values, and the number of the value of each row
    {"rows": [...]}                         the value of each row
"""

import math
from collections.abc import Mapping, Sequence

import pyarrow as pa

_EXACT = 2**53  # integers from here on lose digits as a number of JavaScript

Scalar = int | float | str | None


def packed_rows(rows: pa.Table) -> dict[str, object]:
    """Return all columns of a table, in full precision, as an object for JSON."""
    columns = [[_scalar(content) for content in column.to_pylist()] for column in rows.columns]
    return _object(rows.column_names, rows.num_rows, columns)


def packed_chart(specification: Mapping[str, object]) -> dict[str, object]:
    """Return a Vega-Lite specification whose rows are packed, as an object for JSON.

    `data` has the rows, with six digits of each number, which no eye can tell from all. It is missing if the
    specification has no rows of its own, or not the same fields in all of them.
    """
    match specification:
        case {"data": {"values": [{**first}, *_] as rows}} if all(list(row) == list(first) for row in rows):
            columns = [[_short(row[name]) for row in rows] for name in first]
            rest = {key: part for key, part in specification.items() if key != "data"}
            return {"specification": rest, "data": _object(list(first), len(rows), columns)}
    return {"specification": dict(specification)}


def _object(names: Sequence[str], count: int, columns: Sequence[Sequence[Scalar]]) -> dict[str, object]:
    return {"names": list(names), "count": count, "columns": list(map(_packed, columns))}


def _short(content: Scalar) -> Scalar:
    return float(f"{content:.6g}") if isinstance(content, float) else content


def _packed(column: Sequence[Scalar]) -> dict[str, object]:
    values = list({(type(content), content): content for content in column}.values())  # 1 and 1.0 are two values
    if len(values) == 1:
        return {"all": values[0]}
    if 2 * len(values) > len(column):
        return {"rows": list(column)}
    codes = {(type(content), content): code for code, content in enumerate(values)}
    return {"values": values, "codes": [codes[type(content), content] for content in column]}


def _scalar(content: object) -> Scalar:
    """Return a number or None as it is, and all else as the text that it has in `format.table_as_csv`."""
    if content is None or (isinstance(content, float) and math.isfinite(content)):
        return content
    if isinstance(content, int) and not isinstance(content, bool) and abs(content) < _EXACT:
        return content
    return str(content)
