"""The tasks of a job compared with those of its last run in a store: why tasks are missing after an edit."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import places

if TYPE_CHECKING:
    from sweeper.plan.changes import Changes
    from sweeper.plan.plan import Plan
    from sweeper.spec.records.rows import RunRow
    from sweeper.store.store import Store

MOST_VERSIONS = 3  # earlier versions of the job that are planned, the newest first
# Keys of a resolved job that no id of a task depends on.
_NOT_IN_IDS = ("engine", "store", "margin", "limits", "name")


@dataclass(frozen=True, slots=True)
class Edit:
    """The difference between a job and an earlier version of it, which a store has."""

    start_row: "RunRow"  # of the latest run of the earlier version
    changes: "Changes"

    def lines(self) -> list[str]:
        """Return the difference as lines of text."""
        title = f"compared with this job at {self.start_row.at:%Y-%m-%d %H:%M} UTC (run {self.start_row.run}):"
        return [title, *(f"  {line}" for line in self.changes.lines())]

    def example_lines(self) -> Iterator[str]:
        """Yield for each group of new tasks one of them, and the done task that it differs least from."""
        for group in self.changes.new:
            nearest = f"; nearest done task: {group.nearest}" if group.nearest else ""
            yield f"{group.kind}, {group.reason}: for example {group.task}{nearest}"

    def as_json(self) -> dict[str, Any]:
        """Return the difference as values that JSON can hold."""
        return {
            "run": self.start_row.run,
            "new": [group._asdict() for group in self.changes.new],
            "no_longer_named": [group._asdict() for group in self.changes.gone],
            "not_new": self.changes.still_missing,
        }


def since_stored(plan: "Plan", store_url: str) -> Edit | None:
    """Return how a job differs from the latest version of it in a store that has other tasks; None if there is none."""
    from sweeper.plan.changes import changes
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.resolve import from_json, to_json

    if not places.exists(store_url):
        return None
    present = _task_settings(to_json(plan.sweep))
    with places.opened(store_url) as store:
        rows = [row for row in _versions(store, plan.sweep.name) if _task_settings(row.job_resolved) != present]
        if not rows:
            return None
        done = store.done()
        for row in rows[:MOST_VERSIONS]:
            changed = changes(plan, Plan.of(from_json(row.job_resolved), done))
            if changed.new or changed.gone:
                return Edit(row, changed)
    return None


def _versions(store: "Store", job: str) -> Iterator["RunRow"]:
    """Yield the start row of the latest run of each version of a job, the newest first."""
    seen: set[str] = set()
    for row in reversed(store.runs()):
        if row.event == "start" and row.job == job and row.job_resolved not in seen:
            seen.add(row.job_resolved)
            yield row


def _task_settings(job_resolved: str) -> dict[str, Any]:
    """Return the keys of a resolved job that decide which tasks it has."""
    return {key: value for key, value in json.loads(job_resolved).items() if key not in _NOT_IN_IDS}
