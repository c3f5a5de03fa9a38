"""The command `diff`, which compares two stores or runs: the settings of their tasks, and their results."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sweeper.errors import UsageError

from . import places, show

if TYPE_CHECKING:
    from sweeper.plan.plan import Plan
    from sweeper.report.difference import TableDifference
    from sweeper.spec.records.rows import RunRow
    from sweeper.store.store import Store

MOST_LINES = 15  # of settings, and of values; --json has all


@dataclass(frozen=True, slots=True)
class Side:
    """A store, or a run of one: the jobs by name, with the tasks that they name."""

    name: str
    store: "Store"
    plans: Mapping[str, "Plan"]

    @property
    def task_ids(self) -> list[str]:
        """The ids of all tasks that its jobs name."""
        return list(dict.fromkeys(task for plan in self.plans.values() for task in plan.ids()))


def print_difference(left: str, right: str, store: str | None, json: bool) -> None:
    """Print how two stores or runs differ.

    Args:
        left: A store, or a run of `store`.
        right: The same.
        store: The store of runs; None: the only store in `runs/`.
        json: Print JSON.

    Raises:
        UsageError: A name is neither that of a store nor that of a run.
    """
    from sweeper.report.difference import difference
    from sweeper.report.tables import tables

    sides = _side(left, store), _side(right, store)
    settings = list(_settings(*sides))
    other_errors, common = _other_errors(*sides)
    with show.shown_warnings():
        results = difference(*(tables(side.store, only=side.task_ids) for side in sides))
    if json:
        facts = {"settings": settings, "common_tasks": common, "other_test_errors": other_errors}
        show.print_json({"left": left, "right": right, **facts, "tables": asdict(results)})
        return
    show.write("\n".join(_lines(sides, settings, common, other_errors, results)))


def _side(name: str, store: str | None) -> Side:
    if places.exists(name):
        opened = places.open_store(name)
        return Side(name, opened, {job: _plan(row) for job, row in places.stored_jobs(opened).items()})
    opened = places.open_store(store or places.only_store())
    rows = [row for row in opened.runs() if row.event == "start"]
    matches = [row for row in rows if row.run == name] or [row for row in rows if row.run.startswith(name)]
    if len(matches) != 1:
        problem = (
            f"several runs of {opened.url} begin with {name}" if matches else f"{name} is neither a store nor a run"
        )
        runs = ", ".join(row.run for row in (matches or rows)[-5:]) or "none"
        raise UsageError(f"{problem}; runs of {opened.url}: {runs} (--store names another store)")
    (row,) = matches
    return Side(f"{row.run} ({row.job})", opened, {row.job: _plan(row)})


def _plan(row: "RunRow") -> "Plan":
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.resolve import from_json

    return Plan.of(from_json(row.job_resolved))


def _settings(left: Side, right: Side) -> Iterator[str]:
    """Yield the differences of the tasks: of the jobs of one name, or of the only jobs, whatever their names."""
    from sweeper.plan.changes import changes

    left_plans, right_plans = dict(left.plans), dict(right.plans)
    if len(left_plans) == len(right_plans) == 1:
        right_plans = dict(zip(left_plans, right_plans.values(), strict=True))
    for name in (name for name in left_plans if name in right_plans):
        for group in changes(right_plans[name], left_plans[name]).new:
            yield f"{name}: {group.tasks} {group.kind}: {group.reason}"
        gone = len(set(left_plans[name].ids()) - set(right_plans[name].ids()))
        if gone:
            yield f"{name}: {gone} tasks only on the left"
    yield from (f"{name}: only on the left" for name in left_plans if name not in right_plans)
    yield from (f"{name}: only on the right" for name in right_plans if name not in left_plans)


def _other_errors(left: Side, right: Side) -> tuple[int, int]:
    """Return how many tasks that both sides have done differ in their test error, and how many both have done."""
    ids = sorted(set(left.task_ids) & set(right.task_ids))
    if not ids:
        return 0, 0
    query = "SELECT task, test_error FROM models UNION ALL SELECT task, test_error FROM stitches"
    columns = [side.store.sql(query, ids) for side in (left, right)]
    errors = [dict(zip(rows["task"].to_pylist(), rows["test_error"].to_pylist(), strict=True)) for rows in columns]
    common = errors[0].keys() & errors[1].keys()
    return sum(errors[0][task] != errors[1][task] for task in common), len(common)


def _lines(
    sides: tuple[Side, Side], settings: Sequence[str], common: int, other_errors: int, results: "TableDifference"
) -> Iterator[str]:
    yield f"left:  {sides[0].name}"
    yield f"right: {sides[1].name}"
    yield "tasks: " + ("those of the right differ from those of the left" if settings else "the same on both sides")
    yield from _first(settings)
    yield f"models and stitches done on both sides: {common}, of which {other_errors} have another test error"
    count = f"{len(results.different)} differ beyond their intervals"
    yield f"values with an interval in the tables of both sides: {results.compared}, of which {count}"
    yield from _first([str(value) for value in results.different])
    if results.only_left or results.only_right:
        yield f"rows of tables on one side only: {results.only_left} left, {results.only_right} right"
    if max(len(settings), len(results.different)) > MOST_LINES:
        yield f"all: sweeper diff {' '.join(shlex.quote(side.name.split(' ')[0]) for side in sides)} --json"


def _first(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        yield f"  and {len(lines) - MOST_LINES} more"
