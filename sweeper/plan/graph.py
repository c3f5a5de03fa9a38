"""The stitches and measurements of a job as an array: one row of five integers each.

A row is (A, B, cut of A, cut of B, operation): A (the bottom) and B (the top) are positions in the zoo, the cuts are
positions in the networks' lists of cuts, and the operation is a position in `Graph.operations`. A million Python
objects would take 1.4 GB; a million rows take 16 MB, and their ids as much again.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError
from sweeper.spec.cards.card import Cut
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.datasets import default_augment
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.cards.options import complete
from sweeper.spec.cards.protocols import PROTOCOLS
from sweeper.spec.cards.user_stitchers import UserStitcher
from sweeper.spec.job import grid
from sweeper.spec.job.sweep import Every, Pairing, ResolvedSweep, SimilaritySection, StitchSection
from sweeper.spec.job.where import Where
from sweeper.spec.records.ident import idents
from sweeper.spec.records.task import Data, Model, Options, Recipe
from sweeper.spec.user_code import code

from .zoo import Zoo

Integers = NDArray[np.int32]


class MeasureSpec(NamedTuple):
    """A measure and its settings, shared by many measurements as a recipe is shared by many stitches."""

    measure: str
    options: Options
    null: int = 0


Operation = Recipe | MeasureSpec


# The columns of a row: A and B (positions in the zoo), their cuts (positions in `Catalog.cuts_of`), the operation.
A, B, CUT_A, CUT_B, OPERATION = range(5)


class SectionCount(NamedTuple):
    """The number of tasks of one pairing of the job, before duplicates between pairings are removed."""

    kind: str  # "stitches", "similarities"
    bottom: tuple[str, ...]
    top: tuple[str, ...]
    pairs: int  # pairs of models
    tasks: int
    left_out: int


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """All stitches and measurements of a job, each once, sorted by A, B, cuts and operation."""

    rows: Integers  # (tasks, 5): A, B, CUT_A, CUT_B, OPERATION
    ids: NDArray[np.uint8]  # (tasks, 16)
    operations: tuple[Operation, ...]  # recipes first, in an order that doesn't depend on the order in the job
    left_out: Mapping[str, int]  # the number of tasks left out, by reason
    sections: tuple[SectionCount, ...]

    def row_mask(self, condition: Callable[[Operation], bool], rows: Integers) -> NDArray[np.bool_]:
        """Return True for each row whose operation meets a condition, which is evaluated once for each operation.

        Args:
            condition: The condition, a function of an operation.
            rows: Rows of this graph, in any order; shape (n, 5).

        Returns:
            The mask, of shape (n,).
        """
        meets_condition = np.array([condition(operation) for operation in self.operations], bool)
        return meets_condition[rows[:, OPERATION]]


def graph(sweep: ResolvedSweep, data: Data, zoo: Zoo, catalog: Catalog) -> Graph:
    """Return the stitches and measurements of all pairings of a job, each once.

    Raises:
        SweeperError: The job has more than `limits.tasks` tasks.
    """
    pairings = (*sweep.stitch, *sweep.similarity)
    stitchers_by_name = _user_stitchers(sweep)
    operations_of_pairings = [
        tuple(dict.fromkeys(_operations(pairing, data, stitchers_by_name, catalog))) for pairing in pairings
    ]
    operations = tuple(sorted(set(chain.from_iterable(operations_of_pairings)), key=_order))
    position = {operation: i for i, operation in enumerate(operations)}
    blocks: list[Integers] = [np.empty((0, 5), np.int32)]
    left_out: Counter[str] = Counter()
    sections: list[SectionCount] = []
    tasks_left = sweep.limits.tasks - len(zoo.models)
    for pairing, pairing_operations in zip(pairings, operations_of_pairings, strict=True):
        pairs = _pairs(pairing, zoo, sweep)
        reasons_left_out: Counter[str] = Counter()
        first_block = len(blocks)
        for pairs_of_kind, cells in _cells(pairing, pairs, pairing_operations, zoo.models, catalog, reasons_left_out):
            cell_rows = np.array([(i, j, position[operation]) for i, j, operation in cells], np.int32).reshape(-1, 3)
            tasks_left -= len(pairs_of_kind) * len(cell_rows)
            if tasks_left < 0:
                raise SweeperError(f"more than {sweep.limits.tasks} tasks (limits.tasks)")
            blocks.append(
                np.hstack([np.repeat(pairs_of_kind, len(cell_rows), 0), np.tile(cell_rows, (len(pairs_of_kind), 1))])
            )
        kind = "stitches" if isinstance(pairing, StitchSection) else "similarities"
        tasks = sum(map(len, blocks[first_block:]))
        sections.append(SectionCount(kind, pairing.bottom, pairing.top, len(pairs), tasks, reasons_left_out.total()))
        left_out.update(reasons_left_out)
    rows = _unique_rows(np.concatenate(blocks))
    return Graph(rows, _ids(rows, data, zoo.models, operations, catalog), operations, dict(left_out), tuple(sections))


def cut_names(models: Sequence[Model], catalog: Catalog) -> list[tuple[str, ...]]:
    """Return, for each model, the names of its cuts and of its output."""
    return [tuple(cut.name for cut in catalog.cuts_of(model.training)) for model in models]


def _pairs(pairing: Pairing, zoo: Zoo, sweep: ResolvedSweep) -> Integers:
    """Return the pairs of models of a pairing, each once, as (pairs, 2) positions in the zoo.

    Raises:
        SweeperError: There are more than `limits.tasks` pairs, or zipped families differ in length.
    """
    bottoms = [(position, family) for family in pairing.bottom for position in zoo.families[family]]
    tops = [(position, family) for family in pairing.top for position in zoo.families[family]]
    is_zipped = any({"bottom", "top"} <= set(group) for group in pairing.zip)
    if is_zipped and len(bottoms) != len(tops):
        raise SweeperError(
            f"bottom and top are zipped and need equal numbers of models; they have {len(bottoms)} and {len(tops)}"
        )
    candidates = zip(bottoms, tops, strict=True) if is_zipped else product(bottoms, tops)
    if pairing.where:
        candidates = _filtered(candidates, Where.of(pairing.where, sweep), zoo.models)
    pair_numbers: set[int] = set()  # a pair as one number: a million tuples would be 100 MB
    for (a, _), (b, _) in candidates:
        pair_numbers.add(a * len(zoo.models) + b)
        if len(pair_numbers) > sweep.limits.tasks:
            raise SweeperError(f"more than {sweep.limits.tasks} pairs of models (limits.tasks)")
    numbers = np.array(sorted(pair_numbers), np.int64)
    return np.stack(np.divmod(numbers, max(len(zoo.models), 1)), 1).astype(np.int32)


Candidate = tuple[tuple[int, str], tuple[int, str]]  # A's position and family, B's position and family


def _filtered(candidates: Iterable[Candidate], where: Where, models: Sequence[Model]) -> Iterator[Candidate]:
    """Return the pairs for which the condition `where` of a pairing holds."""
    values = cache(lambda position, family: where.values(models[position], family))
    return ((a, b) for a, b in candidates if where.holds(values(*a), values(*b)))


def _user_stitchers(sweep: ResolvedSweep) -> Mapping[str, UserStitcher]:
    """Return the user's own stitchers by the names that the job gives them.

    Raises:
        SweeperError: The code of a stitcher is not trusted and does not belong to an installed distribution.
    """
    for stitcher in sweep.stitchers:
        if ":" in stitcher.where and not code.find_trusted(sweep.code, stitcher.name):
            raise SweeperError(
                f"{stitcher.name} runs code that is not part of Sweeper: load its job with --trust (trust=True)"
            )
    return {stitcher.name: stitcher for stitcher in sweep.stitchers}


def _operations(
    pairing: Pairing, data: Data, stitchers_by_name: Mapping[str, UserStitcher], catalog: Catalog
) -> Iterator[Operation]:
    """Yield the recipes or measures that a pairing applies to each pair of cuts."""
    if isinstance(pairing, SimilaritySection):
        for named in pairing.measure:
            for options in grid.expand(named.options):
                settings = complete(MEASURES[named.name].options, options, named.name)
                yield from (MeasureSpec(named.name, settings, null) for null in pairing.null)
    if isinstance(pairing, StitchSection):
        names = ("protocol", "data", "seed", "steps", "batch", "lr", "augment", "stop", "sender", "train")
        axes = {name: getattr(pairing, name) for name in names if getattr(pairing, name) is not None}
        zipped = [group for group in pairing.zip if not {"bottom", "top"} & set(group)]
        for named in pairing.stitcher:
            for options in grid.expand(named.options):
                for point in grid.expand(axes, zipped):
                    yield _recipe(named.name, options, point, data, stitchers_by_name.get(named.name), catalog)


def _recipe(
    name: str, options: Mapping, point: Mapping, data: Data, user_stitcher: UserStitcher | None, catalog: Catalog
) -> Recipe:
    """Return the recipe of a stitcher at one point of a section's grid, with every default filled in.

    Settings that can't change the result get one fixed value, so that equal stitches share one id. If nothing trains,
    the recipe depends only on the protocol and the sender, and, if the stitcher is solved from images, on the choice
    of images. If the protocol never stops early, `stop` is "held_out". If no images are held out, `all`
    images are the "full" ones.
    """
    stitcher, source, where = name, "", ""
    if user_stitcher:
        stitcher, source, where = user_stitcher.card, user_stitcher.source, user_stitcher.where
    card, protocol = catalog.stitcher(stitcher), PROTOCOLS[point["protocol"]]
    settings = complete(card.options, options, name)
    images = (
        point["data"] if data.holdout or point["data"] == "top" else "full"
    )  # without held-out images, all are used
    if not card.trains and point["train"] == "stitcher":
        return Recipe(
            stitcher,
            settings,
            protocol.name,
            data=images if card.solved_from_data else "full",
            seed=0,
            steps=0,
            batch=0,
            lr=0.0,
            augment="none",
            sender=point["sender"],
            source=source,
            where=where,
        )
    augment = point.get("augment", protocol.augment)
    train = "stitcher" if card.replaces_top else point["train"]  # without a top, only the stitcher trains
    return Recipe(
        stitcher=stitcher,
        options=settings,
        protocol=protocol.name,
        data=images,
        seed=point["seed"],
        steps=point.get("steps", protocol.steps),
        batch=point.get("batch", protocol.batch),
        lr=float(point.get("lr", protocol.top_lr if train == "top" else protocol.lr)),
        augment=default_augment(data) if augment == "data" else augment,
        stop=point["stop"] if protocol.stops else "held_out",
        sender=point["sender"],
        train=train,
        source=source,
        where=where,
    )


def _order(operation: Operation) -> tuple[Any, ...]:
    """Return a sort key: recipes by their fields, then measures. Options of one name have comparable types."""
    if isinstance(operation, Recipe):
        settings = (
            operation.protocol,
            operation.data,
            operation.seed,
            operation.steps,
            operation.batch,
            operation.lr,
            operation.augment,
            operation.stop,
            operation.sender,
        )
        return (False, operation.stitcher, operation.options, *settings, operation.train, operation.source)
    return (True, operation.measure, operation.options, operation.null)


Cell = tuple[int, int, Operation]  # positions of a cut of A and of one of B, and what joins or compares them


def _cells(
    pairing: Pairing,
    pairs: Integers,
    operations: Sequence[Operation],
    models: Sequence[Model],
    catalog: Catalog,
    reasons_left_out: Counter[str],
) -> Iterator[tuple[Integers, list[Cell]]]:
    """Yield groups of pairs with equal kinds of networks, each with the cells that every pair of the group gets.

    A kind of network is an architecture with its settings and the shape of its images, trained or untrained.

    Pairs of cuts that can't be joined are counted by reason in `reasons_left_out`.
    """
    kinds = [(run.arch, run.options, run.image, run.steps > 0) for run in (model.training for model in models)]
    number = {kind: i for i, kind in enumerate(dict.fromkeys(kinds))}
    kind_numbers = np.array([number[kind] for kind in kinds], np.int64)
    pair_kinds = kind_numbers[pairs[:, 0]] * len(number) + kind_numbers[pairs[:, 1]]
    for value in np.unique(pair_kinds):
        pairs_of_kind = pairs[pair_kinds == value]
        a, b = (models[position] for position in pairs_of_kind[0])
        cells: list[Cell] = []
        for cell in _cells_of_pair(pairing, a, b, operations, catalog):
            if isinstance(cell, str):
                reasons_left_out[cell] += len(pairs_of_kind)
            else:
                cells.append(cell)
        yield pairs_of_kind, cells


def _cells_of_pair(
    pairing: Pairing, a: Model, b: Model, operations: Sequence[Operation], catalog: Catalog
) -> Iterator[Cell | str]:
    """Yield each cell of a pair of models, or the reason why a pair of cuts is left out.

    A layer named by the job is looked up in A and in B, by name or by position, so different architectures are
    compared at the cuts whose name or position they share. If the job names the top's layers too, each layer of A is
    paired with each layer of B. A measure of outputs has one cell, whatever the layers. A stitcher that replaces the
    top has one cell for each layer of A.
    """
    (*bottom_cuts, output_a), (*top_cuts, output_b) = catalog.cuts_of(a.training), catalog.cuts_of(b.training)
    output_measures = [operation for operation in operations if _compares_outputs(operation)]
    for operation in output_measures:
        yield _misfit(operation, output_a, output_b, b, catalog) or (len(bottom_cuts), len(top_cuts), operation)
    layers = _layers(pairing.layers, bottom_cuts)
    recipes_without_top = [operation for operation in operations if _replaces_top(operation, catalog)]
    for layer, operation in product(layers, recipes_without_top):
        i = _cut_position(layer, bottom_cuts)
        if i is None:
            yield f"{a.training.arch} has no cut {layer}"
        else:
            yield _misfit(operation, bottom_cuts[i], output_b, b, catalog) or (i, len(top_cuts), operation)
    cut_operations = [
        operation for operation in operations if operation not in (*output_measures, *recipes_without_top)
    ]
    if pairing.top_layers == "same":
        layer_pairs = zip(layers, layers, strict=True)
    else:
        layer_pairs = product(layers, _layers(pairing.top_layers, top_cuts))
    for layer_a, layer_b in layer_pairs:
        i, j = _cut_position(layer_a, bottom_cuts), _cut_position(layer_b, top_cuts)
        for operation in cut_operations:
            if i is None:
                yield f"{a.training.arch} has no cut {layer_a}"
            elif j is None:
                yield f"{b.training.arch} has no cut {layer_b}"
            else:
                yield _misfit(operation, bottom_cuts[i], top_cuts[j], b, catalog) or (i, j, operation)


def _compares_outputs(operation: Operation) -> bool:
    return isinstance(operation, MeasureSpec) and MEASURES[operation.measure].compares == "outputs"


def _replaces_top(operation: Operation, catalog: Catalog) -> bool:
    return isinstance(operation, Recipe) and catalog.stitcher(operation.stitcher).replaces_top


def _layers(layers: str | Every | Sequence[str | int], cuts: Sequence[Cut]) -> Sequence[str | int]:
    """Return the layers that a pairing names. `every: n` counts from the end and so includes the last cut."""
    if isinstance(layers, Every):
        return [cut.name for cut in cuts[::-1][:: layers.every][::-1]]
    return [cut.name for cut in cuts] if isinstance(layers, str) else layers


def _cut_position(layer: str | int, cuts: Sequence[Cut]) -> int | None:
    """Return the index in `cuts` of the cut with a name or a position; None if there is none."""
    return next((i for i, cut in enumerate(cuts) if layer in (cut.name, cut.position)), None)


def _misfit(operation: Operation, bottom_cut: Cut, top_cut: Cut, b: Model, catalog: Catalog) -> str:
    """Return the reason why the operation can't join two cuts, or "" if it can."""
    if isinstance(operation, MeasureSpec):
        return MEASURES[operation.measure].misfit(bottom_cut.shape, top_cut.shape, dict(operation.options))
    if operation.data == "top" and not b.training.samples:
        return "data: top needs a top that was trained"
    return catalog.stitcher(operation.stitcher).misfit(bottom_cut.shape, top_cut.shape, dict(operation.options))


def _unique_rows(rows: Integers) -> Integers:
    """Return the rows sorted by column, without duplicates."""
    sorted_rows = rows[np.lexsort(rows.T[::-1])]
    is_first = np.ones(len(sorted_rows), bool)
    is_first[1:] = (sorted_rows[1:] != sorted_rows[:-1]).any(1)
    return sorted_rows[is_first]


def _ids(
    rows: Integers, data: Data, models: Sequence[Model], operations: Sequence[Operation], catalog: Catalog
) -> NDArray[np.uint8]:
    """Return the id of each row, as (rows, 16) bytes.

    The fields of a task other than its models are hashed once for each pair of cuts and operation.
    """

    @cache
    def hasher(cut_a: str, cut_b: str, position: int) -> Callable[[Sequence[str]], bytes]:
        return idents(*_spec(operations[position], cut_a, cut_b, data))

    names = cut_names(models, catalog)
    ids = [model.id for model in models]
    id_bytes = (
        hasher(names[a][i], names[b][j], position)((ids[a], ids[b]))
        for a, b, i, j, position in map(tuple, rows.tolist())
    )
    return np.frombuffer(b"".join(id_bytes), np.uint8).reshape(-1, 16)


def _spec(operation: Operation, cut_a: str, cut_b: str, data: Data) -> tuple[str, Mapping[str, Any]]:
    """Return the kind of a task and the fields that enter its id, except its models."""
    fields = operation._asdict() if isinstance(operation, MeasureSpec) else dataclasses.asdict(operation)
    fields.pop("where", None)
    spec = {**fields, "options": dict(operation.options), "cut_a": cut_a, "cut_b": cut_b, "data_set": data.spec}
    return ("measure" if isinstance(operation, MeasureSpec) else "stitch"), spec
