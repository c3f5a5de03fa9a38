"""Packs: tasks that run together because they share work.

A training run and its snapshots are one pack. Stitches of one sender over one data stream share the sender's passes;
in a pack they stand in order of top and cut, so that what shares a top runs as one batch, and a pack waits for few
tops. Measurements and stitchers that train nothing have no stream: they ride with their sender's first.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.spec.records.task import Data, Measure, Model, Pack, Recipe, Stitch, StitchPack, TrainingRun, TrainPack

from . import cost
from .graph import CUT_A, CUT_B, USE, A, B, Graph, Integers, MeasureSpec, Operation

Floats = NDArray[np.float64]


class PlannedTasks(Protocol):
    """The part of a plan that packing reads: its tasks, and which of them are done.

    A protocol, because `Plan` itself imports this module.
    """

    sweep: ResolvedSweep
    data: Data
    catalog: Catalog
    graph: Graph
    model_done: NDArray[np.bool_]
    row_done: NDArray[np.bool_]

    @property
    def models(self) -> Sequence[Model]:
        """The models of the zoo, in the order that the graph's rows count them by."""
        ...

    def tasks(self, numbers: Sequence[int]) -> list[Stitch | Measure]:
        """Return the tasks of some rows of the graph."""
        ...


def packs(plan: PlannedTasks) -> Iterator[Pack]:
    """What a plan misses, each task in exactly one pack: training runs, then stitches sender by sender."""
    yield from train_packs(plan)
    yield from (_stitch_pack(plan, part) for part in parts(plan))


def keep(pack: Pack, tasks: Collection[str]) -> Pack:
    """Return a pack of some of a pack's tasks, in the same order, with its seconds scaled in proportion."""
    wanted = frozenset(tasks)
    if isinstance(pack, TrainPack):
        models = tuple(model for model in pack.models if model.id in wanted)
        kept = replace(pack, models=models)
    else:
        stitches = tuple(stitch for stitch in pack.stitches if stitch.id in wanted)
        kept = replace(pack, stitches=stitches, measures=tuple(m for m in pack.measures if m.id in wanted))
    share = len(kept.tasks) / len(pack.tasks)
    return replace(kept, id=_id(kept.tasks), seconds=pack.seconds * share)


def split(pack: Pack) -> tuple[Pack, Pack]:
    """Split a pack into two halves.

    Raises:
        ValueError: The pack has a single task.
    """
    tasks = pack.tasks
    if len(tasks) < 2:
        raise ValueError(f"pack {pack.id} has a single task")
    return keep(pack, tasks[: len(tasks) // 2]), keep(pack, tasks[len(tasks) // 2 :])


def needing(pack: Pack, model: str) -> frozenset[str]:
    """Return the ids of a pack's tasks that need a model."""
    if isinstance(pack, TrainPack):
        return frozenset(pack.tasks if model in pack.inputs else ())
    return frozenset(task.id for task in (*pack.stitches, *pack.measures) if model in (task.a.id, task.b.id))


def _id(tasks: Iterable[str]) -> str:
    """Return the id of a pack, which doesn't depend on the order of its tasks."""
    return hashlib.blake2b("".join(sorted(tasks)).encode(), digest_size=16).hexdigest()


class Part(NamedTuple):
    """A pack of stitches and measurements before its objects are made."""

    numbers: NDArray[np.intp]  # of its rows in the graph
    seconds: float


def parts(plan: PlannedTasks) -> Iterator[Part]:
    """The rows that a plan misses, cut into packs."""
    missing = np.flatnonzero(~plan.row_done)
    if not len(missing):
        return
    rows = plan.graph.rows[missing]
    own, stream = _own_seconds(plan, rows), _streams(plan, rows)
    order = np.lexsort((stream, rows[:, A]))  # stable: inside a stream the graph's order stays, top by top
    keys = np.stack([rows[order, A], stream[order]], 1)
    for group in np.split(order, np.flatnonzero((keys[1:] != keys[:-1]).any(1)) + 1):
        shared = _shared_seconds(plan, rows[group])
        for part in _cut(group, own[group], shared, plan.sweep.engine.pack_seconds):
            yield Part(missing[part], float(shared + own[part].sum()))


def train_packs(plan: PlannedTasks) -> Iterator[TrainPack]:
    """The training runs of a plan's missing models."""
    runs: defaultdict[str, list[Model]] = defaultdict(list)
    for model, done in zip(plan.models, plan.model_done.tolist(), strict=True):
        if not done:
            runs[model.training.id].append(model)
    for found in runs.values():
        models = tuple(sorted(found, key=lambda model: model.step))
        seconds = cost.train_seconds(models[-1], plan.catalog.network_of(models[-1].training))
        yield TrainPack(_id(model.id for model in models), models[-1].training, models, seconds)


def _stitch_pack(plan: PlannedTasks, part: Part) -> StitchPack:
    tasks = plan.tasks(part.numbers.tolist())
    stitches = tuple(task for task in tasks if isinstance(task, Stitch))
    measures = tuple(task for task in tasks if isinstance(task, Measure))
    return StitchPack(_id(task.id for task in tasks), tasks[0].a, stitches, measures, part.seconds)


def _cut(group: NDArray[np.intp], own: Floats, shared: float, target: float) -> list[NDArray[np.intp]]:
    """Divide a group of rows into parts of about `target` seconds.

    Every part repeats the shared passes, so parts are longer if these would take more than a quarter of `target`.
    """
    room = max(target - shared, 3 * shared)
    count = max(1, round(float(own.sum()) / room))
    middle = np.cumsum(own) - own / 2
    number = np.minimum(middle * count / own.sum(), count - 1).astype(int)
    return np.split(group, np.flatnonzero(np.diff(number)) + 1)


def _streams(plan: PlannedTasks, rows: NDArray[np.int32]) -> NDArray[np.int64]:
    """A number for the data stream of each row; riders take their sender's first."""
    of_use = _numbers(_stream(use) for use in plan.graph.uses)
    of_top = _numbers(_subset(model.training) for model in plan.models)
    rides = np.array([not _stream(use) for use in plan.graph.uses], bool)[rows[:, USE]]
    top = np.array([isinstance(use, Recipe) and use.data == "top" for use in plan.graph.uses], bool)[rows[:, USE]]
    stream = of_use[rows[:, USE]] * (of_top.max() + 2) + np.where(top, of_top[rows[:, B]] + 1, 0)
    of_labels = _numbers((model.training.labels,) for model in plan.models)  # a stitcher is trained on B's labels
    stream = stream * (of_labels.max() + 1) + of_labels[rows[:, B]]
    first = np.full(len(plan.models), np.iinfo(np.int64).max)
    np.minimum.at(first, rows[~rides, A], stream[~rides])
    return np.where(rides, first[rows[:, A]], stream)


def _stream(use: Operation) -> tuple[object, ...]:
    """Return the settings that decide a stitcher's training images; () if it trains on none."""
    if isinstance(use, Recipe) and use.steps:
        return (use.protocol, use.data, use.seed, use.batch, use.augment, use.sender)
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
    """Each row's own part of the cost: the same for all pairs of like networks."""
    kind = _numbers((model.training.arch, model.training.options) for model in plan.models)
    like = np.column_stack([kind[rows[:, A]], kind[rows[:, B]], rows[:, CUT_A:]])
    _, example, place = np.unique(like, axis=0, return_index=True, return_inverse=True)
    seconds = []
    for a, b, cut_a, cut_b, use in rows[example].tolist():
        bottom, top = plan.models[a].training, plan.models[b].training
        ends = plan.catalog.cuts_of(bottom)[cut_a], plan.catalog.cuts_of(top)[cut_b]
        seconds.append(
            cost.own_seconds(plan.graph.uses[use], *ends, plan.catalog.network_of(top), plan.data, plan.catalog)
        )
    return np.array(seconds)[place] + _top_pass_seconds(plan, rows)


def _top_pass_seconds(plan: PlannedTasks, rows: Integers) -> Floats:
    """Each measurement's share of B's passes: one, up to the deepest cut, serves all of a pair of models."""
    measured = np.array([isinstance(use, MeasureSpec) for use in plan.graph.uses], bool)[rows[:, USE]]
    pairs, pair, sharing = np.unique(rows[measured][:, [A, B]], axis=0, return_inverse=True, return_counts=True)
    deepest = np.zeros(len(pairs), np.int64)
    np.maximum.at(deepest, pair, rows[measured, CUT_B])
    tops = (
        plan.catalog.cuts_of(plan.models[b].training)[cut] for b, cut in zip(pairs[:, 1].tolist(), deepest, strict=True)
    )
    passes = np.array([cost.pass_seconds(cut, plan.data) for cut in tops])
    seconds = np.zeros(len(rows))
    seconds[measured] = (passes / sharing)[pair]
    return seconds


def _shared_seconds(plan: PlannedTasks, rows: NDArray[np.int32]) -> float:
    """A's passes, for rows of one sender and stream."""
    deepest = plan.catalog.cuts_of(plan.models[int(rows[0, A])].training)[int(rows[:, CUT_A].max())]
    uses = (plan.graph.uses[use] for use in np.unique(rows[:, USE]).tolist())
    return max(cost.shared_seconds(use, deepest, plan.data, plan.catalog) for use in uses)
