"""A run of a sweep: it performs the tasks that the store lacks, until all have ended or the user interrupts.

A run is a loop around Tune's `fit`. A fit ends when no pack is left, after 5000 packs (because Tune's memory grows with
each), or when Ray raises an error. The next fit continues with the same frontier. When no pack is left, the run makes a
new plan of the tasks that the store lacks. Resuming an interrupted sweep works the same way.
"""

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ray import tune

from sweeper.errors import ClusterLostError, StoreError, StoreUnreachableError
from sweeper.plan.duration import duration
from sweeper.plan.measured import correct, earlier_plans
from sweeper.plan.pack import only_tasks
from sweeper.plan.plan import Plan
from sweeper.spec.job import resolve
from sweeper.spec.job.check import resolve_and_check
from sweeper.spec.job.sweep import ResolvedSweep, Sweep
from sweeper.spec.records.rows import FailureRow, RunRow
from sweeper.spec.records.task import Pack
from sweeper.store.failure_causes import FailureCause, failure_causes
from sweeper.store.lease import Lease
from sweeper.store.store import Store

from . import cluster, progress, ray_processes
from .compaction import Compaction
from .dispatch import Dispatch, Settings
from .faults import Budgets
from .guard_process import print_line
from .interrupt import Interrupt, Overdue, RayLost, rerun_command, resume_command
from .metrics import Metrics
from .outage import Outage
from .pack_scheduler import PackScheduler
from .placement import Shape, possible_shapes
from .progress import Display, Status
from .publisher import Publisher
from .searcher import PackCallback, PackSearcher, handle_tune_error
from .status_reporter import StatusReporter
from .upload_weights import upload_weights, verify_networks, verify_stitchers
from .work import PERFORMER, new_run_name, provenance
from .worker import Worker
from .worker_keeper import WorkerKeeper
from .worker_pool import WorkerPool

# The number of packs of one fit. Each trial costs Tune's driver 42 KB of memory and 11 KB of state that it rewrites.
PACKS_PER_FIT = 5000
# The number of errors that Tune may raise before a run stops. Each kill by Ray's memory monitor is such an error, and
# isolating one task in a pack of a thousand takes about ten of them.
MAX_TUNE_ERRORS = 30
# The number of plans in one run. A second plan is needed if the store lacks tasks that were reported as done, or the
# weights of models, because files were lost or damaged.
MAX_PLANS = 3
# Seconds between two looks at the nodes while no worker fits on them.
WAIT_SECONDS = 0.1
# Seconds between two commits of failures that the driver records.
STORE_SECONDS = 10.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a run. `outcome` is "complete", "failed" (not all tasks of the job are done) or "interrupted"."""

    run: str
    outcome: str
    tasks: int  # of the whole job
    done_before: int  # done before this run
    done: int  # done by this run
    failed: int  # in this run
    blocked: int  # they need a model that failed, in this run or before
    seconds: float  # duration of the run
    message: str = ""  # why the run stopped early, if it did
    failed_before: int = 0  # failed for good in earlier runs, so this run did not try them
    failures: tuple[FailureCause, ...] = ()  # causes of the tasks that have failed for good, in this run or before


def run(
    sweep: Sweep,
    store: Store,
    *,
    job_text: str = "",
    wait: bool = False,
    take_over: bool = False,
    on_progress: Callable[[Status], None] | None = None,
    performer: str = PERFORMER,
    retry_failed: bool = False,
) -> Summary:
    """Perform the tasks of a sweep that the store lacks, and return how the run ended.

    A task that has failed for good, in this run or an earlier one, is not tried again unless `retry_failed` is True.

    The first SIGINT, SIGTERM or SIGHUP lets running tasks end (for ten seconds), a second SIGINT or SIGTERM raises
    KeyboardInterrupt. Before the first task starts, the first signal raises KeyboardInterrupt, or ends the run if its
    start is recorded. A process that hangs in a call of Ray is killed some seconds later.

    Args:
        sweep: The job.
        store: The store that results are committed to.
        job_text: The text of the job file, which is stored with the run.
        wait: True waits while another driver holds the store's lease; False raises StoreBusy.
        take_over: True replaces a driver on another machine, which is known to be dead, at once.
        on_progress: Called with the status about ten times a second, in place of the progress line on stderr.
        performer: The `module:function` that workers call to perform a pack.
        retry_failed: True tries the tasks again that have failed for good.

    Raises:
        JobError: The sweep has mistakes; all of them are listed, and nothing has started.
        StoreBusy: Another driver holds the store's lease.
        ClusterLostError: Ray has died.
        SweeperError: Something else is wrong that a user can correct.
    """
    resolved = resolve_and_check(sweep)
    return run_resolved(
        resolved,
        store,
        job_text=job_text,
        wait=wait,
        take_over=take_over,
        on_progress=on_progress,
        performer=performer,
        retry_failed=retry_failed,
    )


def run_resolved(
    sweep: ResolvedSweep,
    store: Store,
    *,
    job_text: str = "",
    wait: bool = False,
    take_over: bool = False,
    on_progress: Callable[[Status], None] | None = None,
    performer: str = PERFORMER,
    retry_failed: bool = False,
    only: frozenset[str] = frozenset(),
    interrupt: Interrupt | None = None,
) -> Summary:
    """Perform a job that `load` has resolved and checked.

    `interrupt` is the context of a caller that has entered it, and `only` has the ids of the tasks that are performed,
    if not all that are missing are, even if they have failed for good; the other arguments and the errors are those of
    `run`.
    """
    name = new_run_name()
    with ExitStack() as stack:
        interrupt = interrupt or stack.enter_context(Interrupt())
        interrupt.end_at_once()
        cluster.check_setup(sweep.engine)
        lease = stack.enter_context(store.lease(wait=wait, take_over=take_over))
        if lease.takeover:
            print_line(lease.takeover)
        store.set_aside()
        stack.enter_context(Compaction(store, lease.is_held, lambda: interrupt.end_requested))
        single_run = _Run(name, sweep, store, lease, interrupt, performer, only)
        return single_run.perform(job_text, on_progress, retry_failed)


class _Run:
    """The state of a run, across fits."""

    def __init__(
        self,
        name: str,
        sweep: ResolvedSweep,
        store: Store,
        lease: Lease,
        interrupt: Interrupt,
        performer: str,
        only: frozenset[str],
    ):
        self._only = only  # the tasks to perform; empty: all that are missing
        self._name, self._sweep, self._store, self._lease = name, sweep, store, lease
        self._interrupt, self._performer = interrupt, performer
        self._start_time = time.monotonic()
        self._message = ""
        self._done: set[str] = set()  # the ids of the tasks that the store has
        self._failed_tasks: set[str] = set()  # in this run
        self._blocked = 0
        self._failure_rows: list[FailureRow] = []  # of tasks whose worker could not store them
        self._failures_stored_at = self._start_time
        self._is_waiting = False  # for the store, outside of fits
        self._outage = Outage(sweep.engine.wait_for_store, self._say_outage, self._may_wait)

    def perform(self, job_text: str, on_progress: Display | None, retry_failed: bool) -> Summary:
        """Perform the missing tasks between the start row and the end row of the run."""
        plan = self._plan(retry_failed)
        if plan.missing:
            resolve.check_data(self._sweep)
        verify_stitchers(plan)
        verify_networks(plan)
        upload_weights(plan, self._store)
        tasks, done_before = _total(plan), _done(plan)
        self._record_start(plan, job_text, tasks, done_before)
        with ExitStack() as stack:
            try:
                scheduler = self._scheduler(plan)
                self._blocked = len(scheduler.frontier.blocked)
                if not scheduler.stuck:
                    show = on_progress or stack.enter_context(progress.display(cluster.start_text(self._sweep.engine)))
                    plan = self._run_plans(scheduler, show, stack)
                self._clean_scratch()
            except BaseException as error:
                return self._end_after(error, tasks, done_before)
            return self._end(plan, tasks, done_before)

    def _record_start(self, plan: Plan, job_text: str, tasks: int, done_before: int) -> None:
        """Record the start of the run, and give the guard what it needs to record the end."""
        job_fields = {"job_given": job_text, "job_resolved": resolve.to_json(self._sweep)}
        self._record("start", tasks=tasks, done_before=done_before, **job_fields)
        row = self._row_fields() | {"job_given": "", "job_resolved": "", "tasks": tasks, "done_before": done_before}
        self._interrupt.record_start(row, self._store.url, _class_path(self._store), self._command)

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
            summary = self._end(self._plan(), tasks, done_before)
            if isinstance(error, KeyboardInterrupt) and self._interrupt.signals <= 1:
                return summary
        if isinstance(error, RayLost):
            raise ClusterLostError(f"{error}; finished tasks are kept; `{self._command}` continues") from None
        raise error

    def _end(self, plan: Plan, tasks: int, done_before: int) -> Summary:
        """Record the end of the run, and return its result."""
        done = _done(plan) - done_before
        not_done = plan.missing | plan.failed
        is_complete = not (not_done & self._only if self._only else not_done)
        outcome = "complete" if is_complete else "interrupted" if self._interrupt.end_requested else "failed"
        failed = len(self._failed_tasks & not_done)
        self._record("end", outcome=outcome, tasks=tasks, done_before=done_before, done=done, failed=failed)
        self._interrupt.record_end()
        seconds = time.monotonic() - self._start_time
        return Summary(
            self._name,
            outcome,
            tasks,
            done_before,
            done,
            failed,
            self._blocked,
            seconds,
            self._message,
            failed_before=len(plan.failed - self._failed_tasks),
            failures=self._wait_out(lambda: failure_causes(self._store, plan.failed)),
        )

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
        publisher = stack.enter_context(Publisher(self._store, self._name))
        reporter = StatusReporter(
            show, publisher.show, Metrics(self._sweep.name).show, driver_waits=self._outage_of_heartbeats
        )
        self._interrupt.let_tasks_end()
        with cluster.workers(engine) as pool:
            for _ in range(MAX_PLANS):
                try:
                    self._run_fits(scheduler, pool, reporter)
                finally:
                    self._failed_tasks.update(scheduler.frontier.failed)
                    self._blocked = len(scheduler.frontier.blocked)
                    command = rerun_command(self._store.url, trust=bool(self._sweep.code))
                    stops = [stop.text(not_started, command) for stop, not_started in scheduler.stops]
                    self._message = "\n".join(filter(None, [self._message, *stops]))
                for digest in scheduler.lost_weights:
                    self._wait_out(partial(self._store.set_aside_weights, digest))
                plan = self._plan()
                is_lacking = scheduler.lost_weights or plan.missing & scheduler.frontier.done
                if self._interrupt.end_requested or scheduler.stops or not is_lacking:
                    return plan
                self._wait_out(partial(upload_weights, plan, self._store))
                scheduler = self._scheduler(plan)
        self._message = "results or weights that were in the store are no longer in it; check its disk or bucket"
        return self._plan()

    def _plan(self, retry_failed: bool = False) -> Plan:
        self._done = self._wait_out(self._store.done)
        failed = frozenset() if retry_failed else self._wait_out(self._store.failed) - self._only
        return Plan.of(self._sweep, self._done, failed)

    def _clean_scratch(self) -> None:
        """Delete the saved states of finished tasks; an interrupted run leaves them to the next one."""
        if not self._interrupt.end_requested:
            with suppress(StoreError):  # the next run tries again
                self._store.scratch.clean(self._done)

    def _packs(self, plan: Plan) -> Iterable[Pack]:
        return only_tasks(plan.packs(), self._only) if self._only else plan.packs()

    def _corrected(self, plan: Plan) -> Plan:
        """Return a plan whose estimates are corrected by the times of done tasks, of this job or an earlier one."""
        jobs = (row.job_resolved for row in reversed(self._store.runs()) if row.event == "start")
        return correct(plan, self._store.times, earlier_plans(jobs, self._done))

    def _scheduler(self, plan: Plan) -> PackScheduler:
        plan = self._wait_out(partial(self._corrected, plan))
        return PackScheduler(
            self._packs(plan),
            models=[model.id for model, done in zip(plan.models, plan.model_done, strict=True) if done],
            tasks=_total(plan),
            done=_done(plan),
            weights=self._wait_out(self._store.weights),
            budgets=Budgets(self._sweep.engine.retries),
            timeout=self._sweep.engine.timeout,
            measured=plan.corrections.tasks > 0,
            stop_after_failures=self._sweep.engine.stop_after_failures,
            stop_at_failed_share=self._sweep.engine.stop_at_failed_share,
        )

    def _run_fits(self, scheduler: PackScheduler, pool: WorkerPool, reporter: StatusReporter) -> None:
        """Run one fit after the other until the scheduler has no more packs to send out."""
        tune_errors = 0
        while not (scheduler.over or scheduler.stuck or self._interrupt.end_requested):
            if not any(pool.slots.values()):
                self._step(scheduler, pool, reporter, None)
                self._interrupt.raise_if_lost()
                time.sleep(WAIT_SECONDS)
                continue
            dispatch = Dispatch(self._settings(), self._interrupt.raise_if_lost, self._interrupt.raise_if_ending)
            try:
                self._run_fit(scheduler, dispatch, pool, reporter)
            except Overdue:
                pass  # the running tasks end when their workers are killed
            except Exception as error:
                if pool.starved():
                    continue
                handle_tune_error(scheduler, dispatch, error)
                tune_errors += 1
                if tune_errors > MAX_TUNE_ERRORS:
                    raise
            finally:
                dispatch.close()
                pool.release_all()
                scheduler.recall()
                self._wait_out(lambda: self._store_failures(scheduler))

    def _step(
        self, scheduler: PackScheduler, pool: WorkerPool, reporter: StatusReporter, dispatch: Dispatch | None
    ) -> None:
        """Do what a run does several times a second: show the progress, ask for workers, check the lease."""
        counts = scheduler.frontier.counts()
        pool.want(counts.ready + counts.running)
        reporter.report(scheduler, pool, dispatch)
        self._store_failures_now_and_then(scheduler)
        self._check_lease()

    def _run_fit(
        self, scheduler: PackScheduler, dispatch: Dispatch, pool: WorkerPool, reporter: StatusReporter
    ) -> None:
        on_step = partial(self._step, scheduler, pool, reporter, dispatch)
        requests = {shape.name: _request(shape) for shape in possible_shapes(self._sweep.engine)}

        with tempfile.TemporaryDirectory(prefix="sweeper-", ignore_cleanup_errors=True) as scratch:
            tune.Tuner(
                tune.with_resources(Worker, lambda config: requests[config["shape"]]),
                param_space={"dispatch": dispatch.name},
                tune_config=tune.TuneConfig(
                    search_alg=PackSearcher(scheduler, dispatch, self._interrupt, pool, PACKS_PER_FIT),
                    scheduler=WorkerKeeper(scheduler, pool),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_name_creator=lambda trial: trial.trial_id,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    name="fit",
                    storage_path=str(Path(scratch).absolute()),
                    callbacks=[PackCallback(scheduler, dispatch, self._interrupt, pool, on_step)],
                    failure_config=tune.FailureConfig(max_failures=0),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False, checkpoint_frequency=0),
                    verbose=0,
                ),
            ).fit()

    def _settings(self) -> Settings:
        engine = self._sweep.engine
        return Settings(
            run=self._name,
            store=self._store.url,
            opener=_class_path(self._store),
            performer=self._performer,
            numerics=engine.numerics,
            data=self._sweep.data,
            engine=engine,
        )

    def _store_failures_now_and_then(self, scheduler: PackScheduler) -> None:
        """Commit the failures that the driver knows of, so that they are recorded even if it is killed."""
        if self._lease.unreached is None and time.monotonic() - self._failures_stored_at >= STORE_SECONDS:
            self._failures_stored_at = time.monotonic()
            with suppress(StoreError):  # tried again, at the latest at the end of the fit
                self._store_failures(scheduler)

    def _check_lease(self) -> None:
        """Request the end of the run if another driver took over the lease, or if the store is out of reach for long.

        The heartbeats have found that: the one of a process that was suspended comes at once when it goes on. Nothing
        is looked up here, so that a store that doesn't answer doesn't hold the driver up.
        """
        if self._interrupt.end_requested:
            return
        unreached = self._lease.unreached
        if self._lease.is_lost:
            self._message = "another driver took over the store, so this run stopped"
            self._interrupt.request_end()
        elif unreached and time.monotonic() - unreached.since > self._sweep.engine.wait_for_store:
            self._interrupt.request_end()  # what then asks the store says why

    def _outage_of_heartbeats(self) -> str:
        """Return what the driver waits for while its heartbeats don't reach the store; "" otherwise."""
        unreached = self._lease.unreached
        limit = duration(self._sweep.engine.wait_for_store)
        return f"waiting for the store, for up to {limit}: {unreached.error}" if unreached else ""

    def _say_outage(self, text: str) -> None:
        """Print the beginning and the end of an outage that the driver itself waits out."""
        if bool(text) != self._is_waiting:
            self._is_waiting = bool(text)
            print_line(text or "the wait for the store is over")

    def _may_wait(self) -> bool:
        self._interrupt.raise_if_lost()
        return not self._interrupt.end_requested

    def _wait_out(self, call: Callable[[], T]) -> T:
        """Return the result of a call of the store; an outage is waited out.

        Raises:
            StoreUnreachableError: The store can't be reached for `engine.wait_for_store`, or the run must end.
        """
        try:
            return self._outage.wait_out(call)
        except StoreUnreachableError as error:
            raise StoreUnreachableError(f"{error}; finished tasks are kept; `{self._command}` continues") from None

    def _store_failures(self, scheduler: PackScheduler) -> None:
        """Commit the failures of tasks whose worker ended before it could commit them."""
        self._failure_rows += [replace(row, run=self._name, **provenance()) for row in scheduler.unrecorded()]
        if self._failure_rows:
            self._store.commit(self._failure_rows, run=self._name, worker="driver")
            self._failure_rows = []

    def _record(self, event: str, **fields: Any) -> None:
        defaults = {"outcome": "", "job_given": "", "job_resolved": "", "done": 0, "failed": 0}
        row = RunRow(event=event, **(self._row_fields() | defaults | fields))
        self._wait_out(lambda: self._store.commit([row], run=self._name, worker="driver"))

    def _row_fields(self) -> dict[str, Any]:
        """Return the fields that the start row and the end row of the run share."""
        names = {"task": self._name, "run": self._name, "job": self._sweep.name}
        return names | {"host": socket.gethostname(), "pid": os.getpid()}

    @property
    def _command(self) -> str:
        """The command that continues the run."""
        return resume_command(self._store.url, self._sweep.name, trust=bool(self._sweep.code))


def _class_path(store: Store) -> str:
    return f"{type(store).__module__}:{type(store).__qualname__}"


def _request(shape: Shape) -> tune.PlacementGroupFactory:
    """Return Tune's request for a worker of a shape."""
    if not shape.selector:
        return tune.PlacementGroupFactory([shape.bundle])
    return tune.PlacementGroupFactory([shape.bundle], bundle_label_selector=[dict(shape.selector)])


def _total(plan: Plan) -> int:
    return sum(count.tasks for count in plan.counts().values())


def _done(plan: Plan) -> int:
    return sum(count.done for count in plan.counts().values())
