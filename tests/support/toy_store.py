"""A small job, and a store with rows of its tasks that nothing was computed for, for tests of commands."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support import store_rows
from sweeper.plan.plan import Plan
from sweeper.spec.job import resolve
from sweeper.spec.job.load import load
from sweeper.spec.records.rows import Row
from sweeper.spec.records.task import Measurement, Model, Stitch
from sweeper.store.store import Store

JOB = """\
name: toy
dataset: digits
models:
  weak: {arch: resnet18k, width: 4, samples: 100, steps: 20, seed: [0, 1]}
  strong: {arch: resnet18k, width: 4, samples: 300, steps: 20, seed: [10, 11]}
stitch:
  - {bottom: [weak, strong], top: weak, layers: [conv1, block8]}
similarity:
  - {bottom: strong, top: weak, layers: [conv1]}
"""


def fill(
    job: Path,
    folder: Path,
    without: Iterable[str] = (),
    failed: Iterable[str] = (),
    ended: bool = True,
    start: Mapping[str, Any] | None = None,
    finished_at: datetime | None = None,
) -> Store:
    """Create a store with one run of a job.

    Args:
        job: The job file.
        folder: The folder of the store.
        without: Ids of tasks that have no row.
        failed: Ids of tasks that have failed.
        ended: False leaves out the end row of the run.
        start: Fields of the start row of the run, in place of their defaults.
        finished_at: When each task ended; the present by default.
    """
    sweep = load(job)
    plan = Plan.of(sweep)
    store = Store.open(str(folder), create=True)
    failed, without = set(failed), {*without, *failed}
    weights = {model.id: store.put_weights(model.id.encode()) for model in plan.models}
    run_fields: dict[str, Any] = {
        "job": sweep.name, "host": "nowhere", "job_given": "", "job_resolved": "", "tasks": len(plan.ids()),
        "done_before": 0, "done": 0, "failed": 0,
    }  # fmt: skip
    job_texts = {"job_given": JOB, "job_resolved": resolve.to_json(sweep)}
    start_row = store_rows.start("r1", **(run_fields | {"at": datetime.now(UTC)} | job_texts | dict(start or {})))
    store.commit([start_row], run="r1", worker="driver")
    done = [task for task in plan.ids() if task not in without]
    store.commit([_row(plan, task, weights, finished_at) for task in done], run="r1", worker="w1")
    fault = {"of": "models", "error": "ValueError", "message": "no", "traceback": "", "final": True}
    store.commit(
        [store_rows.failure(task, **fault, run="r1", at=datetime.now(UTC)) for task in failed], run="r1", worker="w1"
    )
    if ended:
        store.commit([store_rows.end("r1", **run_fields, at=datetime.now(UTC))], run="r1", worker="driver")
    return store


def _row(plan: Plan, task_id: str, weights: dict[str, str], finished_at: datetime | None) -> Row:
    task = plan.task(task_id)
    assert isinstance(task, Model | Stitch | Measurement)
    return store_rows.planned_row(task, weights, run="r1", at=finished_at or datetime.now(UTC), **_RESULTS[type(task)])


_RESULTS: Mapping[type, Mapping[str, Any]] = {
    Model: {
        "parameters": 100, "train_loss": 0.5, "test_loss": 0.6, "test_error": 12.0, "correct": b"\xff" * 57,
        "seconds": 3.0,
    },
    Stitch: {
        "parameters": 10, "steps": 50, "converged": True, "train_loss": 0.1, "test_loss": 0.2, "test_error": 10.0,
        "a_loss": 0.2, "b_loss": 0.2, "a_error": 9.0, "b_error": 12.0, "penalty": -2.0, "gain": 2.0,
        "direct_error": 11.0, "direct_loss": 0.3, "direct_r2": 0.9, "correct": b"\xff" * 57, "seconds": 1.0,
    },
    Measurement: {"samples": 450, "value": 0.5, "seconds": 1.0},
}  # fmt: skip
