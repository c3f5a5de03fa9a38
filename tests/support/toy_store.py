"""A small job, and a store that holds what it asks for: rows without the science, which no command needs."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sweeper.plan.plan import Plan
from sweeper.spec.job import resolve
from sweeper.spec.job.load import load
from sweeper.spec.job.sweep import Sweep
from sweeper.spec.records.rows import FailureRow, ModelRow, Row, RunRow, SimilarityRow, StitchRow
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
) -> Store:
    """A store with a run of the job that did all but the tasks `without` and those that `failed`; `start` are fields of
    the row that tells of its beginning."""
    sweep = load(job)
    plan = Plan.of(sweep)
    store = Store.open(str(folder), create=True)
    failed, without = set(failed), {*without, *failed}
    weights = {model.id: store.put_weights(model.id.encode()) for model in plan.models}
    store.commit([_run(sweep, plan, "start", **(start or {}))], run="r1", worker="driver")
    store.commit([_row(plan, task, weights) for task in plan.ids() if task not in without], run="r1", worker="w1")
    store.commit([_failure(task) for task in failed], run="r1", worker="w1")
    if ended:
        store.commit([_run(sweep, plan, "end")], run="r1", worker="driver")
    return store


def _run(sweep: Sweep, plan: Plan, event: str, **fields: Any) -> RunRow:
    told = {"job_given": JOB, "job_resolved": resolve.to_json(sweep)} if event == "start" else {"outcome": "complete"}
    common = {"task": "r1", "run": "r1", "job": sweep.name, "event": event, "host": "nowhere", "pid": 1}
    blank = {"outcome": "", "job_given": "", "job_resolved": "", "done_before": 0, "done": 0, "failed": 0}
    return RunRow(**(blank | common | {"tasks": len(plan.ids())} | told | fields))


def _failure(task: str) -> FailureRow:
    return FailureRow(task=task, of="models", error="ValueError", message="no", traceback="", final=True, run="r1")


def _row(plan: Plan, task: str, weights: dict[str, str]) -> Row:
    found = plan.task(task)
    if isinstance(found, Model):
        return _model(found, weights[task])
    assert isinstance(found, Stitch | Measurement)
    common = {
        "task": task,
        "run": "r1",
        "a": found.a.id,
        "b": found.b.id,
        "a_weights": weights[found.a.id],
        "b_weights": weights[found.b.id],
        "cut_a": found.cut_a,
        "cut_b": found.cut_b,
        "position_a": 1,
        "position_b": 1,
        "depth_a": 0.5,
        "depth_b": 0.5,
        "data_digest": plan.data.digest,
        "options": "{}",
        "seconds": 1.0,
    }
    if isinstance(found, Measurement):
        return SimilarityRow(**common, measure=found.measure, samples=450, value=0.5)
    recipe = found.recipe
    return StitchRow(
        **common,
        stitcher=recipe.stitcher,
        protocol=recipe.protocol,
        data=recipe.data,
        seed=recipe.seed,
        max_steps=recipe.steps,
        batch=recipe.batch,
        lr=recipe.lr,
        augment=recipe.augment,
        parameters=10,
        steps=50,
        converged=True,
        stop_data="held_out",
        train_loss=0.1,
        test_loss=0.2,
        test_error=10.0,
        a_loss=0.2,
        b_loss=0.2,
        a_error=9.0,
        b_error=12.0,
        penalty=-2.0,
        gain=2.0,
        direct_error=11.0,
        direct_loss=0.3,
        direct_r2=0.9,
        correct=b"\xff" * 57,
    )


def _model(model: Model, weights: str) -> ModelRow:
    training = model.training
    return ModelRow(
        task=model.id,
        run="r1",
        training=training.id,
        arch=training.arch,
        width=4,
        options="{}",
        parameters=100,
        dataset="digits",
        data_digest=training.data.digest,
        samples=training.samples,
        nested=training.nested,
        label_noise=training.label_noise,
        seed=training.seed,
        steps=model.step,
        schedule_steps=training.steps,
        epochs=model.epochs,
        batch=training.batch,
        lr=training.lr,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        schedule=training.schedule,
        augment=training.augment,
        weights=weights,
        train_loss=0.5,
        test_loss=0.6,
        test_error=12.0,
        correct=b"\xff" * 57,
        seconds=3.0,
    )
