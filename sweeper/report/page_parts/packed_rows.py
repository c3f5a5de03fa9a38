"""The rows of a table as packed JSON, from which the script of the page writes CSV.

A column is one of these, so that a setting that is equal in all rows, or has few values, takes little space:

    {"all": VALUE}                          equal in all rows
    {"values": [...], "codes": [...]}       the different values, and the number of the value of each row
    {"rows": [...]}                         the value of each row
"""

import math
from collections.abc import Sequence

import pyarrow as pa

_EXACT = 2**53  # integers from here on lose digits as a number of JavaScript

Scalar = int | float | str | None


def packed_rows(rows: pa.Table) -> dict[str, object]:
    """Return all columns of a table, in full precision, as an object for JSON."""
    return {
        "names": rows.column_names,
        "count": rows.num_rows,
        "columns": [_packed([_scalar(content) for content in column.to_pylist()]) for column in rows.columns],
    }


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
