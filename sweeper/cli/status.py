"""The command `status`, which reads the progress of jobs from their store."""

import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sweeper.engine.time_left import estimate_left
from sweeper.plan.explain import summary
from sweeper.plan.graph import A, B
from sweeper.plan.plan import Plan
from sweeper.spec.job.resolve import from_json
from sweeper.store.failure_causes import failure_causes

from . import places, show, status_view

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from sweeper.store.driver_watch import SeenDriver
    from sweeper.store.failure_causes import FailureCause
    from sweeper.store.holder import Holder
    from sweeper.store.progress import Progress
    from sweeper.store.store import Store

WATCH_SECONDS = 5.0
LINE_SECONDS = 60.0  # between two lines where stdout is no terminal
NEWEST = 5  # results shown of a run


@dataclass(frozen=True, slots=True)
class NewStitch:
    """A stitch that a run has finished."""

    at: datetime
    bottom: str  # family and seed
    top: str
    cut: str
    stitcher: str
    error: float  # %
    top_error: float  # B's own, %


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
    failures: dict[str, int]  # failed tasks by class of error
    causes: "tuple[FailureCause, ...]"  # the same by kind of task, class of error and place, with an example of each
    newest: list[NewStitch]  # the latest stitches of the run, the newest first
    progress: "Progress | None"  # what the driver says, if it is running


@dataclass(frozen=True, slots=True)
class _RunningRun:
    """A run whose driver is alive."""

    done_before: set[str]  # ids of the tasks that were done when it began
    first_task_at: datetime | None  # when the first of its finished tasks began; None if none has finished
    progress: "Progress | None"  # what its driver published


def print_status(store: str | None, job: str | None, watch: bool, json: bool) -> None:
    """Print the status of a store's jobs, once or until no task is missing.

    On a terminal, watching redraws the status in place; elsewhere it prints a line for each job once a minute.
    """
    with places.opened(store) as opened_store:
        if watch and not json:
            _watch(opened_store, job)
            return
        driver_watch = opened_store.watch_driver()
        while True:
            start = time.monotonic()
            driver = driver_watch.look()
            jobs = job_statuses(opened_store, job, _alive(driver))
            if json:
                _print_json(opened_store, jobs, driver)
            else:
                show.console().print(status_view.page(opened_store.url, jobs, driver))
            if not watch or not _is_anything_missing(jobs):
                return
            _pause(start, WATCH_SECONDS)


def _watch(store: "Store", job: str | None) -> None:
    """Show the status again and again until no task is missing."""
    driver_watch = store.watch_driver()
    if not sys.stdout.isatty():
        while True:
            start = time.monotonic()
            jobs = job_statuses(store, job, _alive(driver_watch.look()))
            try:
                show.write("\n".join(map(status_view.log_line, jobs)) or "no run yet")
                sys.stdout.flush()
            except BrokenPipeError:  # as in `sweeper status --watch | head`
                return
            if not _is_anything_missing(jobs):
                return
            _pause(start, LINE_SECONDS)
    from rich.live import Live

    with Live(console=show.console(), auto_refresh=False) as live:
        while True:
            start, driver = time.monotonic(), driver_watch.look()
            jobs = job_statuses(store, job, _alive(driver))
            live.update(status_view.page(store.url, jobs, driver), refresh=True)
            if not _is_anything_missing(jobs):
                return
            _pause(start, WATCH_SECONDS)


def _is_anything_missing(jobs: "list[JobStatus]") -> bool:
    return any(job.missing for job in jobs)


def _pause(start: float, seconds: float) -> None:
    """Wait for the next look. Reading a large plan takes seconds; the pause keeps the load of watching low."""
    time.sleep(max(seconds, 4 * (time.monotonic() - start)))


def _alive(driver: "SeenDriver | None") -> "Holder | None":
    """Return the process that drives a store, unless it has been silent for so long that it seems to be dead."""
    return None if driver is None or driver.is_silent else driver.holder


def _print_json(store: "Store", jobs: "list[JobStatus]", driver: "SeenDriver | None") -> None:
    driver_fields = driver and {
        "host": driver.holder.host,
        "pid": driver.holder.pid,
        "since": driver.holder.since,
        "heartbeat": driver.holder.at,
        "seconds_since_heartbeat": driver.age,
    }
    show.print_json({"store": store.url, "driver": driver_fields, "jobs": [asdict(job) for job in jobs]})


def job_statuses(store: "Store", job: str | None, driver: "Holder | None") -> list[JobStatus]:
    """Return the status of each job of a store, or of one job.

    Args:
        store: The store.
        job: The name of the job; None for all jobs.
        driver: The holder of the store's lease, if any.

    Raises:
        UsageError: The store has no such job.
    """
    return store.retried(lambda: _job_statuses(store, job, driver))


def _job_statuses(store: "Store", job: str | None, driver: "Holder | None") -> list[JobStatus]:
    done = store.done()
    with store.connect() as connection:
        connection.execute("FROM failures SELECT task, error WHERE final")
        error_by_task = dict(connection.fetchall())
        runs = connection.sql("FROM runs ORDER BY started").to_arrow_table().to_pylist()
        latest_run_by_job = {run["job"]: run for run in runs}
        newest_by_run = {run["run"]: _newest(connection, run["run"]) for run in latest_run_by_job.values()}
    if job is not None and job not in latest_run_by_job:
        raise places.no_such_job(store, job, latest_run_by_job)
    running_runs = {
        run["run"]: _running_run(store, run["run"], done)
        for run in latest_run_by_job.values()
        if _is_driven_by(driver, run)
    }
    return [
        _job_status(
            store,
            run,
            done,
            error_by_task,
            running_runs.get(run["run"]),
            newest_by_run[run["run"]],
        )
        for run in latest_run_by_job.values()
        if job in (None, run["job"])
    ]


def _newest(connection: "DuckDBPyConnection", run: str) -> list[dict[str, Any]]:
    """Return the rows of the latest stitches of a run."""
    query = """
        SELECT "at", a, b, cut_a, cut_b, stitcher, test_error, b_error
        FROM parts_stitches WHERE run = ? ORDER BY "at" DESC LIMIT ?
    """
    return connection.sql(query, params=[run, NEWEST]).to_arrow_table().to_pylist()


def _is_driven_by(driver: "Holder | None", run: Mapping[str, Any]) -> bool:
    return run["ended"] is None and driver is not None and (driver.pid, driver.host) == (run["pid"], run["host"])


def _running_run(store: "Store", run: str, done: set[str]) -> _RunningRun:
    """Return what a run has done.

    Args:
        store: The store.
        run: The run's id.
        done: Ids of all done tasks of the store.
    """
    with store.connect() as connection:
        query = "FROM attempts SELECT task, \"at\" - to_seconds(seconds) WHERE run = ? AND outcome = 'done'"
        rows = connection.execute(query, [run]).fetchall()
    return _RunningRun(
        done_before=done - {task for task, _ in rows},
        first_task_at=min((start for _, start in rows), default=None),
        progress=store.progress(run),
    )


def _job_status(
    store: "Store",
    run: Mapping[str, Any],
    done: set[str],
    error_by_task: Mapping[str, str],
    running: _RunningRun | None,
    newest: list[dict[str, Any]],
) -> JobStatus:
    """Return the status of a job.

    Args:
        store: The store.
        run: The job's latest run, a row of the view `runs`.
        done: Ids of all done tasks of the store.
        error_by_task: The class of error of all failed tasks of the store.
        running: What the run has done, if its driver is alive.
        newest: Rows of its latest stitches.
    """
    plan = Plan.of(from_json(run["job_resolved"]), done, error_by_task.keys())
    failed, blocked = plan.failed, _blocked(plan)
    counts = plan.counts()
    done_count = sum(count.done for count in counts.values())
    missing = len(plan.missing) - blocked
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
        outcome=run["outcome"] if ended else "running" if running else "lost",
        started=run["started"],
        seconds=seconds,
        left=_seconds_left(plan, running) if running else None,
        failures=dict(Counter(error_by_task[task] for task in failed).most_common()),
        causes=failure_causes(store, failed),
        newest=_new_stitches(plan, newest),
        progress=running.progress if running else None,
    )


def _new_stitches(plan: Plan, rows: list[dict[str, Any]]) -> list[NewStitch]:
    """Return stitches with the names of their models in the job."""
    names: dict[str, str] = {
        plan.models[i].id: f"{family} seed {plan.models[i].training.seed}"
        for family, numbers in plan.families.items()
        for i in numbers
    }
    return [
        NewStitch(
            at=row["at"],
            bottom=names[row["a"]],
            top=names[row["b"]],
            cut=row["cut_a"] if row["cut_a"] == row["cut_b"] else f"{row['cut_a']} → {row['cut_b']}",
            stitcher=row["stitcher"],
            error=row["test_error"],
            top_error=row["b_error"],
        )
        for row in rows
    ]


def _seconds_left(plan: Plan, running: _RunningRun) -> float | None:
    """Return the estimated seconds until the end of a run: its driver's, else from the rows of the store."""
    if running.progress is not None:
        return running.progress.left
    if running.first_task_at is None:
        return None
    remaining = summary(plan)["core_seconds"]
    finished = summary(Plan.of(plan.sweep, running.done_before))["core_seconds"] - remaining
    return estimate_left(remaining, finished, (datetime.now(UTC) - running.first_task_at).total_seconds())


def _blocked(plan: Plan) -> int:
    """Count the missing stitches and measurements that need a failed model."""
    a, b = plan.graph.rows[:, A], plan.graph.rows[:, B]
    needs_failed = plan.model_failed[a] | plan.model_failed[b]
    return int((needs_failed & ~plan.row_done & ~plan.row_failed).sum())
