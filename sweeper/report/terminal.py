"""Tables in a terminal, with aligned numbers and sections, within the width of the terminal.

A table wider than the terminal is divided into blocks of columns, each starting with the columns that identify the row.
Where even that doesn't fit, each row becomes a list of `column  value`.
"""

import io
import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from .format import Grid, GridColumn, GridSection, caption, lay_out
from .tables import NO_CONTROL, Table

_GAP = 2
_STYLES = {
    "better": "bold green",
    "as good": "green",
    "connected": "bold green",
    "worse": "bold red",
    "not connected": "bold red",
    "undecided": "dim",
    NO_CONTROL: "dim",
    "same": "green",
    "agrees": "bold green",
    "opposite": "bold red",
    "disagrees": "red",
    "none": "dim",
}

Row = tuple[str, ...]


def tables_as_text(tables: Sequence[Table], width: int = 80, color: bool = False) -> str:
    """Format tables as text of at most `width` characters per line, with ANSI styles if `color`."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for table in tables:
        for line in _lines(table, width):
            console.print(line, soft_wrap=True)
    return out.getvalue()


def _lines(table: Table, width: int) -> Iterator[Text]:
    yield Text(table.name, style="bold")
    yield from _wrapped(table.question.question, width, style="italic")
    yield Text()
    grid = lay_out(table)
    if not grid.sections:
        yield Text("  no rows yet", style="dim")
    elif blocks := _blocks(grid, widths := _widths(grid), width):
        yield from _sections(grid, widths, blocks, width)
    else:
        yield from _records(grid, width)
    yield Text()
    for line in caption(table):
        yield from _wrapped(line, width, style="dim")
    yield Text()


def _wrapped(text: str, width: int, style: str) -> Iterator[Text]:
    for line in textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False):
        yield Text(line, style=style)


def _blocks(grid: Grid, widths: list[int], width: int) -> list[list[int]]:
    """Return groups of columns that fit, each with the key columns; none if the keys and one more don't fit."""
    keys = _keys(grid.columns)
    others = [i for i in range(len(grid.columns)) if i not in keys]

    def fits(columns: list[int]) -> bool:
        return sum(widths[i] + _GAP for i in columns) - _GAP <= width

    blocks: list[list[int]] = [list(keys)]
    for i in others:
        if fits([*blocks[-1], i]):
            blocks[-1].append(i)
        else:
            blocks.append([*keys, i])
    blocks = [block for block in blocks if len(block) > len(keys)] or [list(keys)]
    return blocks if all(map(fits, blocks)) else []


def _keys(columns: Sequence[GridColumn]) -> list[int]:
    """Return the columns that identify a row: the leading text columns, at least the first column."""
    keys = [0]
    for i, column in enumerate(columns[1:], start=1):
        if column.numeric:
            break
        keys.append(i)
    return keys


def _widths(grid: Grid) -> list[int]:
    rows = [row for section in grid.sections for row in section.rows]
    return [
        max([cell_len(word) for word in column.title.split()] + [cell_len(row[i]) for row in rows])
        for i, column in enumerate(grid.columns)
    ]


def _sections(grid: Grid, widths: list[int], blocks: list[list[int]], width: int) -> Iterator[Text]:
    """Yield the lines of all sections; with a single block, the head appears once above all of them."""
    if len(blocks) == 1:
        yield from _head(grid, widths, blocks[0])
    for section in grid.sections:
        if section.title:
            yield from _wrapped(section.title, width, style="bold cyan")
        for block in blocks:
            if len(blocks) > 1:
                yield from _head(grid, widths, block)
            yield from (_row(grid, widths, block, row) for row in section.rows)
            yield Text()


def _head(grid: Grid, widths: list[int], block: list[int]) -> Iterator[Text]:
    """Yield the lines of the titles, wrapped to the columns' widths, and the rule below."""
    titles = {i: textwrap.wrap(grid.columns[i].title, widths[i]) for i in block}
    height = max(map(len, titles.values()))
    for level in range(height):
        lines = {i: ([""] * (height - len(words)) + words)[level] for i, words in titles.items()}
        yield _row(grid, widths, block, [lines.get(i, "") for i in range(len(widths))], style="bold")
    yield Text("─" * (sum(widths[i] + _GAP for i in block) - _GAP), style="dim")


def _row(grid: Grid, widths: list[int], block: list[int], cells: Sequence[str], style: str = "") -> Text:
    line = Text(style=style)
    for i in block:
        pad = " " * (widths[i] - cell_len(cells[i]))
        line.append(" " * _GAP if len(line) else "")
        line.append(pad + cells[i] if grid.columns[i].numeric else cells[i] + pad, style=_STYLES.get(cells[i], ""))
    line.rstrip()
    return line


def _records(grid: Grid, width: int) -> Iterator[Text]:
    """Yield each row as lines of `column  value`, wrapping long values."""
    indent = max(cell_len(column.title) for column in grid.columns) + _GAP
    for section in grid.sections:
        yield from _record_section(grid.columns, section, indent, width)


def _record_section(columns: Sequence[GridColumn], section: GridSection, indent: int, width: int) -> Iterator[Text]:
    if section.title:
        yield from _wrapped(section.title, width, style="bold cyan")
    for row in section.rows:
        for column, cell in zip(columns, row, strict=True):
            text = column.title.ljust(indent) + cell
            yield from (Text(line) for line in textwrap.wrap(text, max(width, 1), subsequent_indent="  ") or [""])
        yield Text()
