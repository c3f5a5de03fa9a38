"""`status`: where the jobs of a store stand, from the store alone."""

import json as json_reader
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from sweeper.engine.progress import duration, estimate_left
from sweeper.plan.graph import A, B
from sweeper.plan.plan import Plan
from sweeper.store import layout
from sweeper.store.lease import Holder
from sweeper.store.store import Store

from . import places, show

WATCH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job's tasks, and the latest run that worked on it."""

    job: str
    tasks: dict[str, dict[str, int]]  # kind: {"tasks", "done"}
    done: int
    missing: int  # neither done, failed nor blocked
    failed: int
    blocked: int  # they need a model that failed
    run: str
    outcome: str  # complete, failed, interrupted, running, lost
    started: datetime
    seconds: float  # of that run, until now if it is running
    left: float | None  # estimated seconds, if it is running


def status(store: str | None, job: str | None, watch: bool, json: bool) -> None:
    """Prints the status of a store's jobs, once or until nothing is missing."""
    with places.opened(store) as found:
        while True:
            before = time.monotonic()
            driver = holder(found)
            jobs = [job_status(found, name, driver) for name in ([job] if job else places.job_names(found))]
            _print(found, jobs, driver, json)
            if not watch or not any(each.missing for each in jobs):
                return
            # A large plan takes its time: watching must not become the load.
            time.sleep(max(WATCH_SECONDS, 4 * (time.monotonic() - before)))


def job_status(store: Store, name: str, driver: Holder | None) -> JobStatus:
    """The status of a job that the store keeps."""
    plan = Plan.of(places.kept_job(store, name), store.done())
    failed = set(store.sql("SELECT task FROM failures WHERE final")["task"].to_pylist()) & plan.missing
    blocked = _blocked(plan, failed)
    done = len(plan.model_done) + len(plan.row_done) - len(plan.missing)
    missing = len(plan.missing) - len(failed) - blocked
    last = store.sql(f"SELECT * FROM runs WHERE job = '{name}' ORDER BY started DESC LIMIT 1").to_pylist()[0]
    started = last["started"].replace(tzinfo=UTC)
    alive = last["ended"] is None and driver is not None and driver.pid == last["pid"] and driver.host == last["host"]
    elapsed = (datetime.now(UTC) - started).total_seconds()
    return JobStatus(
        job=name,
        tasks={kind: {"tasks": count.tasks, "done": count.done} for kind, count in plan.counts().items()},
        done=done,
        missing=missing,
        failed=len(failed),
        blocked=blocked,
        run=last["run"],
        outcome=last["outcome"] if last["ended"] else "running" if alive else "lost",
        started=started,
        seconds=last["seconds"] if last["ended"] else elapsed,
        left=estimate_left(missing, done - last["done_before"], elapsed) if alive else None,
    )


def holder(store: Store) -> Holder | None:
    """Who drives the store now; None where nobody does."""
    numbers = [number for found in store.objects.list(layout.LEASE) if (number := layout.parse_lease(found.path))]
    if not numbers:
        return None
    try:
        found = Holder(**json_reader.loads(store.objects.read(layout.lease(max(numbers)))))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # cleared away meanwhile, or its writer died
    return None if found.free or found.gone or found.silent() else found


def _blocked(plan: Plan, failed: set[str]) -> int:
    """Missing stitches and measurements that need a model which failed."""
    lost = np.fromiter((model.id in failed for model in plan.models), bool, len(plan.models))
    a, b = plan.graph.rows[:, A], plan.graph.rows[:, B]
    return int(((lost[a] | lost[b]) & ~plan.row_done).sum())


def _print(store: Store, jobs: list[JobStatus], driver: Holder | None, json: bool) -> None:
    if json:
        driving = driver and {"host": driver.host, "pid": driver.pid, "heartbeat": driver.at}
        show.json({"store": store.url, "driver": driving, "jobs": [asdict(job) for job in jobs]})
        return
    show.facts({"store": store.url, "driver": _driver(driver)})
    if not jobs:
        show.data("no run yet")
        return
    show.data("")
    kinds = list(jobs[0].tasks)
    numbers = ("done", "missing", "failed", "blocked")
    show.grid(
        ("job", *kinds, *numbers, "last run", "took", "left"), map(_row, jobs), (*kinds, *numbers, "took", "left")
    )


def _row(job: JobStatus) -> tuple[Any, ...]:
    kinds = (f"{count['done']}/{count['tasks']}" for count in job.tasks.values())
    left = "" if job.left is None else duration(job.left)
    return (job.job, *kinds, job.done, job.missing, job.failed, job.blocked, job.outcome, duration(job.seconds), left)


def _driver(driver: Holder | None) -> str:
    if driver is None:
        return "none"
    silent = (datetime.now(UTC) - datetime.fromisoformat(driver.at)).total_seconds()
    return f"process {driver.pid} on {driver.host}, last heartbeat {duration(silent)} ago"
