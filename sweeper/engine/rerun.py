"""One task performed again in this process: without Ray, without retries, and with the error that it raises.

A debugger can stop in it, as in `python -m pdb -m sweeper rerun TASK --here`.
"""

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

from sweeper.errors import StoreUnreachableError
from sweeper.plan.pack import single_pack
from sweeper.plan.plan import Plan
from sweeper.plan.time_limit import TimeLimit
from sweeper.spec.job import resolve
from sweeper.spec.records.rows import Row, RunRow
from sweeper.store.store import Store

from .guard_process import print_line
from .outage import Outage, StoreLost, WaitingStore, begin_and_end
from .pack_scheduler import Order
from .work import PERFORMER, Performer, TaskOutcome, Work, load_object, new_run_name, with_data_folder

WORKER = "here"  # the name of this process in the names of parts


@dataclass(slots=True)
class Rerun:
    """The end of a task that was performed again."""

    row: Row | None = None  # its result or failure; None if it ended without either
    error: Exception | None = None  # what it raised, with its traceback


class _NothingKept:
    """A store for reading: what is committed to it is dropped."""

    def __init__(self, store: Store):
        self.get_weights = store.get_weights
        self.scratch = store.scratch

    def commit(self, rows: Iterable[Row], *, run: str, worker: str) -> list[str]:
        """Drop rows."""
        return []

    def put_weights(self, content: bytes) -> str:
        """Drop weights."""
        return ""


def perform_here(
    plan: Plan, task: str, store: Store, *, commit: bool, job_text: str = "", performer: str = PERFORMER
) -> Rerun:
    """Perform a task whose models are done, and return how it ended; what it raises is returned, not raised.

    Args:
        plan: The plan of a job that has the task.
        task: The id of the task.
        store: The store; the weights of the task's models are read from it.
        commit: True stores the result, or the failure, under the store's lease; False stores nothing.
        job_text: The text of the job file, which is stored with the run.
        performer: The `module:function` that performs a pack.

    Raises:
        StoreBusy: Another driver holds the store's lease.
        StoreUnreachableError: The store could not be reached for `engine.wait_for_store`.
    """
    outage = Outage(plan.sweep.engine.wait_for_store, begin_and_end(print_line))
    try:
        return _perform_and_keep(plan, task, store, outage, commit, job_text, performer)
    except StoreLost as error:
        raise StoreUnreachableError(str(error)) from None


def _perform_and_keep(
    plan: Plan, task: str, store: Store, outage: Outage, commit: bool, job_text: str, performer: str
) -> Rerun:
    """Do as `perform_here`.

    Raises:
        StoreLost: The store could not be reached for as long as it is waited for.
    """
    rerun = Rerun()
    run = new_run_name()
    waiting_store = WaitingStore(store if commit else _NothingKept(store), outage)
    weights = outage.wait_out(store.weights)
    with ExitStack() as stack:
        if commit:
            lease = store.lease()  # one object for all tries, which knows what an earlier one has written
            outage.wait_out(lambda: stack.enter_context(lease))
            waiting_store.commit([_run_row(run, plan, "start", job_text=job_text)], run=run, worker=WORKER)
        _perform(plan, task, waiting_store, run, performer, rerun, weights)
        if commit:
            done = int(bool(rerun.row) and rerun.row.kind != "failures")
            outcome = "complete" if done else "failed"
            waiting_store.commit([_run_row(run, plan, "end", outcome=outcome, done=done)], run=run, worker=WORKER)
    return rerun


def _perform(
    plan: Plan, task: str, store: WaitingStore, run: str, performer: str, rerun: Rerun, weights: dict[str, str]
) -> None:
    """Perform a task, and put its end into `rerun`."""
    pack = with_data_folder(single_pack(plan.task(task), weights), plan.sweep.data)
    perform = cast(Performer, load_object(performer))
    outcomes = perform(pack, store.get_weights, states=None, raise_errors=True, **plan.sweep.engine.numerics)
    order = Order(pack, attempt=0, final=True, time_limit=TimeLimit(float("inf"), ""))
    work = Work(order, _watched(outcomes, rerun), run=run, store=store)
    while not work.advance().over:
        pass


def _watched(outcomes: Iterator[TaskOutcome], rerun: Rerun) -> Iterator[TaskOutcome]:
    """Yield the outcomes of a pack, and keep the last row and the error."""
    try:
        for outcome in outcomes:
            rerun.row = list(outcome.rows)[-1]
            yield outcome
    except Exception as error:
        rerun.error = error
        raise


def _run_row(run: str, plan: Plan, event: str, *, outcome: str = "", done: int = 0, job_text: str = "") -> RunRow:
    """Return the start row or the end row of the run."""
    counts = plan.counts().values()
    is_start = event == "start"
    return RunRow(
        task=run,
        run=run,
        job=plan.sweep.name,
        event=event,
        outcome=outcome,
        host=socket.gethostname(),
        pid=os.getpid(),
        job_given=job_text if is_start else "",
        job_resolved=resolve.to_json(plan.sweep) if is_start else "",
        tasks=sum(count.tasks for count in counts),
        done_before=sum(count.done for count in counts),
        done=done,
        failed=0 if is_start else 1 - done,
    )
