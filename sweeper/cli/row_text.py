"""Rows as text for files and pipes: every row, every column, every character of a text."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len

from .row_table import Kind, aligned, total_width

Cells = Sequence[Sequence[str]]


def pieces(names: Sequence[str], batches: Iterable[Cells], kinds: Sequence[Kind], width: int) -> Iterator[str]:
    """Yield the pieces of the text.

    If the first batch fits the width, rows are aligned columns; else each row is a list of names and values. Later rows
    have the same form, and longer cells then stand out of their column.

    Args:
        names: The names of the columns.
        batches: The cells of the rows, a batch at a time.
        kinds: What the cells of each column are.
        width: The width in characters that is preferred.
    """
    batches = iter(batches)
    first = next(batches, [])
    widths = [max(map(cell_len, column)) for column in zip(names, *first, strict=True)]
    has_breaks = any("\n" in cell for row in first for cell in row)
    if total_width(widths) > width or has_breaks:
        yield from _records(names, first, batches)
        return
    yield f"{aligned(names, widths, kinds)}\n{'─' * total_width(widths)}\n"
    for batch in itertools.chain([first], batches):
        yield "".join(f"{aligned(row, widths, kinds)}\n" for row in batch)


def _records(names: Sequence[str], first: Cells, others: Iterable[Cells]) -> Iterator[str]:
    rows = itertools.chain.from_iterable(itertools.chain([first], others))
    return (f"row {number}\n{_record(names, row)}" for number, row in enumerate(rows, 1))


def _record(names: Sequence[str], row: Sequence[str]) -> str:
    """Return one name and value per line; the further lines of a value are indented as its first one is."""
    indent = 2 + max(map(len, names)) + 2
    lines = [
        f"  {name}".ljust(indent) + cell.replace("\n", "\n" + " " * indent)
        for name, cell in zip(names, row, strict=True)
    ]
    return "".join(f"{line.rstrip()}\n" for line in lines)
