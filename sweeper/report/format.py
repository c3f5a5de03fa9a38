"""Output formats of a table: Markdown, LaTeX, CSV and JSON, and the grid of cells that the terminal and the page show.

For people (terminal, Markdown, LaTeX, the page) a table is first laid out as a `Grid` of finished cells: `x`, `x_low`
and `x_high` become one cell `+5.1 [3.2, 7.0]`, constant settings move to the caption, and rows that share the values of
the question's `sections` and of the settings that vary stand under one heading. For machines (CSV, JSON) every column
is kept, in full precision.
"""

import csv as csv_writer
import io
import json as json_writer
import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from statistics import median

from .tables import Table

MISSING = "–"

# By the last word of a column's name: columns in points, always shown with a sign, and fixed numbers of decimals.
_POINTS = ("gain", "penalty", "doubling")
_FIXED = {
    "error": 2,
    "lowest": 2,
    "highest": 2,
    "depth": 2,
    "loss": 3,
    "ratio": 2,
    "tau": 2,
    "cka": 3,
    "drift": 2,
    "agreement": 1,
    "converged": 0,
    "sd": 2,
    "share": 0,
    "hours": 2,
    "confidence": 1,
}


@dataclass(frozen=True, slots=True)
class GridColumn:
    """A column of finished cells; `numeric` ones are aligned to the right."""

    name: str
    title: str
    numeric: bool


@dataclass(frozen=True, slots=True)
class GridSection:
    """Rows under one heading; the heading is empty if the question has no sections."""

    title: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table laid out for people: its columns and its sections of rows."""

    columns: tuple[GridColumn, ...]
    sections: tuple[GridSection, ...]


def lay_out(
    table: Table,
    shown: Sequence[str] = (),
    row_numbers: Sequence[int] | None = None,
    heads: Sequence[str] | None = None,
) -> Grid:
    """Lay out a table for people, as the terminal, Markdown, LaTeX and the page show it.

    Args:
        table: The table.
        shown: The columns to show, in the order of the SQL; by default `table.columns`.
        row_numbers: The rows to show; by default all. The cells of a row don't depend on it.
        heads: The columns whose values head a section; by default those of `headings`.
    """
    selected = {name + end for name in shown for end in ("", "_low", "_high")} if shown else set(table.columns)
    names = [name for name in table.rows.column_names if name in selected]
    with_interval = {name for name in names if {f"{name}_low", f"{name}_high"} <= set(names)}
    heads = headings(table) if heads is None else heads
    bounds = {name + end for name in with_interval for end in ("_low", "_high")}
    column_names = [name for name in names if name not in bounds and name not in heads]
    rows = table.rows.to_pylist()
    cells = {name: column_cells(name, rows, name in with_interval) for name in [*heads, *column_names]}
    columns = tuple(GridColumn(name, title(name), _numeric(name, rows)) for name in column_names)
    numbers = range(len(rows)) if row_numbers is None else row_numbers
    sections = [
        GridSection(section_title, tuple(tuple(cells[name][numbers[i]] for name in column_names) for i in places))
        for section_title, places in _group_rows_by_heading([_heading_of(heads, cells, i) for i in numbers])
    ]
    return Grid(columns, tuple(sections))


def title(name: str) -> str:
    """Return the heading of a column: "A samples" for `a_samples`."""
    words = name.split("_")
    return " ".join(word.upper() if word in ("a", "b", "cka") else word for word in words)


def headings(table: Table) -> list[str]:
    """Return the columns whose values head a section: those that the question names, and the settings that vary.

    The settings are among them so that rows of different settings never share a heading.
    """
    names = [*table.question.sections, *table.question.settings] if table.question.sections else []
    return [name for name in dict.fromkeys(names) if name in table.columns]


def distinguishing_headings(table: Table) -> list[str]:
    """Return those columns of `headings` that tell the comparisons of a table apart.

    A column that distinguishes no more comparisons than those before it is left out, unless it is the other network's
    side of one that does.
    """
    rows = table.rows.to_pylist()
    needed: list[str] = []
    groups = 1
    for name in headings(table):
        with_name = len({tuple(str(row[n]) for n in (*needed, name)) for row in rows})
        if with_name > groups:
            needed, groups = [*needed, name], with_name
    of_pairs = {side + name[2:] for name in needed if name[:2] in ("a_", "b_") for side in ("a_", "b_")}
    return [name for name in headings(table) if name in {*needed, *of_pairs}]


def heading(heads: Sequence[str], cells: Mapping[str, str]) -> str:
    """Return the heading of a section, such as "A samples 1200 → B samples 100".

    A's columns come first, then B's, then all others.

    Args:
        heads: Names of the columns in the heading.
        cells: The section's cell of each of these columns.
    """
    parts = {side: [name for name in heads if name.startswith(f"{side}_")] for side in ("a", "b")}
    other_heads = [name for name in heads if not name.startswith(("a_", "b_"))]
    sides = [
        side.upper() + " " + ", ".join(f"{title(name)[2:]} {cells[name]}" for name in names)
        for side, names in parts.items()
        if names
    ]
    return " · ".join([*filter(None, [" → ".join(sides)]), *(f"{title(name)} {cells[name]}" for name in other_heads)])


def caption(table: Table) -> list[str]:
    """Return the lines below a table.

    These are the question's `beneath` columns, the meaning of a row, how to read the table, the rule of its verdicts,
    its parameters, the settings that are equal in all rows, remarks and notes.
    """
    constants = {name: constant for name, constant in table.constants.items() if constant not in (None, "{}")}
    settings = ", ".join(f"{title(name)} {format_value(name, constant)}" for name, constant in constants.items())
    arguments = ", ".join(f"{p.name} = {table.arguments[p.name]} ({p.meaning})" for p in table.question.parameters)
    lines = beneath(table) | {
        "One row per": table.question.one_row_per,
        "Read it as": table.question.read_it_as,
        "Rule": table.question.rule,
        "Parameters": arguments,
        "In all rows": settings,
    }
    return [f"{head}: {text}" for head, text in lines.items() if text] + [
        f"Note: {note}" for note in (*table.remarks, *table.notes)
    ]


def beneath(table: Table) -> dict[str, str]:
    """Return the caption line of the question's `beneath` columns by its title; empty if there is none.

    The title is that of the first column. The text gives each distinct value once, after the headings that its rows
    share: "B samples 100: +1.2 [0.8, 1.6], rising; B samples 300: ...".
    """
    names, heads, rows = table.question.beneath, headings(table), table.rows.to_pylist()
    rows = [row for row in rows if names and row[names[0]] is not None]
    cells = {name: column_cells(name, rows, f"{name}_low" in table.rows.column_names) for name in (*names, *heads)}
    ends = [[cells[name][i] for name in heads if not name.startswith("a_")] for i in range(len(rows))]
    rows_by_cells: dict[tuple[str, ...], list[int]] = {}
    for i, end in enumerate(ends):
        rows_by_cells.setdefault((*end, *(cells[name][i] for name in names)), []).append(i)
    texts = []
    for row_numbers in rows_by_cells.values():
        first = row_numbers[0]
        shared = [name for name in heads if len({cells[name][i] for i in row_numbers}) == 1]
        section_title = heading(shared, {name: cells[name][first] for name in shared})
        texts.append((f"{section_title}: " if section_title else "") + ", ".join(cells[name][first] for name in names))
    return {title(names[0]).capitalize(): "; ".join(texts)} if texts else {}


def table_as_markdown(table: Table) -> str:
    """Format a table as GitHub's Markdown: a heading, the tables of all sections, the caption as a list."""
    grid = lay_out(table)
    lines = [f"## {_escape_markdown(table.name)}", "", _escape_markdown(table.question.question), ""]
    for section in grid.sections:
        lines += [f"**{_escape_markdown(section.title)}**", ""] if section.title else []
        lines.append(_markdown_row([column.title for column in grid.columns]))
        lines.append("| " + " | ".join("---:" if column.numeric else ":---" for column in grid.columns) + " |")
        lines += [*map(_markdown_row, section.rows), ""]
    if not grid.sections:
        lines += ["*No rows yet.*", ""]
    return "\n".join([*lines, *(f"- {_escape_markdown(line)}" for line in caption(table)), ""])


def latex(table: Table) -> str:
    """Format a table as a LaTeX `table` that needs booktabs; its caption is the question, and notes follow below."""
    grid = lay_out(table)
    width = len(grid.columns)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_escape_latex(table.question.question)}}}"]
    lines += [rf"\label{{tab:{table.name.replace('_', '-')}}}"]
    lines += [rf"\begin{{tabular}}{{{''.join('r' if c.numeric else 'l' for c in grid.columns)}}}", r"\toprule"]
    lines += [_latex_row([column.title for column in grid.columns])]
    for section in grid.sections:
        lines.append(r"\midrule")
        if section.title:
            lines.append(rf"\multicolumn{{{width}}}{{l}}{{\textbf{{{_escape_latex(section.title)}}}}} \\")
        lines += map(_latex_row, section.rows)
    lines += [r"\bottomrule", r"\end{tabular}", r"\par\footnotesize"]
    lines += [_escape_latex(line) + r"\par" for line in caption(table)]
    return "\n".join([*lines, r"\end{table}", ""])


def table_as_csv(table: Table) -> str:
    """Format all columns of a table as CSV, in full precision; a missing value is an empty field."""
    out = io.StringIO()
    writer = csv_writer.writer(out, lineterminator="\n")
    writer.writerow(table.rows.column_names)
    writer.writerows(row.values() for row in table.rows.to_pylist())
    return out.getvalue()


def tables_as_json(tables: Sequence[Table], answers: Mapping[str, Sequence[str]]) -> str:
    """Format tables as a JSON list with questions, rules, parameters and all rows; infinite and NaN become null.

    Args:
        tables: The tables.
        answers: The answers of each table (`answers.sentences`) by its name.
    """
    documents = [_as_json(table, answers.get(table.name, ())) for table in tables]
    return json_writer.dumps(documents, indent=2, ensure_ascii=False, default=str)


def format_value(name: str, content: object, decimals: int | None = None) -> str:
    """Format one value of a column as a cell: integers in full, points with their sign.

    Args:
        name: The column, whose last word decides the format of a float.
        content: The value; None and NaN are shown as `MISSING`.
        decimals: The number of decimals of a float, if the column's own does not apply.
    """
    if content is None or (isinstance(content, float) and math.isnan(content)):
        return MISSING
    if isinstance(content, bool):
        return "yes" if content else "no"
    if isinstance(content, float):
        return _number(name, content, decimals)
    if isinstance(content, datetime):
        return content.isoformat(sep=" ", timespec="seconds")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(content))


def is_in_points(name: str) -> bool:
    """Return whether a column is in percentage points."""
    return _has_last_word(name, _POINTS)


def column_cells(name: str, rows: Sequence[Mapping[str, object]], with_interval: bool) -> list[str]:
    """Return the cells of a column; with `with_interval` those of `x`, `x_low` and `x_high` together."""
    if not with_interval:
        return [format_value(name, row[name]) for row in rows]
    bounds = [(row[name], row[f"{name}_low"], row[f"{name}_high"]) for row in rows]
    decimals = _decimals(name, bounds)
    return [_interval(name, *bound, decimals) for bound in bounds]


def _number(name: str, number: float, decimals: int | None) -> str:
    if _has_last_word(name, _POINTS):
        places = 1 if decimals is None else decimals
        return f"{_rounded(number, places):+.{places}f}"
    if decimals is not None:
        return f"{_rounded(number, decimals):.{decimals}f}"
    if _has_last_word(name, _FIXED):
        return f"{number:.{_FIXED[_last_word(name)]}f}"
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else f"{number:.6g}"


def _rounded(number: float, decimals: int) -> float:
    """Round a number; adding 0.0 turns -0.0 into 0.0, which would otherwise be shown with a minus sign."""
    return round(number, decimals) + 0.0


def _last_word(name: str) -> str:
    return name.rsplit("_", 1)[-1]


def _has_last_word(name: str, words: Container[str]) -> bool:
    return _last_word(name) in words


def _decimals(name: str, bounds: Sequence[tuple[object, object, object]]) -> int:
    """Return the number of decimals of all cells of a column, by the median half width of its intervals.

    It is one for a half width of 0.5 or more, two down to 0.05, and three below that, except for points (two).
    """
    half_widths = [
        (high - low) / 2 for _, low, high in bounds if isinstance(low, float) and isinstance(high, float) and high > low
    ]
    half_width = median(half_widths) if half_widths else 1.0
    return 1 if half_width >= 0.5 else 2 if half_width >= 0.05 or _has_last_word(name, _POINTS) else 3


def _interval(name: str, middle: object, low: object, high: object, decimals: int) -> str:
    text = format_value(name, middle, decimals)
    if not isinstance(low, float) and not isinstance(high, float):
        return text
    ends = (f"{_rounded(end, decimals):.{decimals}f}" if isinstance(end, float) else MISSING for end in (low, high))
    return f"{text} [{', '.join(ends)}]"


def _numeric(name: str, rows: Sequence[Mapping[str, object]]) -> bool:
    values = [row[name] for row in rows if row[name] is not None]
    return bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _heading_of(heads: Sequence[str], cells: Mapping[str, Sequence[str]], i: int) -> str:
    return heading(heads, {name: cells[name][i] for name in heads})


def _group_rows_by_heading(headings: Sequence[str]) -> list[tuple[str, list[int]]]:
    groups = groupby(range(len(headings)), key=headings.__getitem__)
    return [(heading, list(numbers)) for heading, numbers in groups]


def _as_json(table: Table, answers: Sequence[str]) -> dict[str, object]:
    question = table.question
    return {
        "name": question.name,
        "question": question.question,
        "one_row_per": question.one_row_per,
        "read_it_as": question.read_it_as,
        "rule": question.rule,
        "answers": list(answers),
        "parameters": dict(table.arguments),
        "notes": [*table.remarks, *table.notes],
        "columns": table.rows.column_names,
        "rows": [{name: _finite(content) for name, content in row.items()} for row in table.rows.to_pylist()],
        "version": table.version,
    }


def _finite(content: object) -> object:
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _escape_markdown(text: str) -> str:
    """Escape Markdown's special characters, so that a job's name does not become a tag, a link or a column."""
    for character in "\\`*_<|":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split()).replace("](", "]\\(")


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_escape_markdown, cells)) + " |"


_LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    **{character: "\\" + character for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "→": r"$\to$",
    "≥": r"$\geq$",
    "–": "--",
    "·": r"$\cdot$",
}


def _escape_latex(text: str) -> str:
    return "".join(_LATEX_ESCAPES.get(character, character) for character in " ".join(text.split()))


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_escape_latex, cells)) + r" \\"
