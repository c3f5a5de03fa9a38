"""Tables in a terminal, with aligned numbers and sections, within the width of the terminal.

A table wider than the terminal is divided into blocks of columns, each starting with the columns that identify the row.
Where even that doesn't fit, each row becomes a list of `column  value`.
"""

import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from sweeper.spec.content.wording import count_of

from .answers import FEW, answers, sentences, short_answer
from .format import Grid, GridColumn, GridSection, beneath, caption, lay_out
from .short import MARK, MOST_ROWS, MOST_ROWS_ALONE, WIDTH, ShortTable, short_form
from .tables import CONTROL, NO_CONTROL, Table

_GAP = 2
_NARROWEST = 20  # characters of a first column that is folded
_STYLES = {
    "better": "bold green",
    "as good": "green",
    "connected": "bold green",
    "agree": "green",
    "disagree": "bold red",
    "worse": "bold red",
    "not connected": "bold red",
    "undecided": "dim",
    NO_CONTROL: "dim",
    CONTROL: "dim",
    "same": "green",
    "agrees": "bold green",
    "opposite": "bold red",
    "disagrees": "red",
    "none": "dim",
}

Row = tuple[str, ...]


def tables_as_text(tables: Sequence[Table], width: int = 80, color: bool = False) -> str:
    """Format tables with all rows and captions as text of at most `width` characters per line.

    Args:
        tables: The tables.
        width: The width of the terminal.
        color: Whether to add ANSI styles.
    """
    return _printed((line for table in tables for line in _lines(table, width)), width, color)


def short_tables_as_text(tables: Sequence[Table], width: int = 80, color: bool = False) -> str:
    """Format the short form of tables as text: of each its answer, then as many of its rows as fit on a screen.

    Of several tables, those whose rows are all said in sentences are without rows, and those about tasks are their
    answers alone, unless all are. Several tables without rows share a line.

    Args:
        tables: The tables.
        width: The width of the terminal, of which at most 100 characters are used.
        color: Whether to add ANSI styles.
    """
    most = MOST_ROWS_ALONE if len(tables) == 1 else MOST_ROWS
    width = min(width, WIDTH)
    in_short = [table for table in tables if table.rows.num_rows or len(tables) == 1]
    are_beside = not all(table.question.about_tasks for table in tables)
    lines = [
        line
        for table in in_short
        if not (table.question.about_tasks and are_beside)
        for line in _short_lines(table, most, width)
    ]
    for table in in_short:
        if table.question.about_tasks and are_beside:
            text = " ".join([f"{table.name}:", *short_answer(table)])
            lines += _with_command(text, f"sweeper tables {table.name}", width)
    without_rows = [table for table in tables if not (table.rows.num_rows or table.question.about_tasks)]
    if len(tables) > 1 and without_rows:
        lines += _wrapped(f"No rows yet: {', '.join(table.name for table in without_rows)}", width, style="dim")
    remarks = dict.fromkeys(remark for table in tables for remark in table.remarks)
    lines += [line for remark in remarks for line in _wrapped(f"Note: {remark}", width, style="dim")]
    return _printed(lines, width, color)


def answers_as_text(tables: Sequence[Table], width: int = 80, color: bool = False) -> str:
    """Format the answers of tables as text: of each its question, then its sentences."""
    width = min(width, WIDTH)
    return _printed((line for table in tables for line in _answer_lines(table, sentences(table), width)), width, color)


def _printed(lines: Iterable[Text], width: int, color: bool) -> str:
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
    for line in lines:
        console.print(line, soft_wrap=True)
    return out.getvalue()


def _lines(table: Table, width: int) -> Iterator[Text]:
    yield Text(table.name, style="bold")
    yield from _wrapped(table.question.question, width, style="italic")
    for sentence in sentences(table):
        yield from _wrapped(sentence, width)
    yield Text()
    grid = lay_out(table)
    if grid.sections:
        yield from _grid(grid, width)
    else:
        yield Text("  no rows yet", style="dim")
    yield Text()
    for line in caption(table):
        yield from _wrapped(line, width, style="dim")
    yield Text()


def _answer_lines(table: Table, texts: Sequence[str], width: int) -> Iterator[Text]:
    """Yield the question of a table and sentences on it."""
    if not table.rows.num_rows:
        yield from _wrapped(f"{table.name}: no rows yet. {table.question.question}", width, style="dim")
        return
    yield from _wrapped(f"{table.name}: {table.question.question}", width, style="bold")
    for sentence in texts:
        yield from _wrapped(sentence, width)


def _short_lines(table: Table, most: int, width: int) -> Iterator[Text]:
    if not table.rows.num_rows:
        yield from _answer_lines(table, [], width)
        return
    answer, short = short_answer(table), short_form(table, most)
    if most < MOST_ROWS_ALONE and _is_said(table, short):
        short = ShortTable(Grid((), ()), table.rows.num_rows, False)
    if answer and not short.grid.sections and not beneath(table):
        yield from _answer_lines(table, answer[:-1], width)
        yield from _with_command(answer[-1], "; ".join(_remainder(table, short)), width)
        yield Text()
        return
    yield from _answer_lines(table, answer, width)
    if short.grid.sections:
        yield Text()
        yield from _compact(short.grid, width)
    for head, text in beneath(table).items():
        yield from _wrapped(f"{head}: {text}", width)
    yield from _wrapped("; ".join(_remainder(table, short)), width, style="dim")
    yield Text()


def _is_said(table: Table, short: ShortTable) -> bool:
    """Return whether each of the rows that are shown has a sentence, which are few."""
    count = table.rows.num_rows - short.hidden  # the rows with a sentence are always among those shown
    return 0 < count <= FEW and count == len(answers(table))


def _with_command(sentence: str, command: str, width: int) -> Iterator[Text]:
    """Yield the lines of a sentence, with a command at the end of the last line, or below it if it is too long."""
    *lines, last = _wrapped(sentence, width)
    yield from lines
    if len(last.plain) + 1 + len(command) <= width:
        yield last.append(f" {command}", style="dim")
    else:
        yield last
        yield from _wrapped(f"  {command}", width, style="dim")


def _remainder(table: Table, short: ShortTable) -> Iterator[str]:
    """Yield what the short form of a table leaves out, with the command that shows it."""
    caveats = ", and the caveats of verdicts with *" if short.is_marked else ""
    if short.hidden:
        noun = "other row" if short.grid.sections else "row"
        yield f"{count_of(short.hidden, noun)}{caveats}: sweeper tables {table.name} --full"
    elif caveats:
        yield f"*: with caveats; sweeper tables {table.name} --full"


def _grid(grid: Grid, width: int) -> Iterator[Text]:
    widths = _widths(grid)
    if blocks := _blocks(grid, widths, width):
        yield from _sections(grid, widths, blocks, width)
    else:
        yield from _records(grid, width)


def _compact(grid: Grid, width: int) -> Iterator[Text]:
    """Yield the lines of a grid without empty lines between its sections."""
    yield from (line for line in _grid(_folded(grid, width), width) if line.plain)


def _folded(grid: Grid, width: int) -> Grid:
    """Return a grid whose first column is narrow enough for a row to fit: long cells go on in rows of their own."""
    widths = _widths(grid)
    room = max(width - sum(other + _GAP for other in widths[1:]), _NARROWEST)
    if widths[0] <= room:
        return grid
    sections = []
    for section in grid.sections:
        rows: list[Row] = []
        for first, *cells in section.rows:
            start, *others = textwrap.wrap(first, room, subsequent_indent="  ") or [""]
            rows.append((start, *cells))
            rows += [(other, *[""] * len(cells)) for other in others]
        sections.append(GridSection(section.title, tuple(rows)))
    return Grid(grid.columns, tuple(sections))


def _wrapped(text: str, width: int, style: str = "") -> Iterator[Text]:
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
        line.append(
            pad + cells[i] if grid.columns[i].numeric else cells[i] + pad,
            style=_STYLES.get(cells[i].removesuffix(MARK), ""),
        )
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
