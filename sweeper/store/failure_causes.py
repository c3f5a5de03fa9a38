"""The causes of failures: failed tasks of a kind whose errors are of one class, with one of them as an example."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.spec.records.text import failure_class

if TYPE_CHECKING:
    from .store import Store

LONGEST_MESSAGE = 500  # characters of an example's text


@dataclass(frozen=True, slots=True)
class FailureCause:
    """Failed tasks of a kind with errors of one class, and one of them as an example."""

    kind: str
    name: str  # of the class: the type of the error, and the place in the code if it is known
    tasks: int
    task: str  # the example
    message: str  # the beginning of the text of its error


def failure_causes(store: "Store", tasks: Iterable[str]) -> tuple[FailureCause, ...]:
    """Return the causes of the last failures of tasks, the most frequent first.

    Args:
        store: The store.
        tasks: The ids of failed tasks.
    """
    ids = frozenset(tasks)
    if not ids:
        return ()
    message = f"left(arg_min(message, task), {LONGEST_MESSAGE}) AS message"
    columns = f"kind, error, place, count(*) AS tasks, min(task) AS task, {message}"
    rows = store.sql(f"SELECT {columns} FROM failures GROUP BY kind, error, place ORDER BY ALL", ids).to_pylist()
    causes = [
        FailureCause(row["kind"], failure_class(row["error"], row["place"]), row["tasks"], row["task"], row["message"])
        for row in rows
    ]
    return tuple(sorted(causes, key=lambda cause: -cause.tasks))
