"""Summaries of a plan: its tasks, how many are done, and the estimated cost of the missing ones."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from types import MappingProxyType
from typing import Any

import numpy as np

from sweeper.spec.records.task import Measurement, Model, Recipe, Stitch, TrainingRun

from . import cost, few_runs, long_packs
from .controls import lacks_control
from .graph import CUT_A, CUT_B, OPERATION, A, B, MeasureSpec, SectionCount
from .pack import PackRows, pack_rows, train_packs
from .plan import KINDS, Plan
from .time_limit import CORES_OF_A_GPU, declared_gpus


def summary(plan: Plan, half_widths: Mapping[str, float] = MappingProxyType({})) -> dict[str, Any]:
    """Return the summary of a plan as values that JSON can hold.

    Estimates are for the missing tasks: seconds of one CPU core or, where the job's workers have GPUs, of a whole GPU
    (else null), the most bytes of memory that one worker needs, and the bytes added to the store.

    Args:
        plan: The plan.
        half_widths: The half-widths of intervals that are expected of contrasts with few runs, by their label.
    """
    counts = plan.counts()
    trainings, stitch_packs = list(train_packs(plan)), list(pack_rows(plan))
    core_seconds = sum(pack.seconds for pack in (*trainings, *stitch_packs))
    return {
        "name": plan.sweep.name,
        "dataset": plan.data.name,
        **{
            kind: {"tasks": count.tasks, "done": count.done, "failed": count.failed, "missing": count.missing}
            for kind, count in counts.items()
        },
        "tasks": sum(count.tasks for count in counts.values()),
        "done": sum(count.done for count in counts.values()),
        "failed": sum(count.failed for count in counts.values()),
        "missing": sum(count.missing for count in counts.values()),
        "packs": len(trainings) + len(stitch_packs),
        "training_runs": len(trainings),
        "core_seconds": ceil(core_seconds),
        **long_packs.summary_of_long(long_packs.long_packs(plan, trainings, stitch_packs), plan),
        "gpu_seconds": _gpu_seconds(plan, core_seconds),
        "corrections": _corrections(plan),
        "memory_bytes": ceil(_memory(plan, [pack.training for pack in trainings], stitch_packs)),
        "stored_bytes": _stored(plan),
        "without_control": int(lacks_control(plan).sum()),
        "contrasts": [contrast._asdict() for contrast in few_runs.contrasts(plan)],
        "expected_half_widths": dict(half_widths),
        "left_out": dict(sorted(plan.left_out.items())),
        "families": {name: len(set(positions)) for name, positions in plan.families.items()},
        "sections": [section._asdict() for section in plan.graph.sections],
    }


def summary_text(plan: Plan, half_widths: Mapping[str, float] = MappingProxyType({})) -> str:
    """Return the summary of a plan as plain lines of text, with numbers as full integers."""
    return "\n".join(_lines(summary(plan, half_widths), plan.graph.sections))


def task(plan: Plan, id: str) -> dict[str, Any]:
    """Return a task's kind, state, inputs, families and spec, as values that JSON can hold.

    Raises:
        KeyError: The job doesn't name the task.
    """
    planned = plan.task(id)
    kind = {Model: "models", Stitch: "stitches", Measurement: "similarities"}[type(planned)]
    inputs = [planned.training.init] if isinstance(planned, Model) else [planned.a, planned.b]
    return {
        "task": id,
        "kind": kind,
        "done": _is_done(plan, id),
        "state": state(plan, id),
        "inputs": [
            {"task": model.id, "done": _is_done(plan, model.id), "families": _families(plan, model.id)}
            for model in inputs
            if model
        ],
        "families": _families(plan, id),
        "spec": _spec(planned),
    }


def state(plan: Plan, id: str) -> str:
    """Return the state of a task: done, failed (for good) or missing."""
    return "failed" if id in plan.failed else "missing" if id in plan.missing else "done"


def _is_done(plan: Plan, id: str) -> bool:
    return id not in plan.missing and id not in plan.failed


def _memory(plan: Plan, trainings: Sequence[TrainingRun], stitch_packs: Sequence[PackRows]) -> float:
    """Return the most bytes that a worker needs for any of the missing tasks."""
    worker_bytes = [cost.WORKER_BYTES]
    worker_bytes += [cost.train_bytes(run, plan.catalog.network_of(run)) for run in dict.fromkeys(trainings)]
    rows = plan.graph.rows
    tunes_top = plan.graph.row_mask(cost.tunes, rows)
    estimated: set[tuple[Any, ...]] = set()  # packs of equal settings need equal memory
    for pack in stitch_packs:
        pack_rows = rows[pack.numbers]
        bottom = plan.models[int(pack_rows[0, A])].training
        cuts = sorted(set(pack_rows[:, CUT_A].tolist()))
        operation_positions = sorted(set(pack_rows[:, OPERATION].tolist()))
        # Each stitch that fine-tunes its top trains its own copy of it.
        tuned_tops = pack_rows[tunes_top[pack.numbers], B].tolist()
        tuned_bytes = sum(cost.tuned_bytes(plan.catalog.network_of(plan.models[b].training)) for b in tuned_tops)
        key = (bottom.arch, bottom.options, *cuts, -1, *operation_positions, tuned_bytes)
        if key not in estimated:
            estimated.add(key)
            bottom_cuts = [plan.catalog.cuts_of(bottom)[cut] for cut in cuts]
            recipes = [
                recipe
                for position in operation_positions
                if isinstance(recipe := plan.graph.operations[position], Recipe)
            ]
            worker_bytes += [cost.pack_bytes(recipe, bottom_cuts, plan.data) + tuned_bytes for recipe in recipes]
    return max([*worker_bytes, *_measurement_bytes(plan)])


def _measurement_bytes(plan: Plan) -> Iterator[float]:
    """Return the bytes that a worker needs for the missing measurements, for each kind of pair of networks."""
    rows = plan.graph.rows[~plan.row_done & ~plan.row_failed & ~plan.is_stitch]
    number: dict[tuple[Any, ...], int] = {}
    kind = [number.setdefault((run.arch, run.options), len(number)) for run in (m.training for m in plan.models)]
    keys = np.column_stack([np.array(kind, np.int64)[rows[:, [A, B]]], rows[:, [CUT_A, CUT_B, OPERATION]]])
    cells: dict[tuple[int, int], list[cost.MeasuredCuts]] = {}
    distinct_keys, example = np.unique(keys, axis=0, return_index=True)
    for (a, b, *_), row in zip(distinct_keys.tolist(), rows[example].tolist(), strict=True):
        metric = plan.graph.operations[row[OPERATION]]
        assert isinstance(metric, MeasureSpec)
        cuts = (
            plan.catalog.cuts_of(plan.models[row[side]].training)[row[cut]] for side, cut in ((A, CUT_A), (B, CUT_B))
        )
        cells.setdefault((a, b), []).append(cost.MeasuredCuts(metric, *cuts))
    return (cost.measure_bytes(pair_cells, plan.data) for pair_cells in cells.values())


def _corrections(plan: Plan) -> dict[str, Any] | None:
    """Return by what the estimates are corrected; None if no done task has been measured."""
    corrections = plan.corrections
    if not corrections.tasks:
        return None
    factor = corrections.factor(())
    return {"device": corrections.device, "tasks": corrections.tasks, "factor": factor, "on_gpu": corrections.on_gpu}


def _gpu_seconds(plan: Plan, core_seconds: float) -> float | None:
    """Return the seconds of a whole GPU; None if workers have none, or nothing says that this machine has one."""
    engine = plan.sweep.engine
    on_cluster = engine.gpus == "auto" and engine.address not in (None, "local")
    may_have_gpus = declared_gpus(engine) > 0 or plan.corrections.on_gpu or on_cluster
    return core_seconds / CORES_OF_A_GPU if may_have_gpus else None


def _gpu_source(corrections: Mapping[str, Any] | None) -> str:
    """Return where the estimate of GPU-hours comes from."""
    if corrections and corrections["on_gpu"]:
        return "by times measured on it"
    return f"a GPU counts as {CORES_OF_A_GPU:g} cores"


def _stored(plan: Plan) -> int:
    """Return the bytes that the missing tasks add to the store: their rows and the models' weights."""
    counts = plan.counts()
    rows = sum(counts[kind].missing * cost.row_bytes(kind, plan.data) for kind in KINDS)
    ended = plan.model_done | plan.model_failed
    missing = (model for model, is_ended in zip(plan.models, ended, strict=True) if not is_ended)
    return rows + sum(cost.weight_bytes(plan.catalog.network_of(model.training)) for model in missing)


def _families(plan: Plan, model: str) -> list[str]:
    """Return the names of the families that a model is in."""
    return [name for name, positions in plan.families.items() if any(plan.models[i].id == model for i in positions)]


def _spec(planned: Model | Stitch | Measurement) -> dict[str, Any]:
    """Return the fields of a task, with each model that it needs replaced by its id."""
    return {name: value for name, value in _fields(planned).items() if name != "id"}


def _fields(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as values that JSON can hold."""
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return {name: dict(value) if name == "options" else _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """Replace models by their ids, dataclasses by mappings and tuples by lists."""
    if isinstance(value, Model):
        return value.id
    if dataclasses.is_dataclass(value):
        return _fields(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _lines(numbers: Mapping[str, Any], sections: Sequence[SectionCount]) -> Iterator[str]:
    yield f"{numbers['name']} on {numbers['dataset']}: {numbers['tasks']} tasks, {numbers['done']} done"
    yield f"  {'':<14}{'tasks':>10}{'done':>10}{'missing':>10}"
    for kind in KINDS:
        count = numbers[kind]
        yield f"  {kind:<14}{count['tasks']:>10}{count['done']:>10}{count['missing']:>10}"
    yield f"families: {', '.join(f'{name} {models}' for name, models in numbers['families'].items())}"
    for section in sections:
        families = f"{', '.join(section.bottom)} into {', '.join(section.top)}"
        yield f"{section.kind}: {families}: {section.pairs} pairs of models, {section.tasks} tasks"
    for reason, count in numbers["left_out"].items():
        yield f"left out: {count} ({reason})"
    if numbers["without_control"]:
        yield (
            f"no control: {numbers['without_control']} stitches, whose tops this job doesn't stitch to themselves with "
            "the same settings; tables give no verdict on them. Add the tops to the bottoms; `where: a.id == b.id` "
            "takes only these pairs"
        )
    planned_contrasts = [few_runs.PlannedContrast(**contrast) for contrast in numbers["contrasts"]]
    yield from few_runs.lines_on_few(planned_contrasts, numbers["expected_half_widths"])
    if numbers["failed"]:
        yield f"failed: {numbers['failed']} tasks have failed for good; `run --retry-failed` tries them again"
    if not numbers["missing"]:
        yield "nothing is missing" if not numbers["failed"] else "nothing else is missing"
        return
    yield f"packs: {numbers['packs']}, of which {numbers['training_runs']} training runs"
    yield f"estimated: {numbers['core_seconds']} core-seconds ({_hours(numbers['core_seconds'])} core-hours)"
    if numbers["gpu_seconds"] is not None:
        yield f"  or {_hours(numbers['gpu_seconds'])} GPU-hours ({_gpu_source(numbers['corrections'])})"
    if numbers["corrections"]:
        yield (
            "  corrected by the times of {tasks} done tasks on {device}, which took {factor:.2g} times as long as "
            "estimated".format(**numbers["corrections"])
        )
    yield from long_packs.lines_on_long(numbers)
    yield f"memory: {_megabytes(numbers['memory_bytes'])} a worker; stored: {_megabytes(numbers['stored_bytes'])}"


def _megabytes(count: int) -> str:
    return f"{ceil(count / 1e6)} MB"


def _hours(seconds: float) -> str:
    """Return seconds as a number of hours with about three digits."""
    hours = seconds / 3600
    return f"{hours:.0f}" if hours >= 100 else f"{hours:.3g}"
