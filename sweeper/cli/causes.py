"""The lines that say why tasks failed: the causes, an example of each, and the commands that show more."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .row_table import printable_line

if TYPE_CHECKING:
    from sweeper.store.failure_causes import FailureCause

MOST_CAUSES = 3  # so that they take six lines, and all lines at the end of a run ten
ID_DIGITS = 12  # of an example; commands take the first digits of an id
LABEL_WIDTH = 11  # that of the last lines of a run, such as "rerun one: "
QUERY = "FROM failures SELECT kind, error, place, count(*) AS tasks GROUP BY ALL ORDER BY tasks DESC"


def cause_lines(causes: "Sequence[FailureCause]") -> Iterator[str]:
    """Yield two lines for each of the most frequent causes, whose ends may be cut; `causes` has them in that order."""
    for cause in causes[:MOST_CAUSES]:
        yield f"failed:    {cause.tasks:,} {cause.kind}: {cause.name}"
        yield " " * LABEL_WIDTH + f"for example {cause.task[:ID_DIGITS]}: {printable_line(cause.message)}"


def command_lines(causes: "Sequence[FailureCause]", store_option: str) -> Iterator[str]:
    """Yield the commands that show an example in full, and all causes if there are more than are shown.

    Args:
        causes: The causes, the most frequent first.
        store_option: The option that names the store in the commands.
    """
    if others := causes[MOST_CAUSES:]:
        tasks, noun = sum(cause.tasks for cause in others), "cause" if len(others) == 1 else "causes"
        yield f'all:       sweeper sql "{QUERY}" {store_option} ({len(others)} more {noun} of {tasks:,} failures)'
    if causes:
        yield f"details:   sweeper explain {causes[0].task[:ID_DIGITS]} {store_option}"
