"""The command `status`, which reads the progress of jobs from their store."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeper.engine.progress import estimate_left
from sweeper.plan.duration import duration
from sweeper.plan.explain import summary
from sweeper.plan.graph import A, B
from sweeper.plan.plan import Plan
from sweeper.spec.job.resolve import from_json

from . import places, show

if TYPE_CHECKING:
    from sweeper.store.lease import Holder
    from sweeper.store.store import Store

WATCH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The progress of a job, and its latest run."""

    job: str
    tasks: dict[str, dict[str, int]]  # kind: {"tasks", "done"}
    done: int
    missing: int  # neither done, failed nor blocked
    failed: int
    blocked: int  # they need a model that failed
    run: str
    outcome: str  # complete, failed, interrupted, running, lost
    started: datetime
    seconds: float  # duration of the run, until the present if it is running
    left: float | None  # estimated seconds until the end, if it is running


def print_status(store: str | None, job: str | None, watch: bool, json: bool) -> None:
    """Print the status of a store's jobs, once or until no task is missing."""
    with places.opened(store) as opened_store:
        while True:
            start = time.monotonic()
            driver = opened_store.driver()
            jobs = job_statuses(opened_store, job, driver)
            _print(opened_store, jobs, driver, json)
            if not watch or not any(job_status.missing for job_status in jobs):
                return
            # Reading a large plan takes seconds; the pause keeps the load of watching low.
            time.sleep(max(WATCH_SECONDS, 4 * (time.monotonic() - start)))


def job_statuses(store: "Store", job: str | None, driver: "Holder | None") -> list[JobStatus]:
    """Return the status of each job of a store, or of one job.

    Args:
        store: The store.
        job: The name of the job; None for all jobs.
        driver: The holder of the store's lease, if any.

    Raises:
        UsageError: The store has no such job.
    """
    done = store.done()
    with store.connect() as connection:
        connection.execute("FROM failures SELECT task WHERE final")
        failed = {task for (task,) in connection.fetchall()}
        runs = connection.sql("FROM runs ORDER BY started").to_arrow_table().to_pylist()
    latest_run_by_job = {run["job"]: run for run in runs}
    if job is not None and job not in latest_run_by_job:
        raise places.no_such_job(store, job, latest_run_by_job)
    running = {run["run"] for run in latest_run_by_job.values() if _is_driven_by(driver, run)}
    done_before_run = {run: done - _done_by(store, run) for run in running}
    return [
        _job_status(run, done, failed, done_before_run.get(run["run"]))
        for run in latest_run_by_job.values()
        if job in (None, run["job"])
    ]


def _is_driven_by(driver: "Holder | None", run: Mapping[str, Any]) -> bool:
    return run["ended"] is None and driver is not None and (driver.pid, driver.host) == (run["pid"], run["host"])


def _done_by(store: "Store", run: str) -> set[str]:
    return set(store.sql(f"SELECT task FROM attempts WHERE run = '{run}' AND outcome = 'done'")["task"].to_pylist())


def _job_status(run: Mapping[str, Any], done: set[str], failed: set[str], done_before: set[str] | None) -> JobStatus:
    """Return the status of a job.

    Args:
        run: The job's latest run, a row of the view `runs`.
        done: Ids of all done tasks of the store.
        failed: Ids of all failed tasks of the store.
        done_before: Ids of the tasks that were done before the run; None if the run is not alive.
    """
    plan = Plan.of(from_json(run["job_resolved"]), done)
    failed = failed & plan.missing
    blocked = _blocked(plan, failed)
    counts = plan.counts()
    done_count = sum(count.done for count in counts.values())
    missing = len(plan.missing) - len(failed) - blocked
    ended = run["ended"] is not None
    seconds = run["seconds"] if ended else (datetime.now(UTC) - run["started"]).total_seconds()
    return JobStatus(
        job=run["job"],
        tasks={kind: {"tasks": count.tasks, "done": count.done} for kind, count in counts.items()},
        done=done_count,
        missing=missing,
        failed=len(failed),
        blocked=blocked,
        run=run["run"],
        outcome=run["outcome"] if ended else "lost" if done_before is None else "running",
        started=run["started"],
        seconds=seconds,
        left=None if done_before is None else _seconds_left(plan, Plan.of(plan.sweep, done_before), seconds),
    )


def _seconds_left(plan: Plan, plan_at_start: Plan, elapsed: float) -> float | None:
    """Estimate the seconds until no task is missing, from the estimated cost of the tasks done so far."""
    remaining, total = summary(plan)["core_seconds"], summary(plan_at_start)["core_seconds"]
    return estimate_left(remaining, total - remaining, elapsed)


def _blocked(plan: Plan, failed: set[str]) -> int:
    """Count the missing stitches and measurements that need a failed model."""
    model_failed = np.fromiter((model.id in failed for model in plan.models), bool, len(plan.models))
    a, b = plan.graph.rows[:, A], plan.graph.rows[:, B]
    return int(((model_failed[a] | model_failed[b]) & ~plan.row_done).sum())


def _print(store: "Store", jobs: list[JobStatus], driver: "Holder | None", json: bool) -> None:
    if json:
        driver_fields = driver and {"host": driver.host, "pid": driver.pid, "heartbeat": driver.at}
        show.print_json({"store": store.url, "driver": driver_fields, "jobs": [asdict(job) for job in jobs]})
        return
    show.write(f"store: {store.url}\ndriver: {_driver_text(driver)}")
    for job in jobs:
        show.write(_job_text(job))
    if not jobs:
        show.write("no run yet")


def _job_text(job: JobStatus) -> str:
    total = sum(count["tasks"] for count in job.tasks.values())
    numbers = f"{job.done}/{total} tasks done, {job.missing} missing, {job.failed} failed, {job.blocked} blocked"
    kinds = ", ".join(f"{kind} {count['done']}/{count['tasks']}" for kind, count in job.tasks.items())
    left = "" if job.left is None else f", about {duration(job.left)} left"
    return f"\n{job.job}\n  {numbers}\n  {kinds}\n  run {job.run}: {job.outcome}, {duration(job.seconds)}{left}"


def _driver_text(driver: "Holder | None") -> str:
    if driver is None:
        return "none"
    seconds = (datetime.now(UTC) - datetime.fromisoformat(driver.at)).total_seconds()
    return f"process {driver.pid} on {driver.host}, last heartbeat {duration(seconds)} ago"
