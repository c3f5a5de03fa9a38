"""Small valid rows."""

from datetime import UTC, datetime
from typing import Any, TypeVar

from sweeper.spec.records import ident
from sweeper.spec.records.rows import CurveRow, FailureRow, ModelRow, Row, RunRow, SimilarityRow, StitchRow, fields

R = TypeVar("R", bound=Row)

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)

_NEUTRAL: dict[type, Any] = {str: "x", int: 1, float: 1.0, bool: False, bytes: b"\xa5", datetime: AT}


def filled(row: type[R], **given: Any) -> R:
    """A row with a neutral value in every field that isn't given."""
    values = {field.name: _NEUTRAL[field.type] for field in fields(row)} | {"attempt": 0, "run": "r"}
    return row(**{**values, **given})


def weights_of(model: str) -> bytes:
    return f"weights of {model}".encode()


def model(task: str, **given: Any) -> ModelRow:
    """A model; its weights' digest is that of `weights_of(task)`."""
    return filled(ModelRow, task=task, **{"training": f"t{task}", "weights": ident.digest(weights_of(task)), **given})


def stitch(a: str, b: str, /, cut: str = "block1", **given: Any) -> StitchRow:
    known = {"a": a, "b": b, "cut_a": cut, "cut_b": cut, "task": f"{a}>{b}@{cut}"}
    digests = {"a_weights": ident.digest(weights_of(a)), "b_weights": ident.digest(weights_of(b))}
    return filled(StitchRow, **{**known, **digests, **given})


def similarity(a: str, b: str, **given: Any) -> SimilarityRow:
    return filled(SimilarityRow, **{"a": a, "b": b, "task": f"{a}~{b}", **given})


def curve(task: str, step: int, **given: Any) -> CurveRow:
    return filled(CurveRow, task=task, step=step, **given)


def failure(task: str, **given: Any) -> FailureRow:
    return filled(FailureRow, task=task, **{"of": "stitches", "error": "RuntimeError", **given})


def start(run: str, **given: Any) -> RunRow:
    return filled(RunRow, task=run, run=run, event="start", outcome="", **given)


def end(run: str, **given: Any) -> RunRow:
    return filled(RunRow, task=run, run=run, event="end", **{"outcome": "complete", **given})
