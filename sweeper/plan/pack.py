"""Packs: tasks that run together because they share work.

A training run and its snapshots are one pack. Stitches with the same A and the same training images share A's forward
passes. In a pack they are sorted by top and cut, so that stitches with the same top run as one batch and a pack waits
for few tops. Measurements and stitchers without training use no training images and are put into the first pack of
their A.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.spec.records.task import Data, Measurement, Model, Pack, Recipe, Stitch, StitchPack, TrainingRun, TrainPack

from . import cost
from .corrections import NO_CORRECTIONS, Corrections, operation_kind, training_kind
from .graph import CUT_A, CUT_B, OPERATION, A, B, Graph, Integers, MeasureSpec, Operation

Floats = NDArray[np.float64]


class PlannedTasks(Protocol):
    """The part of a plan that packing reads: its tasks, and which of them are done or have failed for good.

    A protocol, because `Plan` itself imports this module.
    """

    sweep: ResolvedSweep
    data: Data
    catalog: Catalog
    graph: Graph
    corrections: Corrections
    model_done: NDArray[np.bool_]
    row_done: NDArray[np.bool_]
    model_failed: NDArray[np.bool_]
    row_failed: NDArray[np.bool_]

    @property
    def models(self) -> Sequence[Model]:
        """The models of the zoo; the graph's rows contain their positions."""
        ...

    def tasks(self, numbers: Sequence[int]) -> list[Stitch | Measurement]:
        """Return the tasks of some rows of the graph."""
        ...


def packs(plan: PlannedTasks) -> Iterator[Pack]:
    """Yield the missing tasks of a plan, each in exactly one pack: training runs, then stitches by their A."""
    yield from train_packs(plan)
    yield from (_stitch_pack(plan, rows) for rows in pack_rows(plan))


def keep_tasks(pack: Pack, tasks: Collection[str]) -> Pack:
    """Return a pack of some of a pack's tasks, in the same order, with its seconds scaled in proportion."""
    ids = frozenset(tasks)
    if isinstance(pack, TrainPack):
        models = tuple(model for model in pack.models if model.id in ids)
        smaller = replace(pack, models=models)
    else:
        stitches = tuple(stitch for stitch in pack.stitches if stitch.id in ids)
        smaller = replace(pack, stitches=stitches, measurements=tuple(m for m in pack.measurements if m.id in ids))
    share = len(smaller.tasks) / len(pack.tasks)
    return replace(smaller, id=_id(smaller.tasks), seconds=pack.seconds * share)


def only_tasks(packs: Iterable[Pack], tasks: Collection[str]) -> Iterator[Pack]:
    """Yield what is left of packs if they contain only some tasks."""
    for pack in packs:
        if chosen := [task for task in pack.tasks if task in tasks]:
            yield keep_tasks(pack, chosen)


def single_pack(task: Model | Stitch | Measurement, weights: Mapping[str, str]) -> Pack:
    """Return a pack of one task; its estimated duration is left at 0.

    Args:
        task: The task.
        weights: The digests of the weights of models that it may need, by model id.
    """
    if isinstance(task, Model):
        pack = TrainPack(_id([task.id]), task.training, (task,), 0.0)
    elif isinstance(task, Stitch):
        pack = StitchPack(_id([task.id]), task.a, (task,), (), 0.0)
    else:
        pack = StitchPack(_id([task.id]), task.a, (), (task,), 0.0)
    return replace(pack, weights={model: weights[model] for model in pack.inputs})


def tasks_of_kind(pack: Pack, kind: str) -> tuple[str, ...]:
    """Return the ids of a pack's tasks of a kind: "models", "stitches" or "similarities"."""
    if isinstance(pack, TrainPack):
        return pack.tasks if kind == "models" else ()
    tasks = {"models": (), "stitches": pack.stitches, "similarities": pack.measurements}[kind]
    return tuple(task.id for task in tasks)


def split(pack: Pack) -> tuple[Pack, Pack]:
    """Split a pack into two halves.

    Raises:
        ValueError: The pack has a single task.
    """
    tasks = pack.tasks
    if len(tasks) < 2:
        raise ValueError(f"pack {pack.id} has a single task")
    return keep_tasks(pack, tasks[: len(tasks) // 2]), keep_tasks(pack, tasks[len(tasks) // 2 :])


def dependent_tasks(pack: Pack, model: str) -> frozenset[str]:
    """Return the ids of a pack's tasks that need a model."""
    if isinstance(pack, TrainPack):
        return frozenset(pack.tasks if model in pack.inputs else ())
    return frozenset(task.id for task in (*pack.stitches, *pack.measurements) if model in (task.a.id, task.b.id))


def _id(tasks: Iterable[str]) -> str:
    """Return the id of a pack, which doesn't depend on the order of its tasks."""
    return hashlib.blake2b("".join(sorted(tasks)).encode(), digest_size=16).hexdigest()


class PackRows(NamedTuple):
    """A pack of stitches and measurements as row numbers, before its tasks are built."""

    numbers: NDArray[np.intp]  # row numbers in the graph
    seconds: float


def pack_rows(plan: PlannedTasks) -> Iterator[PackRows]:
    """Yield the missing rows of a plan, divided into packs."""
    missing = np.flatnonzero(~(plan.row_done | plan.row_failed))
    factors = _factors(plan, plan.graph.rows[missing])
    for pack in _estimated_packs(plan, missing, factors):
        yield PackRows(missing[pack.positions], float(pack.shared + pack.own.sum()))


def row_seconds(plan: PlannedTasks, numbers: NDArray[np.intp]) -> Floats:
    """Return the uncorrected estimate of some rows, each with an equal share of its pack's passes through A.

    Args:
        plan: The plan.
        numbers: Row numbers in the graph; the rows are divided into packs as if they alone were missing.
    """
    seconds = np.zeros(len(numbers))
    for pack in _estimated_packs(plan, numbers, np.ones(len(numbers))):
        seconds[pack.positions] = pack.own + pack.shared / len(pack.positions)
    return seconds


class _EstimatedPack(NamedTuple):
    """A pack of some rows: their positions among these rows, and its seconds."""

    positions: NDArray[np.intp]
    own: Floats  # the seconds of each row, without the passes through A
    shared: float  # the seconds of these passes


def _estimated_packs(plan: PlannedTasks, numbers: NDArray[np.intp], factors: Floats) -> Iterator[_EstimatedPack]:
    """Divide rows of the graph into packs; the estimate of each row is multiplied by its factor."""
    if not len(numbers):
        return
    rows = plan.graph.rows[numbers]
    seconds, passes = factors * _own_seconds(plan, rows), factors * _bottom_pass_seconds(plan, rows)
    stream = _streams(plan, rows)
    repeats_passes = plan.graph.row_mask(cost.repeats_passes, rows)
    order = np.lexsort((stream, rows[:, A]))  # a stable sort: within a stream, rows stay sorted by top
    keys = np.stack([rows[order, A], stream[order]], 1)
    for group in np.split(order, np.flatnonzero((keys[1:] != keys[:-1]).any(1)) + 1):
        if repeats_passes[group].any():
            divided = _divide(group, seconds[group] + passes[group], 0.0, plan.sweep.engine.pack_seconds)
        else:
            divided = _divide(group, seconds[group], float(passes[group].max()), plan.sweep.engine.pack_seconds)
        for positions in divided:
            yield _EstimatedPack(positions, seconds[positions], float(passes[positions].max()))


def train_packs(plan: PlannedTasks) -> Iterator[TrainPack]:
    """Yield the training runs of a plan's missing models."""
    runs: defaultdict[str, list[Model]] = defaultdict(list)
    ended = plan.model_done | plan.model_failed
    for model, is_ended in zip(plan.models, ended.tolist(), strict=True):
        if not is_ended:
            runs[model.training.id].append(model)
    for missing_models in runs.values():
        models = tuple(sorted(missing_models, key=lambda model: model.step))
        factor = plan.corrections.factor(training_kind(models[-1].training))
        seconds = factor * cost.train_seconds(models[-1], plan.catalog.network_of(models[-1].training))
        yield TrainPack(_id(model.id for model in models), models[-1].training, models, seconds)


def _stitch_pack(plan: PlannedTasks, rows: PackRows) -> StitchPack:
    tasks = plan.tasks(rows.numbers.tolist())
    stitches = tuple(task for task in tasks if isinstance(task, Stitch))
    measurements = tuple(task for task in tasks if isinstance(task, Measurement))
    return StitchPack(_id(task.id for task in tasks), tasks[0].a, stitches, measurements, rows.seconds)


def _divide(group: NDArray[np.intp], seconds: Floats, shared: float, target: float) -> list[NDArray[np.intp]]:
    """Divide a group of rows into packs of about `target` seconds. A row that takes longer is a pack of its own.

    Every pack repeats the shared passes, so packs are longer if these would take more than a quarter of `target`. This
    is worth it only where the passes are kept, as in `strict`. If each training step has passes of its own, as in
    `paper`, they count as the row's own seconds, and `shared` is 0: joining rows saves a part of each step, but a pack
    of long rows leaves other workers idle, and its loss costs all of them.

    Args:
        group: Positions of the rows, in order.
        seconds: The seconds of each row, without the shared passes.
        shared: The seconds of the passes that the rows share.
        target: The length of a pack in seconds, with the shared passes.

    Returns:
        The positions in `group`, divided into one array for each pack.
    """
    own_seconds = max(target - shared, 3 * shared)  # without the shared passes
    count = max(1, round(float(seconds.sum()) / own_seconds))
    middle = np.cumsum(seconds) - seconds / 2
    pack_number = np.minimum(middle * count / seconds.sum(), count - 1).astype(int)
    return np.split(group, np.flatnonzero(np.diff(pack_number)) + 1)


def _streams(plan: PlannedTasks, rows: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return a number for each row's data stream (its training images and their order).

    Rows without training images get the first stream of their A.
    """
    operation_number = _numbers(_stream(operation) for operation in plan.graph.operations)
    subset_number = _numbers(_subset(model.training) for model in plan.models)
    no_stream = plan.graph.row_mask(lambda operation: not _stream(operation), rows)
    uses_top_images = plan.graph.row_mask(
        lambda operation: isinstance(operation, Recipe) and operation.data == "top", rows
    )
    subset = np.where(uses_top_images, subset_number[rows[:, B]] + 1, 0)
    stream = operation_number[rows[:, OPERATION]] * (subset_number.max() + 2) + subset
    label_number = _numbers((model.training.labels,) for model in plan.models)  # a stitcher is trained on B's labels
    stream = stream * (label_number.max() + 1) + label_number[rows[:, B]]
    first = np.full(len(plan.models), np.iinfo(np.int64).max)
    np.minimum.at(first, rows[~no_stream, A], stream[~no_stream])
    return np.where(no_stream, first[rows[:, A]], stream)


def _stream(operation: Operation) -> tuple[object, ...]:
    """Return the settings that decide a stitcher's training images; () if it trains on none."""
    if isinstance(operation, Recipe) and operation.steps:
        return (
            operation.protocol,
            operation.data,
            operation.seed,
            operation.batch,
            operation.augment,
            operation.sender,
        )
    return ()


def _subset(training: TrainingRun) -> tuple[object, ...]:
    """Return the settings that decide which images a model was trained on."""
    seed = None if training.nested else training.seed
    return (training.samples, training.nested, seed, training.shards, training.shard, training.subset_seed)


def _numbers(values: Iterable[tuple[object, ...]]) -> NDArray[np.int64]:
    """Return a number for each value, from 0 in order of first appearance; equal values get equal numbers."""
    number: dict[tuple[object, ...], int] = {}
    return np.array([number.setdefault(value, len(number)) for value in values], np.int64)


def _own_seconds(plan: PlannedTasks, rows: NDArray[np.int32]) -> Floats:
    """Return the seconds of each row without the passes it shares; equal for all pairs of equal networks."""
    kind = _numbers((model.training.arch, model.training.options) for model in plan.models)
    keys = np.column_stack([kind[rows[:, A]], kind[rows[:, B]], rows[:, CUT_A:]])

    def seconds(a: int, b: int, cut_a: int, cut_b: int, position: int) -> float:
        bottom, top = plan.models[a].training, plan.models[b].training
        cuts = plan.catalog.cuts_of(bottom)[cut_a], plan.catalog.cuts_of(top)[cut_b]
        operation = plan.graph.operations[position]
        return cost.own_seconds(operation, *cuts, plan.catalog.network_of(top), plan.data, plan.catalog)

    return _once_a_key(keys, rows, seconds) + _top_pass_seconds(plan, rows)


def _once_a_key(
    keys: NDArray[np.int32 | np.int64], rows: NDArray[np.int32], function: Callable[[int, int, int, int, int], float]
) -> Floats:
    """Return the value of a function for each row, which is called once for all rows with the same key.

    Args:
        keys: The key of each row, shape (rows, columns).
        rows: The rows of the graph.
        function: Takes the numbers of A, B, their cuts and the operation.
    """
    _, example, key_number = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return np.array([function(*row) for row in rows[example].tolist()])[key_number]


def _top_pass_seconds(plan: PlannedTasks, rows: Integers) -> Floats:
    """Return the seconds of B's forward pass that each row counts as its own; 0 for stitches.

    All measurements of a pair of models share one pass up to their deepest cut, in equal shares.
    """
    is_measure = plan.graph.row_mask(lambda operation: isinstance(operation, MeasureSpec), rows)
    pairs, pair_number, measurements = np.unique(
        rows[is_measure][:, [A, B]], axis=0, return_inverse=True, return_counts=True
    )
    deepest = np.zeros(len(pairs), np.int64)  # the deepest cut of B for each pair
    np.maximum.at(deepest, pair_number, rows[is_measure, CUT_B])
    tops = (
        plan.catalog.cuts_of(plan.models[b].training)[cut] for b, cut in zip(pairs[:, 1].tolist(), deepest, strict=True)
    )
    passes = np.array([cost.pass_seconds(cut, plan.data) for cut in tops])
    seconds = np.zeros(len(rows))
    seconds[is_measure] = (passes / measurements)[pair_number]
    return seconds


def _factors(plan: PlannedTasks, rows: NDArray[np.int32]) -> Floats:
    """Return the factor by which the estimate of each row is corrected."""
    if plan.corrections is NO_CORRECTIONS or not len(rows):
        return np.ones(len(rows))
    kind = _numbers((model.training.arch, model.training.options) for model in plan.models)
    keys = np.column_stack([kind[rows[:, B]], rows[:, OPERATION]])

    def factor(_a: int, b: int, _cut_a: int, _cut_b: int, position: int) -> float:
        return plan.corrections.factor(operation_kind(plan.graph.operations[position], plan.models[b].training))

    return _once_a_key(keys, rows, factor)


def _bottom_pass_seconds(plan: PlannedTasks, rows: NDArray[np.int32]) -> Floats:
    """Return the seconds of A's passes up to the cut of each row, which the rows of a pack share."""
    kind = _numbers((model.training.arch, model.training.options) for model in plan.models)
    keys = np.column_stack([kind[rows[:, A]], rows[:, [CUT_A, OPERATION]]])

    def seconds(a: int, _b: int, cut_a: int, _cut_b: int, position: int) -> float:
        cut = plan.catalog.cuts_of(plan.models[a].training)[cut_a]
        return cost.shared_seconds(plan.graph.operations[position], cut, plan.data, plan.catalog)

    return _once_a_key(keys, rows, seconds)
