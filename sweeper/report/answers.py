"""Answers: sentences on the question of a table, computed from its rows by the templates in its header.

`answer` is a sentence on each headline: each row over several cuts that has a verdict, or each cut of a comparison that
has no such row. It begins with a label and a colon. A column's name in braces stands for its value in that row, with
its interval. The place, the numbers of training runs, what the interval holds for, the settings that tell the
comparison from others, what would settle an undecided verdict, and the caveats of the row follow by themselves.

`in all` is a sentence on all rows: `{rows}` is their number, `{sum x}`, `{least x}`, `{most x}` and `{distinct x}` the
sum, the least, the greatest and the number of different values of the column x.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sweeper.spec.content.wording import count_of

from .format import MISSING, column_cells, distinguishing_headings, format_value, heading, is_in_points
from .headlines import decision, headlines
from .question import filled, placeholders
from .settle import settlements
from .tables import CONTROL, IMAGES, LOOKS, NO_CONTROL, Table

# Decisions that are not about the question: a sentence on such a row would say nothing.
_NO_ANSWER = (CONTROL, "not tested")

# The number of sentences of a question that are printed beside its table; of more, only the counts are.
FEW = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """A sentence on a row of a table, its label, the decision that it states, and the number of the row.

    `text` is the sentence without its caveats, which are empty if it has none.
    """

    text: str
    label: str
    decision: str
    row: int
    caveats: str = ""

    @property
    def sentence(self) -> str:
        """The whole sentence."""
        return f"{self.text} Caveats: {self.caveats}." if self.caveats else self.text


def short_answer(table: Table) -> list[str]:
    """Return the answer to a table's question in short: its sentences if they are few, else their counts by label.

    The list is empty if the table has no rows, or its header has no template.
    """
    return _in_short(table, answers(table))


def _in_short(table: Table, answered: Sequence[Answer]) -> list[str]:
    if answered:
        return [answer.sentence for answer in answered] if len(answered) <= FEW else _counts(answered)
    if table.rows.num_rows and table.question.in_all:
        return [f"{_over_all_rows(table)}."]
    return ["No comparison has a verdict."] if table.rows.num_rows and table.question.answer else []


def sentences(table: Table) -> list[str]:
    """Return all answers to a table's question as sentences, after their counts by label if they are many."""
    answered = answers(table)
    return [*_in_short(table, answered), *(answer.sentence for answer in answered if len(answered) > FEW)]


def answers(table: Table) -> list[Answer]:
    """Return a sentence on each headline of a table that answers its question; see the docstring of the module."""
    template, rows = table.question.answer, table.rows.to_pylist()
    if not template:
        return []
    cells = {name: _cells(table, name, rows) for name in dict.fromkeys(placeholders(template))}
    extra_heads = [name for name in distinguishing_headings(table) if name not in cells]
    head_cells = {name: [format_value(name, row[name]) for row in rows] for name in extra_heads}
    settled_by = {settlement.row: f" {settlement}" for settlement in settlements(table)}
    answered = []
    for i in headlines(table):
        if (made := decision(table, i)) in _NO_ANSWER:
            continue
        text = filled(template, {name: column[i] for name, column in cells.items()})
        label, _, statement = f"{text[:1].upper()}{text[1:]}".partition(": ")
        if made == NO_CONTROL:
            statement = f"{made}. B was not stitched to itself with the same stitcher and settings"
        settings = heading(extra_heads, {name: head_cells[name][i] for name in extra_heads})
        details = "; ".join(filter(None, [*_details(rows[i], table), settings]))
        in_brackets = f" ({details})" if details else ""
        sentence = f"{label}: {statement}{in_brackets}.{settled_by.get(i, '')}"
        answered.append(Answer(sentence, label, made, i, rows[i].get("caveats") or ""))
    return answered


def _counts(answered: Sequence[Answer]) -> list[str]:
    """Return a line for each label: "More data: better in 3 of 5 comparisons, undecided in 2."."""
    lines = []
    for label in dict.fromkeys(answer.label for answer in answered):
        counts = Counter(answer.decision for answer in answered if answer.label == label).most_common()
        total = sum(count for _, count in counts)
        (name, count), *others = counts
        parts = [
            f"{name} in {count} of {count_of(total, 'comparison')}",
            *(f"{name} in {count}" for name, count in others),
        ]
        lines.append(f"{label}: {', '.join(parts)}.")
    return lines


def _cells(table: Table, name: str, rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Return the texts of a column in sentences: as in the table, but with units, and commas in large integers."""
    if f"{name}_low" in table.rows.column_names:
        cells = column_cells(name, rows, with_interval=True)
        return [_with_unit(cell) for cell in cells] if is_in_points(name) else cells
    return [_plain(name, row[name]) for row in rows]


def _plain(name: str, content: object) -> str:
    is_count = isinstance(content, int) and not isinstance(content, bool)
    return f"{content:,}" if is_count else format_value(name, content)


def _with_unit(cell: str) -> str:
    """Return "+4.2 points [2.8, 5.7]" for "+4.2 [2.8, 5.7]"."""
    number, bracket, interval = cell.partition(" [")
    return cell if cell == MISSING else f"{number} points{bracket}{interval}"


def _details(row: Mapping[str, object], table: Table) -> Iterator[str]:
    """Yield the place of a row, its numbers of training runs, and what its interval holds for."""
    cut = str(row.get("cut", ""))
    if cut.startswith("(depth"):
        yield f"mean over {cut.strip('()')}"
    elif cut and not cut.startswith("("):
        yield f"cut {cut}"
    if row.get("runs_a") and row.get("runs_b"):
        yield f"{row['runs_a']} x {row['runs_b']} runs"
    looks = row.get(LOOKS)
    if isinstance(looks, int) and looks > 1:
        yield f"extended {count_of(looks - 1, 'time')}"
    names = [name for name in placeholders(table.question.answer) if f"{name}_low" in row]
    if not names:
        return
    if all(row[f"{name}_low"] is None and row[f"{name}_high"] is None for name in names):
        yield "no interval"
        return
    level = row.get("confidence") or 95.0
    yield f"{level:.3g} % interval for other seeds{' and' if row.get(IMAGES) else ', but the same'} test images"


def _over_all_rows(table: Table) -> str:
    """Return the sentence on all rows."""
    texts = {}
    for text in placeholders(table.question.in_all):
        kind, _, name = text.partition(" ")
        values = [] if kind == "rows" else [v for v in table.rows[name].to_pylist() if v is not None]
        texts[text] = f"{table.rows.num_rows:,}" if kind == "rows" else _aggregate(kind, name, values)
    return filled(table.question.in_all, texts)


def _aggregate(kind: str, name: str, values: list) -> str:
    if kind == "distinct":
        return f"{len(set(values)):,}"
    if not values:
        return MISSING
    return _plain(name, {"sum": sum, "least": min, "most": max}[kind](values))
