"""Constructors of valid rows for tests. Every field has a default, and keywords override it."""

import dataclasses
import functools
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.spec.records import ident
from sweeper.spec.records.rows import CurveRow, FailureRow, ModelRow, Row, RunRow, SimilarityRow, StitchRow, fields
from sweeper.spec.records.task import Measurement, Model, Stitch
from sweeper.store.parts import store_paths
from sweeper.store.store import Store

R = TypeVar("R", bound=Row)

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)

_VALUE_BY_TYPE: dict[type, Any] = {str: "x", int: 1, float: 1.0, bool: False, bytes: b"\xa5", datetime: AT}
_PROVENANCE = {"run": "r", "at": AT}


def filled(row: type[R], **values: Any) -> R:
    """Build a row; fields that are not given have the default of their class or, without one, a value of their type."""
    return row(**{**_required_values(row), **values})


@functools.cache
def _required_values(row: type[Row]) -> Mapping[str, Any]:
    """Return a value for each field that has no default in its class."""
    missing = dataclasses.MISSING
    required = {f.name for f in dataclasses.fields(row) if f.default is missing and f.default_factory is missing}
    return {field.name: _VALUE_BY_TYPE[field.type] for field in fields(row) if field.name in required}


def weights_of(model: str) -> bytes:
    """Return bytes that stand for the weights of a model."""
    return f"weights of {model}".encode()


def model(task: str, **values: Any) -> ModelRow:
    """Build the row of a model; the default of its weights' digest is that of `weights_of(task)`."""
    defaults = {"training": f"t{task}", "weights": ident.digest(weights_of(task))}
    return filled(ModelRow, task=task, **{**_PROVENANCE, **defaults, **values})


def stitch(a: str, b: str, /, cut: str = "block1", **values: Any) -> StitchRow:
    """Build the row of a stitch at the same cut of both models, whose ids are given."""
    defaults = {"cut_a": cut, "cut_b": cut, "task": f"{a}>{b}@{cut}"}
    return filled(StitchRow, **{**_PROVENANCE, **_models(a, b), **defaults, **values})


def similarity(a: str, b: str, /, **values: Any) -> SimilarityRow:
    """Build the row of a similarity of two models, whose ids are given."""
    return filled(SimilarityRow, **{**_PROVENANCE, **_models(a, b), "task": f"{a}~{b}", **values})


def _models(a: str, b: str) -> dict[str, str]:
    digests = {"a_weights": ident.digest(weights_of(a)), "b_weights": ident.digest(weights_of(b))}
    return {"a": a, "b": b} | digests


def planned_row(
    task: Model | Stitch | Measurement, weights: Mapping[str, str], **values: Any
) -> ModelRow | StitchRow | SimilarityRow:
    """Build the row of a task of a plan, with the task's settings.

    Args:
        task: The task.
        weights: Digests of the weights of the task's models, by model id.
        values: Results, and any other fields.
    """
    if isinstance(task, Model):
        return filled(ModelRow, **{**_model_settings(task), "weights": weights[task.id], **values})
    pair = {
        "task": task.id,
        "a": task.a.id,
        "b": task.b.id,
        "a_weights": weights[task.a.id],
        "b_weights": weights[task.b.id],
        "cut_a": task.cut_a,
        "cut_b": task.cut_b,
        "depth_a": 0.5,
        "depth_b": 0.5,
        "data_digest": task.b.training.data.digest,
        "options": "{}",
    }
    if isinstance(task, Measurement):
        return filled(SimilarityRow, **{**pair, "measure": task.measure, **values})
    return filled(StitchRow, **{**pair, **_stitch_settings(task), **values})


def _model_settings(model: Model) -> dict[str, Any]:
    training = model.training
    same_names = (
        "arch", "samples", "nested", "label_noise", "seed", "batch", "lr", "momentum", "weight_decay", "schedule",
        "augment",
    )  # fmt: skip
    return {name: getattr(training, name) for name in same_names} | {
        "task": model.id,
        "training": training.id,
        "width": 4,
        "options": "{}",
        "dataset": training.data.name,
        "data_digest": training.data.digest,
        "steps": model.step,
        "schedule_steps": training.steps,
        "epochs": model.epochs,
    }


def _stitch_settings(stitch: Stitch) -> dict[str, Any]:
    same_names = ("stitcher", "protocol", "data", "seed", "batch", "lr", "augment")
    settings = {name: getattr(stitch.recipe, name) for name in same_names}
    return settings | {"max_steps": stitch.recipe.steps, "stop_data": "held_out"}


def curve(task: str, step: int, **values: Any) -> CurveRow:
    """Build a point of a learning curve."""
    return filled(CurveRow, task=task, step=step, **{**_PROVENANCE, **values})


def failure(task: str, **values: Any) -> FailureRow:
    """Build the row of a failed attempt at a task, by default at a stitch."""
    return filled(FailureRow, task=task, **{**_PROVENANCE, "of": "stitches", "error": "RuntimeError", **values})


def start(run: str, /, **values: Any) -> RunRow:
    """Build the row of the start of a run."""
    return filled(RunRow, **{"task": run, "run": run, "at": AT, "event": "start", "outcome": "", **values})


def end(run: str, /, **values: Any) -> RunRow:
    """Build the row of the end of a run, by default of a complete one."""
    return filled(RunRow, **{"task": run, "run": run, "at": AT, "event": "end", "outcome": "complete", **values})


def put_part(store: Store, table: pa.Table, kind: str = "stitches") -> str:
    """Write a table into a store as a part with the right size and digest in its name, and return its path."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    content = buffer.getvalue()
    path = store_paths.part(kind, "r", "w", datetime.now(UTC), content)
    assert store.objects.create(path, content)
    return path
