"""The plans of a run: which tasks of its job the store lacks, and the scheduler of their packs."""

from contextlib import suppress
from functools import partial

from sweeper.errors import StoreError
from sweeper.plan.measured import correct, earlier_plans
from sweeper.plan.pack import only_tasks
from sweeper.plan.plan import Plan
from sweeper.spec.job.sweep import ResolvedSweep

from .driver_store import DriverStore
from .faults import Budgets
from .pack_scheduler import PackScheduler


class Planner:
    """The planner of a run.

    Args:
        sweep: The job.
        store: The store.
        only: The ids of the tasks to perform, even if they have failed for good; empty: all that are missing.
    """

    def __init__(self, sweep: ResolvedSweep, store: DriverStore, only: frozenset[str]):
        self._sweep, self._store, self._only = sweep, store, only
        self._done: set[str] = set()  # the ids of the tasks that the store had at the last plan

    def plan(self, retry_failed: bool = False) -> Plan:
        """Return the plan of the job with what the store has now.

        Args:
            retry_failed: True: tasks that have failed for good count as missing.
        """
        store = self._store.store
        self._done = self._store.wait_out(store.done)
        failed = frozenset() if retry_failed else self._store.wait_out(store.failed) - self._only
        return Plan.of(self._sweep, self._done, failed)

    def scheduler(self, plan: Plan) -> PackScheduler:
        """Return the scheduler of the packs that are missing in a plan."""
        plan = self._store.wait_out(partial(self._corrected, plan))
        engine = self._sweep.engine
        return PackScheduler(
            only_tasks(plan.packs(), self._only) if self._only else plan.packs(),
            models=[model.id for model, done in zip(plan.models, plan.model_done, strict=True) if done],
            tasks=task_count(plan),
            done=done_count(plan),
            weights=self._store.wait_out(self._store.store.weights),
            budgets=Budgets(engine.retries),
            timeout=engine.timeout,
            measured=plan.corrections.tasks > 0,
            stop_after_failures=engine.stop_after_failures,
            stop_at_failed_share=engine.stop_at_failed_share,
        )

    def is_complete(self, plan: Plan) -> bool:
        """Return True if every task that the run is to perform is done."""
        not_done = plan.missing | plan.failed
        return not (not_done & self._only if self._only else not_done)

    def clean_scratch(self) -> None:
        """Delete the saved states of finished tasks."""
        with suppress(StoreError):  # the next run tries again
            self._store.store.scratch.clean(self._done)

    def _corrected(self, plan: Plan) -> Plan:
        """Return a plan whose estimates are corrected by the times of done tasks, of this job or an earlier one."""
        store = self._store.store
        jobs = (row.job_resolved for row in reversed(store.runs()) if row.event == "start")
        return correct(plan, store.times, earlier_plans(jobs, self._done))


def task_count(plan: Plan) -> int:
    """Return the number of tasks of a job."""
    return sum(count.tasks for count in plan.counts().values())


def done_count(plan: Plan) -> int:
    """Return the number of tasks of a job that are done."""
    return sum(count.done for count in plan.counts().values())
