"""The task that a command works on, named by its id or the first digits of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import UsageError

from . import places, show

if TYPE_CHECKING:
    from sweeper.plan.plan import Plan
    from sweeper.spec.records.rows import RunRow
    from sweeper.store.store import Store

MOST_LISTED = 20
ID_DIGITS = 32


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task of a store. `plan` and `start_row` are of the latest job that has it; None if no job has it now."""

    id: str
    plan: "Plan | None"
    start_row: "RunRow | None"


def parse_prefix(text: str) -> str:
    """Return the digits in the text by which a user names a task, which may have quotes around it.

    Raises:
        UsageError: The text is not the beginning of an id.
    """
    prefix = text.strip().strip("'\"`").strip().rstrip(".…").lower()
    if not is_prefix(prefix):
        raise UsageError(f"{text!r} is not a task id; give the {ID_DIGITS} hexadecimal digits of one, or its first few")
    return prefix


def is_prefix(text: str) -> bool:
    """Return True if a text may be the beginning of an id."""
    return 0 < len(text) <= ID_DIGITS and not set(text) - set("0123456789abcdef")


def is_job(text: str) -> bool:
    """Return True if a text names a job, by a file or by the name of a job that comes with Sweeper."""
    from sweeper.resources import job

    if Path(text).suffix in (".yaml", ".yml"):
        return True
    try:
        job(text)
    except UsageError:
        return False
    return not is_prefix(text)


def find_task(store: "Store", text: str, job: str | None = None) -> StoredTask:
    """Return the task that a text names; if several tasks begin with it, list them on stdout.

    Args:
        store: The store.
        text: An id, or its first digits.
        job: The name of a job of the store, which must have the task; None for any, and for tasks of earlier jobs.

    Raises:
        UsageError: No task or several tasks have such an id.
    """
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.resolve import from_json

    prefix = parse_prefix(text)
    rows = [places.stored_job(store, job)] if job else list(places.stored_jobs(store).values())
    done, failed = store.done(), store.failed()
    tasks: dict[str, StoredTask] = {}
    for row in rows:
        plan = Plan.of(from_json(row.job_resolved), done, failed)
        tasks.update((id, StoredTask(id, plan, row)) for id in plan.ids_that_begin_with(prefix))
    if not job:
        tasks = {id: StoredTask(id, None, None) for id in _stored_ids(store, prefix)} | tasks
    if len(tasks) == 1:
        return next(iter(tasks.values()))
    if not tasks:
        raise UsageError(f"no task of the jobs in {store.url} has an id that begins with {prefix}")
    _list(tasks.values())
    raise UsageError(f"{len(tasks)} ids begin with {prefix}; give more digits")


def _stored_ids(store: "Store", prefix: str) -> list[str]:
    """Return the ids with a prefix of the tasks that the store has rows of, whatever job they were of."""
    rows = store.sql(f"SELECT DISTINCT task FROM attempts WHERE starts_with(task, '{prefix}')")
    return rows["task"].to_pylist()


def _list(tasks: Iterable[StoredTask]) -> None:
    """Print one line for each task: its id, kind, state and job."""
    listed = sorted(tasks, key=lambda task: task.id)
    show.write("\n".join(map(_line, listed[:MOST_LISTED])))
    if len(listed) > MOST_LISTED:
        show.write(f"... and {len(listed) - MOST_LISTED} more")


def _line(task: StoredTask) -> str:
    if task.plan is None or task.start_row is None:
        return f"{task.id}  of no job now"
    from sweeper.plan.explain import state

    planned = task.plan.task(task.id)
    return f"{task.id}  {type(planned).__name__.lower():<11}  {state(task.plan, task.id):<7}  {task.start_row.job}"
