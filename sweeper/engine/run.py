"""`run`: performs a sweep until nothing is missing, a retry budget is spent, or the user interrupts.

A run is a loop around Tune's `fit`. A fit ends when the frontier is done, after some thousand packs (Tune's memory
grows with each), and when Ray raises an error out of it; then the next fit continues with the same frontier. After the
frontier is done, the tasks that the store has are subtracted from the plan again. So resume, retry and rotation are one
mechanism: plan minus store.
"""

import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ray import tune

from sweeper.errors import JobError, StoreError
from sweeper.plan.plan import Plan
from sweeper.spec.job import resolve
from sweeper.spec.job.check import check
from sweeper.spec.job.sweep import ResolvedSweep, Sweep
from sweeper.spec.records.rows import RunRow
from sweeper.store.lease import Lease
from sweeper.store.store import Store

from . import cluster, placement, progress
from .dispatch import Dispatch, Settings
from .faults import Budgets
from .interrupt import Interrupt, Overdue
from .pack_scheduler import PackScheduler
from .placement import Placement
from .progress import Display, Status
from .searcher import PackCallback, PackSearcher, handle_tune_error
from .upload_weights import upload_weights, verify_stitchers
from .worker import Worker

PERFORMER = "sweeper.trials.perform:perform"

# Packs of one fit: Tune's driver uses 42 KB more memory for each trial and rewrites 11 KB of state for each.
ROTATION = 5000
# The number of errors that Tune may raise before a run stops. Each memory kill by Ray is one, and isolating a task in a
# pack of a thousand takes a dozen.
ESCAPES = 30
# The number of times that the store may lack tasks reported as done (parts lost or damaged meanwhile).
ROUNDS = 3
# Seconds between two checks of the lease.
LEASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a run. `outcome` is "complete", "failed" (some tasks failed or are blocked) or "interrupted"."""

    run: str
    outcome: str
    tasks: int  # of the job
    done_before: int
    done: int  # finished by this run
    failed: int
    blocked: int
    seconds: float
    message: str = ""  # why the run stopped early, if it did


def run(
    sweep: Sweep,
    store: Store,
    *,
    given: str = "",
    wait: bool = False,
    on_progress: Callable[[Status], None] | None = None,
    performer: str = PERFORMER,
) -> Summary:
    """Perform the tasks of a sweep that the store lacks, and return how the run ended.

    The first SIGINT or SIGTERM lets running tasks end (for ten seconds), the second raises KeyboardInterrupt.

    Args:
        sweep: The job.
        store: The store that results are committed to.
        given: The job's text, stored with the run.
        wait: True waits until another driver's lease ends.
        on_progress: Called with the status about ten times a second, in place of the progress line on stderr.
        performer: The `module:function` that workers call with a pack.

    Raises:
        JobError: The sweep has mistakes; all of them are listed, and nothing has started.
        StoreBusy: Another driver holds the store's lease.
        SweeperError: Something else is wrong that a user can correct.
    """
    resolved = resolve.resolve(sweep)
    if mistakes := check(resolved):
        raise JobError(mistakes)
    return run_resolved(resolved, store, given=given, wait=wait, on_progress=on_progress, performer=performer)


def run_resolved(
    sweep: ResolvedSweep,
    store: Store,
    *,
    given: str = "",
    wait: bool = False,
    on_progress: Callable[[Status], None] | None = None,
    performer: str = PERFORMER,
) -> Summary:
    """Do what `run` does for a job that is resolved and checked, as `load` returns it."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    with Interrupt() as interrupt, store.lease(wait=wait) as lease:
        store.set_aside()
        return _Run(name, sweep, store, lease, interrupt, performer).perform(given, on_progress)


class _Run:
    """One run: its state across fits."""

    def __init__(
        self, name: str, sweep: ResolvedSweep, store: Store, lease: Lease, interrupt: Interrupt, performer: str
    ):
        self._name, self._sweep, self._store, self._lease = name, sweep, store, lease
        self._interrupt, self._performer = interrupt, performer
        self._started = self._looked = time.monotonic()
        self._message = ""
        self._failed = self._blocked = 0

    def perform(self, given: str, on_progress: Display | None) -> Summary:
        plan = self._plan()
        verify_stitchers(plan)
        upload_weights(plan, self._store)
        tasks, before = _total(plan), _total(plan) - len(plan.missing)
        start = {"job_given": given, "job_resolved": resolve.to_json(self._sweep)}
        self._record("start", tasks=tasks, done_before=before, **start)
        if plan.missing and not self._interrupt.end_requested:
            with ExitStack() as stack:
                plan = self._rounds(plan, on_progress or stack.enter_context(progress.display()))
        done = tasks - len(plan.missing) - before
        outcome = "complete" if not plan.missing else "interrupted" if self._interrupt.end_requested else "failed"
        self._record("end", outcome=outcome, tasks=tasks, done_before=before, done=done, failed=self._failed)
        seconds = time.monotonic() - self._started
        return Summary(self._name, outcome, tasks, before, done, self._failed, self._blocked, seconds, self._message)

    def _rounds(self, plan: Plan, show: Display) -> Plan:
        """Run fits until the store has every task that the scheduler counts as done; return the plan after that."""
        engine = self._sweep.engine
        with cluster.cluster(engine):
            self._interrupt.arm()
            where = placement.place_workers(engine, cluster.nodes())
            with cluster.demand(where, engine):
                for _ in range(ROUNDS):
                    scheduler = self._scheduler(plan)
                    self._fits(scheduler, where, show)
                    self._failed, self._blocked = len(scheduler.frontier.failed), len(scheduler.frontier.blocked)
                    plan = self._plan()
                    if (
                        self._interrupt.end_requested
                        or scheduler.abort_reason
                        or not plan.missing & scheduler.frontier.done
                    ):
                        self._message = self._message or scheduler.failure_summary()
                        return plan
        self._message = "the store keeps losing tasks that were committed to it"
        return plan

    def _plan(self) -> Plan:
        return Plan.of(self._sweep, self._store.done())

    def _scheduler(self, plan: Plan) -> PackScheduler:
        return PackScheduler(
            plan.packs(),
            models=[model.id for model, done in zip(plan.models, plan.model_done, strict=True) if done],
            tasks=_total(plan),
            done=_total(plan) - len(plan.missing),
            weights=self._store.weights(),
            budgets=Budgets(self._sweep.engine.retries),
        )

    def _fits(self, scheduler: PackScheduler, where: Placement, show: Display) -> None:
        """Run one fit after the other until the scheduler has no more packs to hand out."""
        escapes = 0
        while not (scheduler.over or scheduler.stuck or self._interrupt.end_requested):
            dispatch = Dispatch(self._settings(where))
            try:
                self._fit(scheduler, dispatch, where, show)
            except Overdue:
                pass  # running tasks end with their workers
            except Exception as error:
                handle_tune_error(scheduler, dispatch, error)
                escapes += 1
                if escapes > ESCAPES:
                    raise
            finally:
                dispatch.close()
                scheduler.recall()
                self._store_failures(scheduler)

    def _fit(self, scheduler: PackScheduler, dispatch: Dispatch, where: Placement, show: Display) -> None:
        def look() -> None:
            show(scheduler.status())

        with tempfile.TemporaryDirectory(prefix="sweeper-", ignore_cleanup_errors=True) as scratch:
            tune.Tuner(
                tune.with_resources(Worker, tune.PlacementGroupFactory([where.bundle])),
                param_space={"dispatch": dispatch.name},
                tune_config=tune.TuneConfig(
                    search_alg=PackSearcher(scheduler, dispatch, self._interrupt, ROTATION),
                    num_samples=-1,
                    max_concurrent_trials=where.workers,  # a bare searcher would get one pending trial at a time
                    reuse_actors=True,
                    trial_name_creator=lambda trial: trial.trial_id,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    name="fit",
                    storage_path=str(Path(scratch).absolute()),
                    callbacks=[PackCallback(scheduler, dispatch, self._interrupt, look, self._look_at_lease)],
                    failure_config=tune.FailureConfig(max_failures=0),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False, checkpoint_frequency=0),
                    verbose=0,
                ),
            ).fit()

    def _settings(self, where: Placement) -> Settings:
        engine = self._sweep.engine
        return Settings(
            run=self._name,
            store=self._store.url,
            opener=f"{type(self._store).__module__}:{type(self._store).__qualname__}",
            performer=self._performer,
            numerics=engine.model_dump(include={"precision", "deterministic", "compile"}),
            data=self._sweep.data,
            threads=where.threads,
            timeout=engine.timeout,
            workers_per_node=where.workers_per_node,
        )

    def _look_at_lease(self) -> None:
        """Stop if another driver took over the lease while this one was suspended: both would do the same work."""
        if (now := time.monotonic()) - self._looked < LEASE_SECONDS:
            return
        self._looked = now
        with suppress(StoreError):  # the store cannot be reached: workers wait for it and report
            if not self._lease.is_held():
                self._message = "another driver took the store over"
                self._interrupt.request_end()

    def _store_failures(self, scheduler: PackScheduler) -> None:
        """Commit the failures of tasks whose worker died."""
        if rows := scheduler.unrecorded():
            self._store.commit(rows, run=self._name, worker="driver")

    def _record(self, event: str, **fields: Any) -> None:
        blank = {"outcome": "", "job_given": "", "job_resolved": "", "done": 0, "failed": 0}
        row = RunRow(
            task=self._name,
            run=self._name,
            job=self._sweep.name,
            event=event,
            host=socket.gethostname(),
            pid=os.getpid(),
            **(blank | fields),
        )
        self._store.commit([row], run=self._name, worker="driver")


def _total(plan: Plan) -> int:
    return sum(count.tasks for count in plan.counts().values())
