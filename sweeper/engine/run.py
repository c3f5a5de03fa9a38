"""`run`: a sweep performed until nothing is missing, a budget is spent or someone interrupts.

A loop around Tune's `fit`. A fit ends when the frontier is done, after some thousand packs (Tune's memory), and when
an error of Ray's escapes from it; then the next one goes on with the same frontier. When that is done the store is
asked what it has, for it alone is the truth: resume, retry and rotation are one mechanism, plan minus store.
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
from sweeper.spec.job.sweep import Sweep
from sweeper.spec.records.rows import RunRow
from sweeper.store.lease import Lease
from sweeper.store.store import Store

from . import cluster, placement, progress
from .dispatch import Dispatch, Settings
from .faults import Budgets
from .foreman import Foreman
from .interrupt import Interrupt, Overdue
from .placement import Placement
from .progress import Display, Status
from .searcher import PackCallback, PackSearcher, escaped
from .supply import guard, supply
from .worker import Worker

PERFORMER = "sweeper.trials.perform:perform"

# Packs of a fit: Tune's driver grows 42 KB of memory a trial and rewrites 11 KB of state for each.
ROTATION = 5000
# How often an error of Ray's may escape from Tune before a run gives up.
# Each memory kill by Ray is one, and to isolate a task in a pack of a thousand takes a dozen.
ESCAPES = 30
# How often the store may lack tasks that were reported as done (parts lost or damaged meanwhile).
ROUNDS = 3
# Between two looks at the lease.
LEASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended. `outcome` is "complete", "failed" (some tasks failed or are blocked) or "interrupted"."""

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
    """Performs what the store lacks of a sweep, and returns how it ended.

    `given` is the job's text, kept with the run. `wait` waits for another driver's lease to end. `on_progress` takes
    the place of the progress line on stderr. `performer` is the `module:function` that workers call with a pack.

    The first SIGINT or SIGTERM lets running tasks end (for ten seconds), the second raises KeyboardInterrupt.
    Raises JobError with every mistake of the sweep before anything starts, StoreBusy where another driver holds the
    store's lease, SweeperError for whatever else a user can put right.
    """
    sweep = resolve.resolve(sweep)
    if mistakes := check(sweep):
        raise JobError(mistakes)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    with Interrupt() as interrupt, store.lease(wait=wait) as lease:
        store.set_aside()
        return _Run(name, sweep, store, lease, interrupt, performer).perform(given, on_progress)


class _Run:
    """One run: its books across fits."""

    def __init__(self, name: str, sweep: Sweep, store: Store, lease: Lease, interrupt: Interrupt, performer: str):
        self._name, self._sweep, self._store, self._lease = name, sweep, store, lease
        self._interrupt, self._performer = interrupt, performer
        self._started = self._looked = time.monotonic()
        self._message = ""
        self._failed = self._blocked = 0

    def perform(self, given: str, on_progress: Display | None) -> Summary:
        plan = self._plan()
        guard(plan)
        supply(plan, self._store)
        tasks, before = _total(plan), _total(plan) - len(plan.missing)
        start = {"job_given": given, "job_resolved": resolve.to_json(self._sweep)}
        self._record("start", tasks=tasks, done_before=before, **start)
        if plan.missing and not self._interrupt.asked:
            with ExitStack() as stack:
                plan = self._rounds(plan, on_progress or stack.enter_context(progress.display()))
        done = tasks - len(plan.missing) - before
        outcome = "complete" if not plan.missing else "interrupted" if self._interrupt.asked else "failed"
        self._record("end", outcome=outcome, tasks=tasks, done_before=before, done=done, failed=self._failed)
        seconds = time.monotonic() - self._started
        return Summary(self._name, outcome, tasks, before, done, self._failed, self._blocked, seconds, self._message)

    def _rounds(self, plan: Plan, show: Display) -> Plan:
        """Until the store has what the foreman says it has; returns what is missing then."""
        engine = self._sweep.engine
        with cluster.cluster(engine):
            self._interrupt.arm()
            where = placement.place(engine, cluster.nodes())
            with cluster.demand(where, engine):
                for _ in range(ROUNDS):
                    foreman = self._foreman(plan)
                    self._fits(foreman, where, show)
                    self._failed, self._blocked = len(foreman.frontier.failed), len(foreman.frontier.blocked)
                    plan = self._plan()
                    if self._interrupt.asked or foreman.hopeless or not plan.missing & foreman.frontier.done:
                        self._message = self._message or foreman.last_words()
                        return plan
        self._message = "the store keeps losing tasks that were committed to it"
        return plan

    def _plan(self) -> Plan:
        return Plan.of(self._sweep, self._store.done())

    def _foreman(self, plan: Plan) -> Foreman:
        return Foreman(
            plan.packs(),
            models=[model.id for model, done in zip(plan.models, plan.model_done, strict=True) if done],
            tasks=_total(plan),
            done=_total(plan) - len(plan.missing),
            weights=self._store.weights(),
            budgets=Budgets(self._sweep.engine.retries),
        )

    def _fits(self, foreman: Foreman, where: Placement, show: Display) -> None:
        """Fit after fit, until the foreman has nothing more to hand out."""
        escapes = 0
        while not (foreman.over or foreman.stuck or self._interrupt.asked):
            dispatch = Dispatch(self._settings(where))
            try:
                self._fit(foreman, dispatch, where, show)
            except Overdue:
                pass  # what still runs is dropped with its worker
            except Exception as error:
                escaped(foreman, dispatch, error)
                escapes += 1
                if escapes > ESCAPES:
                    raise
            finally:
                dispatch.close()
                foreman.recall()
                self._store_failures(foreman)

    def _fit(self, foreman: Foreman, dispatch: Dispatch, where: Placement, show: Display) -> None:
        def look() -> None:
            show(foreman.status())

        with tempfile.TemporaryDirectory(prefix="sweeper-", ignore_cleanup_errors=True) as scratch:
            tune.Tuner(
                tune.with_resources(Worker, tune.PlacementGroupFactory([where.bundle])),
                param_space={"dispatch": dispatch.name},
                tune_config=tune.TuneConfig(
                    search_alg=PackSearcher(foreman, dispatch, self._interrupt, ROTATION),
                    num_samples=-1,
                    max_concurrent_trials=where.workers,  # a bare searcher would get one pending trial at a time
                    reuse_actors=True,
                    trial_name_creator=lambda trial: trial.trial_id,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    name="fit",
                    storage_path=str(Path(scratch).absolute()),
                    callbacks=[PackCallback(foreman, dispatch, self._interrupt, look, self._look_at_lease)],
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
            neighbours=where.neighbours,
        )

    def _look_at_lease(self) -> None:
        """A driver that slept through a takeover stops: it would only do what its successor does too."""
        if (now := time.monotonic()) - self._looked < LEASE_SECONDS:
            return
        self._looked = now
        with suppress(StoreError):  # the store is out of reach: workers will wait, and tell
            if not self._lease.held():
                self._message = "another driver took the store over"
                self._interrupt.ask()

    def _store_failures(self, foreman: Foreman) -> None:
        """Failures of tasks that took their worker with them."""
        if rows := foreman.unrecorded():
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
