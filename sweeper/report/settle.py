"""The number of training runs that would settle an undecided verdict, because its interval is then short enough."""

from collections.abc import Iterator
from dataclasses import dataclass

from sweeper.spec.content.wording import count_of
from sweeper.store.statistics.looks import UNCORRECTED, level_at_next
from sweeper.store.statistics.runs_needed import Parts, expected_half_width, runs_needed

from .headlines import decision, headlines
from .tables import IMAGES, LOOKS, PARTS, Table


@dataclass(frozen=True, slots=True)
class Settlement:
    """The number of training runs that is expected to decide an undecided row.

    If the mean stays where it is, the interval has to be shorter than `target` on each side. `more` is the number of
    additional training runs on each side with which it is expected to be, at the level of the next look at the data;
    None if no number up to 200 is enough.
    """

    row: int
    runs_a: int
    runs_b: int
    half_width: float
    target: float
    more: int | None
    expected: float | None  # half-width with `more` runs

    def __str__(self) -> str:
        """Return the sentence."""
        if self.more is None:
            return "No number of runs up to 200 more a side is expected to settle it."
        return f"{count_of(self.more, 'more run')} a side would be expected to settle it."


def settlements(table: Table) -> Iterator[Settlement]:
    """Yield what would settle each undecided headline of a table whose rows have the parts of a variance."""
    names = table.rows.column_names
    if not set(PARTS) <= set(names) or "margin" not in table.arguments:
        return
    rows = table.rows.to_pylist()
    value = "net_gain" if "net_gain" in names else "net_penalty"
    margin = float(table.arguments["margin"])
    for i in headlines(table):
        row = rows[i]
        if decision(table, i) != "undecided" or not row[PARTS[0]] or not row["confidence"]:
            continue
        parts = Parts(row[PARTS[0]], row[PARTS[1]], row[IMAGES] is not None)
        level, target = row["confidence"] / 100, abs(abs(row[value]) - margin)
        next_level = level_at_next(level, row.get(LOOKS, UNCORRECTED))
        more = runs_needed(parts, target, next_level)
        expected = None if more is None else expected_half_width(parts, more, next_level)
        half_width = expected_half_width(parts, 0, level)
        yield Settlement(i, row["runs_a"], row["runs_b"], half_width, target, more, expected)
