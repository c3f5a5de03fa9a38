"""Rows on a terminal: the columns that fit its width, with long texts cut; the other columns are named beneath.

A column is shown whole or not at all, and numbers and times are never cut. Where not all columns fit, those that differ
between the rows come first, and times last. A column that is left out and has one value in all rows is named with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from rich.cells import cell_len, set_cell_size

GAP = 2  # spaces between two columns
TEXT_WIDTHS = (60, 40, 24, 16)  # the longest text of a column, tried one after the other until all columns fit
VALUE_WIDTH = 24  # of a value beneath the table
HIDDEN_LINES = 28  # with 3 rows, 40 lines in all
ADVICE = "Name columns in SELECT, or add `| less` to see all."

Cells = Sequence[Sequence[str]]


class Kind(Enum):
    """The kind of the cells of a column, by which they are aligned and cut."""

    NUMBER = "number"
    TIME = "time"
    TEXT = "text"


def table_lines(names: Sequence[str], rows: Cells, kinds: Sequence[Kind], width: int) -> Iterator[str]:
    """Yield the lines of a table: its head, a rule, one line a row, and what is left out.

    Args:
        names: The names of the columns.
        rows: Their cells.
        kinds: What the cells of each column are.
        width: The width of the terminal in characters.
    """
    columns = [
        _Column(name, [printable_line(row[i]) for row in rows], kind)
        for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    widths = _widths(columns, width)
    shown = [column for column, w in zip(columns, widths, strict=True) if w is not None]
    shown_widths, shown_kinds = [w for w in widths if w is not None], [column.kind for column in shown]
    yield aligned([column.name for column in shown], shown_widths, shown_kinds)
    yield "─" * total_width(shown_widths)
    cells = [column.cut_cells(w) for column, w in zip(shown, shown_widths, strict=True)]
    yield from (aligned(row, shown_widths, shown_kinds) for row in zip(*cells, strict=True))
    if hidden := [column for column, w in zip(columns, widths, strict=True) if w is None]:
        yield ""
        yield from _hidden_lines(hidden, len(columns), width)


def total_width(widths: Sequence[int]) -> int:
    """Return the width of a table whose columns have the given widths."""
    return sum(widths) + GAP * max(len(widths) - 1, 0)


def aligned(cells: Sequence[str], widths: Sequence[int], kinds: Sequence[Kind]) -> str:
    """Return a line of cells that are padded to the widths of their columns, numbers on the left."""
    padded = []
    for cell, width, kind in zip(cells, widths, kinds, strict=True):
        pad = " " * (width - cell_len(cell))
        padded.append(pad + cell if kind is Kind.NUMBER else cell + pad)
    return (" " * GAP).join(padded).rstrip()


def printable_line(text: str) -> str:
    r"""Return a text in one line, without characters that could move a terminal's cursor.

    >>> printable_line("Traceback:\n  File \x1b[2J 'x'")
    "Traceback: File [2J 'x'"
    """
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def cut(text: str, width: int) -> str:
    """Return a text that takes at most `width` characters of a terminal, with an ellipsis in place of what is cut.

    >>> cut("representation", 8)
    'represe…'
    """
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


@dataclass(frozen=True, slots=True)
class _Column:
    """A column with cells of one line each."""

    name: str
    cells: Sequence[str]
    kind: Kind

    def width(self, longest_text: int | None = None) -> int:
        """Return the width that it takes if its texts, but not its name, are cut to a length."""
        cells = max(map(cell_len, self.cells), default=0)
        if longest_text is not None and self.kind is Kind.TEXT:
            cells = min(cells, longest_text)
        return max(cell_len(self.name), cells)

    def cut_cells(self, width: int) -> list[str]:
        """Return its cells; of texts, what fits a width."""
        return [cut(cell, width) if self.kind is Kind.TEXT else cell for cell in self.cells]

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """A sort key: columns that come first where not all fit have the lowest."""
        return self.kind is Kind.TIME, not self.varies, not any(self.cells)

    @property
    def has_words(self) -> bool:
        """True if some cell consists of several words."""
        return any(" " in cell for cell in self.cells)

    @property
    def varies(self) -> bool:
        """True if its cells differ."""
        return len(set(self.cells)) > 1


def _widths(columns: Sequence[_Column], width: int) -> list[int | None]:
    """Return the width of each column; None for those that are left out."""
    for longest_text in (None, *TEXT_WIDTHS):
        widths = [column.width(longest_text) for column in columns]
        if total_width(widths) <= width:
            return _widened(columns, list(widths), width)
    widths, room = list[int | None]([None] * len(columns)), width + GAP
    for i in sorted(range(len(columns)), key=lambda i: columns[i].rank):
        needed = columns[i].width(TEXT_WIDTHS[-1])
        if needed + GAP <= room:
            widths[i], room = needed, room - needed - GAP
    if not any(widths):  # the terminal is narrower than any column
        widths[0] = width
    return _widened(columns, widths, width)


def _widened(columns: Sequence[_Column], widths: list[int | None], width: int) -> list[int | None]:
    """Return the widths after columns whose texts are cut have taken the room that is left: words first, then ids."""
    room = width - total_width([w for w in widths if w is not None])
    for i in sorted(range(len(columns)), key=lambda i: not columns[i].has_words):
        if (w := widths[i]) is not None and room > 0:
            wider = min(columns[i].width(), w + room)
            widths[i], room = wider, room - (wider - w)
    return widths


def _hidden_lines(hidden: Sequence[_Column], count: int, width: int) -> Iterator[str]:
    """Yield the names of the columns that are left out, with the value of those that have one, if there is room."""
    head = f"{len(hidden)} of {count} columns are left out:"
    lines = _wrapped([head, *_listed([_name_and_value(column) for column in hidden])], width)
    if len(lines) > HIDDEN_LINES:
        lines = _wrapped([head, *_listed([column.name for column in hidden])], width)
    yield from lines[:HIDDEN_LINES]
    if len(lines) > HIDDEN_LINES:
        yield "…"
    yield from _wrapped(ADVICE.split(), width)


def _name_and_value(column: _Column) -> str:
    if column.varies:
        return column.name
    return f"{column.name}={cut(column.cells[0], VALUE_WIDTH)}" if any(column.cells) else f"{column.name} (empty)"


def _listed(items: Sequence[str]) -> list[str]:
    """Return items with a comma after each but the last."""
    return [*(f"{item}," for item in items[:-1]), items[-1]]


def _wrapped(items: Sequence[str], width: int) -> list[str]:
    """Return lines of as many items as fit a width; an item that is longer has its own line and is cut."""
    lines = [""]
    for item in items:
        longer = f"{lines[-1]} {item}" if lines[-1] else cut(item, width)
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(cut(item, width))
    return lines
