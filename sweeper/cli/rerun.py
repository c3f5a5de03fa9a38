"""The command `rerun`, which performs one task again."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.errors import UsageError, show_in_full
from sweeper.files import check_cache_folder

from . import places, show, sweep, tasks

if TYPE_CHECKING:
    from sweeper.engine.interrupt import Interrupt
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.sweep import ResolvedSweep
    from sweeper.store.store import Store


@dataclass(frozen=True, slots=True)
class Request:
    """The task that is performed again, and the settings that it is performed with."""

    task: str  # an id or its first digits
    overrides: Sequence[str]
    store: str | None
    job: str | None
    trust: bool


@dataclass(frozen=True, slots=True)
class _Target:
    """The task of a request, with its store and its job."""

    id: str
    store: "Store"
    sweep: "ResolvedSweep"
    plan: "Plan"
    job_text: str


def rerun_in_a_run(request: Request, wait: bool, no_commit: bool, *, interrupt: "Interrupt | None" = None) -> int:
    """Perform a task in a run of its own, and return the exit code: 0 if it is done, 3 if it failed.

    Raises:
        UsageError: The task is unknown or done, or needs a model that is not done.
    """
    if no_commit:
        raise UsageError("--no-commit needs --here: only a task in this process can be performed without storing it")
    check_cache_folder()
    target = _find(request)
    _refuse_done(target)
    from sweeper.engine.run import run_resolved  # deferred: importing Ray takes seconds

    summary = run_resolved(
        target.sweep,
        target.store,
        job_text=target.job_text,
        wait=wait,
        only=frozenset([target.id]),
        interrupt=interrupt,
        on_progress=lambda status: None,
    )
    if summary.outcome != "failed":
        show.say(f"{target.id}: {'done' if summary.outcome == 'complete' else summary.outcome}")
        return sweep.EXIT_CODES[summary.outcome]
    for failure in target.store.sql(f"FROM failures WHERE task = '{target.id}'").to_pylist():
        show.say(failure["traceback"] or f"{failure['error']}: {failure['message']}")
    show.say(f"{target.id}: failed; `{_here_command(target, request)}` performs it in this process")
    return sweep.EXIT_CODES[summary.outcome]


def rerun_here(request: Request, commit: bool) -> int:
    """Perform a task in this process, and return the exit code: 0 if it succeeds, 3 if it fails without an exception.

    Raises:
        UsageError: As `rerun_in_a_run`; a task that is done is performed only without `commit`.
        Exception: What the task raised, as it is.
    """
    from sweeper.engine.rerun import perform_here

    check_cache_folder()
    target = _find(request)
    if commit:
        _refuse_done(target)
    result = perform_here(target.plan, target.id, target.store, commit=commit, job_text=target.job_text)
    if result.error:
        debugger = f"python -m pdb -m {_here_command(target, request)}"
        result.error.add_note(f"task {target.id} raised this; `{debugger}` stops where it was raised")
        show_in_full(result.error)
        raise result.error
    row: Any = result.row
    kept = "stored" if commit else "not stored"
    if row is None or row.kind == "failures":
        show.say(f"{target.id}: failed ({kept}): {row.error}: {row.message}" if row else f"{target.id}: no result")
        return sweep.EXIT_CODES["failed"]
    show.say(f"{target.id}: done in {row.seconds:.1f} s ({kept})")
    return 0


def _find(request: Request) -> _Target:
    """Return the task of a request.

    Raises:
        UsageError: No task of a job, or several, are named so; or it needs a model that is not done.
    """
    from sweeper.plan.plan import Plan

    with places.opened(request.store) as store:
        task = tasks.find_task(store, request.task, request.job)
        if task.plan is None or task.start_row is None:
            raise UsageError(f"no job of {store.url} names task {task.id} now, so its specification is not known")
        _check_models(task.plan, task.id)
        job = sweep.stored_sweep(task.start_row, request.overrides, request.trust)
        plan = Plan.of(job, store.done())
    return _Target(task.id, store, job, plan, task.start_row.job_given)


def _check_models(plan: "Plan", id: str) -> None:
    from sweeper.plan.explain import task

    open_models = [model["task"] for model in task(plan, id)["inputs"] if not model["done"]]
    if open_models:
        raise UsageError(
            f"task {id} needs the model {open_models[0]}, which is not done; "
            f"`sweeper rerun {open_models[0]}` or `sweeper resume` makes it"
        )


def _refuse_done(target: _Target) -> None:
    if target.id not in target.plan.missing:
        raise UsageError(
            f"task {target.id} is done, and a result is never replaced; "
            f"`sweeper rerun {target.id} --here --no-commit` performs it without storing the result"
        )


def _here_command(target: _Target, request: Request) -> str:
    trust = " --trust" if request.trust else ""
    return f"sweeper rerun {target.id} --here --store {shlex.quote(target.store.url)}{trust}"
