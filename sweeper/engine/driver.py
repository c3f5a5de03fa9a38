"""The driver of a run: it plans, starts Ray, runs fits, and records how the run ended.

When no pack is left, it makes a new plan of the tasks that the store lacks. Resuming an interrupted sweep works the
same way.
"""

import time
from contextlib import ExitStack, suppress
from functools import partial

from sweeper.errors import ClusterLostError, StoreError, StoreUnreachableError
from sweeper.plan.plan import Plan
from sweeper.spec.job import resolve
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.store.failure_causes import failure_causes

from . import cluster, progress, ray_processes
from .dispatch import Dispatch, Settings
from .driver_store import DriverStore
from .fits import Fits
from .interrupt import Interrupt, RayLost, rerun_command
from .metrics import Metrics
from .pack_scheduler import PackScheduler
from .planner import Planner, done_count, task_count
from .progress import Display
from .publisher import Publisher
from .status_reporter import StatusReporter
from .summary import Summary
from .upload_weights import upload_weights, verify_networks, verify_stitchers
from .worker_pool import WorkerPool

# The number of plans in one run. A second plan is needed if the store lacks tasks that were reported as done, or the
# weights of models, because files were lost or damaged.
MAX_PLANS = 3


class Driver:
    """The driver of one run.

    Args:
        store: The store, as a driver uses it.
        sweep: The job.
        interrupt: Of the run.
        performer: The `module:function` that workers call to perform a pack.
        only: The ids of the tasks to perform; empty: all that are missing.
    """

    def __init__(
        self, store: DriverStore, sweep: ResolvedSweep, interrupt: Interrupt, performer: str, only: frozenset[str]
    ):
        self._store, self._sweep, self._interrupt, self._performer = store, sweep, interrupt, performer
        self._planner = Planner(sweep, store, only)
        self._start_time = time.monotonic()
        self._message = ""
        self._failed_tasks: set[str] = set()  # in this run
        self._blocked = 0

    def perform(self, job_text: str, on_progress: Display | None, retry_failed: bool) -> Summary:
        """Perform the missing tasks between the start row and the end row of the run."""
        plan = self._planner.plan(retry_failed)
        if plan.missing:
            resolve.check_data(self._sweep)
        verify_stitchers(plan)
        verify_networks(plan)
        upload_weights(plan, self._store.store)
        tasks, done_before = task_count(plan), done_count(plan)
        self._store.record_start(job_text, tasks, done_before)
        with ExitStack() as stack:
            try:
                scheduler = self._planner.scheduler(plan)
                self._blocked = len(scheduler.frontier.blocked)
                if not scheduler.stuck:
                    show = on_progress or stack.enter_context(progress.display(cluster.start_text(self._sweep.engine)))
                    plan = self._run_plans(scheduler, show, stack)
                if not self._interrupt.end_requested:  # an interrupted run leaves saved states to the next one
                    self._planner.clean_scratch()
            except BaseException as error:
                return self._end_after(error, tasks, done_before)
            return self._end(plan, tasks, done_before)

    def _run_plans(self, scheduler: PackScheduler, show: Display, stack: ExitStack) -> Plan:
        """Run fits until the store has every task that the scheduler counts as done; return the plan after that.

        Ray stays up until `stack` is closed, so that the end of the run is recorded before Ray's slow shutdown.
        """
        engine = self._sweep.engine
        self._interrupt.tell_guard(start_seconds=cluster.start_seconds(engine))
        stack.enter_context(cluster.cluster(engine))
        self._interrupt.arm()
        self._interrupt.tell_guard(start_seconds=0.0, **ray_processes.find())
        stack.callback(self._interrupt.tell_guard, gcs="")
        publisher = stack.enter_context(Publisher(self._store.store, self._store.run))
        reporter = StatusReporter(
            show, publisher.show, Metrics(self._sweep.name).show, driver_waits=self._store.outage_of_heartbeats
        )
        self._interrupt.let_tasks_end()
        with cluster.workers(engine) as pool:
            fits = self._fits(pool, reporter)
            for _ in range(MAX_PLANS):
                try:
                    fits.run(scheduler)
                finally:
                    self._take_failures(scheduler)
                for digest in scheduler.lost_weights:
                    self._store.wait_out(partial(self._store.store.set_aside_weights, digest))
                plan = self._planner.plan()
                is_lacking = scheduler.lost_weights or plan.missing & scheduler.frontier.done
                if self._interrupt.end_requested or scheduler.stops or not is_lacking:
                    return plan
                self._store.wait_out(partial(upload_weights, plan, self._store.store))
                scheduler = self._planner.scheduler(plan)
        self._message = "results or weights that were in the store are no longer in it; check its disk or bucket"
        return self._planner.plan()

    def _fits(self, pool: WorkerPool, reporter: StatusReporter) -> Fits:
        def on_step(scheduler: PackScheduler, dispatch: Dispatch) -> None:
            """Show the progress, ask for workers, store failures, check the lease."""
            counts = scheduler.frontier.counts()
            pool.want(counts.ready + counts.running)
            reporter.report(scheduler, pool, dispatch)
            self._store.record_failures_now_and_then(scheduler)
            self._store.check_lease()

        def on_end(scheduler: PackScheduler) -> None:
            self._store.wait_out(lambda: self._store.record_failures(scheduler))

        return Fits(self._settings(), self._interrupt, pool, on_step, on_end)

    def _settings(self) -> Settings:
        engine = self._sweep.engine
        return Settings(
            run=self._store.run,
            store=self._store.store.url,
            opener=self._store.opener,
            performer=self._performer,
            numerics=engine.numerics,
            data=self._sweep.data,
            engine=engine,
        )

    def _take_failures(self, scheduler: PackScheduler) -> None:
        """Take over from a scheduler what the result of the run says of failures."""
        self._failed_tasks.update(scheduler.frontier.failed)
        self._blocked = len(scheduler.frontier.blocked)
        command = rerun_command(self._store.store.url, trust=bool(self._sweep.code))
        stops = [stop.text(not_started, command) for stop, not_started in scheduler.stops]
        if self._store.is_taken_over:
            self._message = "another driver took over the store, so this run stopped"
        self._message = "\n".join(filter(None, [self._message, *stops]))

    def _end_after(self, error: BaseException, tasks: int, done_before: int) -> Summary:
        """Record the end of a run that an exception ended, and return its result after a first signal.

        Raises:
            ClusterLostError: Ray was lost.
            BaseException: Any other exception, as it is.
        """
        if isinstance(error, KeyboardInterrupt):  # perhaps of Ray's own handler, which it has while it starts
            self._interrupt.request_end()
        if isinstance(error, StoreUnreachableError):
            self._interrupt.request_end()  # so that it isn't waited for again
        with suppress(StoreError):  # the exception says what is wrong
            summary = self._end(self._planner.plan(), tasks, done_before)
            if isinstance(error, KeyboardInterrupt) and self._interrupt.signals <= 1:
                return summary
        if isinstance(error, RayLost):
            command = self._store.resume_command
            raise ClusterLostError(f"{error}; finished tasks are kept; `{command}` continues") from None
        raise error

    def _end(self, plan: Plan, tasks: int, done_before: int) -> Summary:
        """Record the end of the run, and return its result."""
        done = done_count(plan) - done_before
        is_complete = self._planner.is_complete(plan)
        outcome = "complete" if is_complete else "interrupted" if self._interrupt.end_requested else "failed"
        failed = len(self._failed_tasks & (plan.missing | plan.failed))
        self._store.record_end(outcome, tasks=tasks, done_before=done_before, done=done, failed=failed)
        seconds = time.monotonic() - self._start_time
        return Summary(
            self._store.run,
            outcome,
            tasks,
            done_before,
            done,
            failed,
            self._blocked,
            seconds,
            self._message,
            failed_before=len(plan.failed - self._failed_tasks),
            failures=self._store.wait_out(partial(failure_causes, self._store.store, plan.failed)),
        )
