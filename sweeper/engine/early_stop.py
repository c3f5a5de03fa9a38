"""The decision to start no more tasks, because those that were started fail for a reason that the others share.

There are two rules. If a class of failure (the type of the error and the place in the code) hits many tasks of a kind
and none of that kind succeeds meanwhile, the kind is stopped. If a large share of all tasks fails, the run is stopped.

A failure that all the tasks hit have a model in common with says nothing about tasks without that model, so it stops a
kind only if all its other tasks need this model, too. The snapshots of one training run count as one task, and so do
the tasks of a pack whose worker died, because one of them may have ended it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sweeper.plan.plan import KINDS
from sweeper.spec.records.text import shorten

# The number of ended tasks from which on a share of failed ones can stop a run.
ENDED_TASKS = 50


@dataclass(frozen=True, slots=True)
class Stop:
    """A decision to start no more tasks of some kinds, with an example of the failures that led to it."""

    kinds: tuple[str, ...]
    reason: str  # a sentence without its full stop
    task: str  # a task that failed
    error: str  # its error: class and text

    def text(self, not_started: int, rerun_command: str) -> str:
        """Return the line that is printed; `rerun_command` performs one task again, whose id follows it."""
        error = shorten(self.error.strip().split("\n", 1)[0], 200)
        return (
            f"{self.reason}, so {not_started} tasks were not started and stay missing; "
            f"an example is {self.task}: {error}; `{rerun_command} {self.task}` performs it again"
        )


@dataclass(slots=True)
class _Hits:
    """The tasks that a class of failure hit since the last success of their kind."""

    task: str  # the first
    error: str
    tasks: set[str] = field(default_factory=set)
    common_models: frozenset[str] | None = None  # ids of the models that all of them need; None before the first


class EarlyStop:
    """The failures of a run, by class.

    Args:
        after_failures: The number of tasks that a class of failure must hit; 0 switches this rule off.
        at_share: The share of failed tasks, in (0, 1].
        all_need: Returns True if all tasks of a kind that have not started need one of some models.
    """

    def __init__(self, after_failures: int, at_share: float, all_need: Callable[[str, Collection[str]], bool]):
        self._after_failures, self._at_share, self._all_need = after_failures, at_share, all_need
        self._hits: dict[tuple[str, str], _Hits] = {}  # by kind and class of failure
        self._failing: set[str] = set()
        self._succeeded = 0
        self._stopped_kinds: set[str] = set()

    def on_success(self, kind: str, tasks: Collection[str]) -> None:
        """Take in tasks of a kind that succeeded."""
        if tasks:
            self._hits = {key: hits for key, hits in self._hits.items() if key[0] != kind}
            self._failing.difference_update(tasks)
            self._succeeded += len(tasks)

    def on_failure(self, kind: str, failure_class: str, error: str, task: str, models: Collection[str]) -> Stop | None:
        """Take in a task that failed, finally or not, and return the decision to stop, if it follows.

        Args:
            kind: The kind of the task.
            failure_class: The class of its failure.
            error: The class and the text of its error.
            task: The task.
            models: Ids of the models that it needs.
        """
        self._failing.add(task)
        hits = self._hits.setdefault((kind, failure_class), _Hits(task, error))
        hits.tasks.add(task)
        hits.common_models = frozenset(models) if hits.common_models is None else hits.common_models & set(models)
        if self._is_hopeless(kind, hits):
            self._stopped_kinds.add(kind)
            reason = f"{len(hits.tasks)} {kind} failed with {failure_class} and none succeeded meanwhile"
            return Stop((kind,), reason, hits.task, hits.error)
        ended = self._succeeded + len(self._failing)
        if ended >= ENDED_TASKS and len(self._failing) >= self._at_share * ended:
            kinds = tuple(kind for kind in KINDS if kind not in self._stopped_kinds)
            self._stopped_kinds.update(kinds)
            reason = f"{len(self._failing)} of the {ended} tasks that ended failed, the last with {failure_class}"
            return Stop(kinds, reason, task, error) if kinds else None
        return None

    def _is_hopeless(self, kind: str, hits: _Hits) -> bool:
        if kind in self._stopped_kinds or not 0 < self._after_failures <= len(hits.tasks):
            return False
        return not hits.common_models or self._all_need(kind, hits.common_models)
