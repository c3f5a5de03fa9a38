"""The results of a store as groups, each of which becomes a run of an experiment tracker.

A group has what differs only in seeds: models of the same settings, or stitches or similarities of two such groups of
models with the same stitcher or measure. Its parameters are the settings, its metrics means over the seeds. The metrics
of stitches and similarities are series over the cuts; the step of a point is the number of the cut in B.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sweeper.spec.records import ident
from sweeper.store.store import Store

# Settings of a model by which groups differ; its seed is left out, and what follows from its other settings and seed.
_MODEL_SETTINGS = (
    "arch", "width", "options", "dataset", "samples", "nested", "shards", "label_noise", "label_noise_kind", "labels",
    "steps", "schedule_steps", "batch", "lr", "momentum", "weight_decay", "schedule", "warmup", "label_smoothing",
    "augment", "objective", "temperature", "probe_steps", "reset", "frozen", "head", "input",
)  # fmt: skip
# Settings of a model that the views of pairs have, with the prefix `a_` or `b_`.
_PAIR_SETTINGS = (
    "arch", "width", "samples", "nested", "shards", "label_noise", "label_noise_kind", "labels", "steps",
    "schedule_steps", "objective", "reset", "frozen",
)  # fmt: skip
_STITCHER_SETTINGS = (
    "stitcher", "options", "protocol", "data", "sender", "train", "stop", "max_steps", "batch", "lr", "augment",
)  # fmt: skip
_MODEL_METRICS = ("test_error", "test_loss", "train_loss", "seconds")
_STITCH_METRICS = (
    "test_error", "b_error", "penalty", "gain", "net_gain", "direct_error", "drift", "agreement", "test_loss",
    "seconds",
)  # fmt: skip
_MEANS = ("penalty", "gain", "net_gain")  # metrics whose mean over the cuts is a metric, too


class MetricPoint(NamedTuple):
    """A value of a metric; `step` is the number of the cut, or 0."""

    metric: str
    value: float
    step: int


@dataclass(frozen=True, slots=True)
class Group:
    """Results that differ only in seeds."""

    id: str  # a digest of its kind and parameters
    kind: str  # models, stitches or similarities
    name: str
    parameters: Mapping[str, str]
    points: Sequence[MetricPoint]
    start: datetime  # when its first and its last result were made
    end: datetime


def result_groups(store: Store, only: Iterable[str] | None = None) -> list[Group]:
    """Return the groups of a store's results, models first.

    Args:
        store: The store.
        only: Ids of the tasks that count; None: all.
    """
    ids = None if only is None else list(only)
    pair_settings = [f"{side}_{setting}" for side in ("a", "b") for setting in _PAIR_SETTINGS]

    def read() -> list[Group]:
        with store.connect(ids) as connection:

            def rows(query: str) -> list[dict[str, Any]]:
                return connection.sql(query).to_arrow_table().to_pylist()

            return [
                *_model_groups(rows(_query("models", _MODEL_SETTINGS, (), _MODEL_METRICS))),
                *_pair_groups("stitches", rows(_stitch_query(pair_settings)), _STITCH_METRICS),
                *_pair_groups("similarities", rows(_similarity_query(pair_settings)), ("value",)),
            ]

    return store.retried(read)


def _query(source: str, settings: Iterable[str], cut: Iterable[str], metrics: Iterable[str]) -> str:
    """Return the query for the means of metrics over what differs only in seeds."""
    columns = [f'"{name}"' for name in (*settings, *cut)]
    means = [f"avg({name}) AS {name}" for name in metrics]
    counts = ['count(*) AS "count"', 'min("at") AS first_at', 'max("at") AS last_at']
    return f"SELECT {', '.join([*columns, *means, *counts])} FROM {source} GROUP BY ALL ORDER BY ALL"


def _stitch_query(pair_settings: Sequence[str]) -> str:
    source = "(SELECT *, a = b AS self_stitch FROM stitches)"
    settings = (*pair_settings, *_STITCHER_SETTINGS, "self_stitch")
    return _query(source, settings, ("position_b", "cut_a", "cut_b"), _STITCH_METRICS)


def _similarity_query(pair_settings: Sequence[str]) -> str:
    """Return the query for similarities, whose view has the ids of the models, and not their settings."""
    columns = [f"{side}.{setting} AS {side}_{setting}" for side in ("a", "b") for setting in _PAIR_SETTINGS]
    source = (
        f"(SELECT s.* EXCLUDE (a, b, samples), s.samples AS images, s.a = s.b AS self_comparison, {', '.join(columns)} "
        "FROM similarities AS s JOIN models AS a ON a.task = s.a JOIN models AS b ON b.task = s.b)"
    )
    settings = (*pair_settings, "measure", "options", "images", "self_comparison")
    return _query(source, settings, ("position_b", "cut_a", "cut_b"), ("value",))


def _model_groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[Group]:
    for row in rows:
        parameters = _texts(row, _MODEL_SETTINGS)
        points = [MetricPoint(metric, row[metric], 0) for metric in _MODEL_METRICS if row[metric] is not None]
        points.append(MetricPoint("count", row["count"], 0))
        yield _group("models", _model_name(row, ""), parameters, points, [row])


def _pair_groups(kind: str, rows: Iterable[Mapping[str, Any]], metrics: Sequence[str]) -> Iterator[Group]:
    results = {*metrics, "position_b", "cut_a", "cut_b", "count", "first_at", "last_at"}
    rows_by_settings: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        rows_by_settings.setdefault(json.dumps(_texts(row, row.keys() - results)), []).append(row)
    for cuts in rows_by_settings.values():
        first = cuts[0]
        parameters = _texts(first, [name for name in first if name not in results])
        operation = first["stitcher" if kind == "stitches" else "measure"]
        itself = first["self_stitch" if kind == "stitches" else "self_comparison"]
        top = "itself" if itself else _model_name(first, "b_")
        name = f"{_model_name(first, 'a_')} → {top}, {operation}"
        # A measure is a metric of its own name, so that the runs of several measures don't share a chart.
        names = {"value": str(first["measure"])} if kind == "similarities" else {}
        yield _group(kind, name, parameters, list(_points(cuts, metrics, names)), cuts)


def _points(
    cuts: Sequence[Mapping[str, Any]], metrics: Sequence[str], names: Mapping[str, str]
) -> Iterator[MetricPoint]:
    for metric in metrics:
        values = [(row["position_b"], row[metric]) for row in cuts if row[metric] is not None]
        for position, value in values:
            yield MetricPoint(names.get(metric, metric), value, position)
        if values and metric in _MEANS:
            yield MetricPoint(f"mean_{metric}", sum(value for _, value in values) / len(values), 0)
    yield MetricPoint("count", sum(row["count"] for row in cuts), 0)


def _group(
    kind: str,
    name: str,
    parameters: Mapping[str, str],
    points: Sequence[MetricPoint],
    rows: Sequence[Mapping[str, Any]],
) -> Group:
    id = ident.digest(json.dumps([kind, sorted(parameters.items())]).encode())[:16]
    start, end = min(row["first_at"] for row in rows), max(row["last_at"] for row in rows)
    return Group(id, kind, name, parameters, points, start, end)


def _model_name(row: Mapping[str, Any], prefix: str) -> str:
    width = row[f"{prefix}width"]
    size = "" if width is None else f" width {width}"
    return f"{row[f'{prefix}arch']}{size}, {row[f'{prefix}samples']} samples, {row[f'{prefix}steps']} steps"


def _texts(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Return fields as text; those that are null or empty are left out."""
    return {name: str(row[name]) for name in sorted(names) if row[name] not in (None, "")}
