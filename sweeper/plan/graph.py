"""From the pairings of a job to columns: every stitch and measurement as five integers.

A row is (A, B, cut of A, cut of B, use): places in the zoo, in the networks' cuts and in the table of uses. A million
objects would be 1.4 GB; a million rows are 16 MB, and their ids as much again.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError
from sweeper.spec.cards import user_stitchers
from sweeper.spec.cards.archs import network
from sweeper.spec.cards.card import Cut, Network
from sweeper.spec.cards.datasets import default_augment
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.cards.options import complete
from sweeper.spec.cards.protocols import PROTOCOLS
from sweeper.spec.cards.user_stitchers import UserStitcher
from sweeper.spec.job import grid
from sweeper.spec.job.sweep import Every, Pairing, SimilaritySection, StitchSection, Sweep
from sweeper.spec.job.where import Where
from sweeper.spec.records.ident import idents
from sweeper.spec.records.task import Data, Model, Options, Recipe, Train
from sweeper.spec.user_code import code

from .zoo import Zoo

Integers = NDArray[np.int32]


class Metric(NamedTuple):
    """A measure and its settings: to a measurement what a recipe is to a stitch."""

    measure: str
    options: Options
    null: int = 0


Use = Recipe | Metric


# The columns of a row: A and B (places in the zoo), where each is cut (places in `cuts_of` its network), and the use.
A, B, CUT_A, CUT_B, USE = range(5)


class SectionCount(NamedTuple):
    """What one pairing of the job came to, before tasks named twice are united."""

    kind: str  # "stitches", "similarities"
    bottom: tuple[str, ...]
    top: tuple[str, ...]
    pairs: int  # of models
    tasks: int
    left_out: int


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """All stitches and measurements of a job, in order of A, B, cuts and use, each once."""

    rows: Integers  # (tasks, 5): A, B, CUT_A, CUT_B, USE
    ids: NDArray[np.uint8]  # (tasks, 16)
    uses: tuple[Use, ...]  # recipes first, in an order that doesn't depend on the job's
    left_out: Mapping[str, int]  # reason: how many stitches or measurements it costs
    sections: tuple[SectionCount, ...]


def graph(sweep: Sweep, data: Data, zoo: Zoo) -> Graph:
    """Every pairing of the job, united. Raises SweeperError over `limits.tasks`."""
    pairings = (*sweep.stitch, *sweep.similarity)
    theirs = _theirs(sweep)
    used = [tuple(dict.fromkeys(_uses(pairing, data, theirs))) for pairing in pairings]
    uses = tuple(sorted({use for found in used for use in found}, key=_order))
    place = {use: i for i, use in enumerate(uses)}
    blocks: list[Integers] = [np.empty((0, 5), np.int32)]
    left_out: Counter[str] = Counter()
    sections = []
    room = sweep.limits.tasks - len(zoo.models)
    for pairing, found in zip(pairings, used, strict=True):
        pairs = _pairs(pairing, zoo, sweep.limits.tasks)
        lost: Counter[str] = Counter()
        before = len(blocks)
        for chosen, cells in _cells(pairing, pairs, found, zoo.models, lost):
            joints = np.array([(i, j, place[use]) for i, j, use in cells], np.int32).reshape(-1, 3)
            room -= len(chosen) * len(joints)
            if room < 0:
                raise SweeperError(f"more than {sweep.limits.tasks} tasks (limits.tasks)")
            blocks.append(np.hstack([np.repeat(chosen, len(joints), 0), np.tile(joints, (len(chosen), 1))]))
        kind = "stitches" if isinstance(pairing, StitchSection) else "similarities"
        tasks = sum(map(len, blocks[before:]))
        sections.append(SectionCount(kind, pairing.bottom, pairing.top, len(pairs), tasks, lost.total()))
        left_out.update(lost)
    rows = _unique(np.concatenate(blocks))
    return Graph(rows, _ids(rows, data, zoo.models, uses), uses, dict(left_out), tuple(sections))


def network_of(run: Train) -> Network:
    """What a training run's network costs, and where it can be cut."""
    return network(run.arch, run.options, run.data.shape, run.classes)


def cuts_of(run: Train) -> tuple[Cut, ...]:
    """Where activations of a network may be taken: its cuts, in order of depth, then its output."""
    network = network_of(run)
    return (*network.cuts, network.output(run.classes))


def cut_names(models: Sequence[Model]) -> list[tuple[str, ...]]:
    """The names of each model's cuts, and of its output."""
    return [tuple(cut.name for cut in cuts_of(model.training)) for model in models]


def _pairs(pairing: Pairing, zoo: Zoo, most: int) -> Integers:
    """Which models meet, as (pairs, 2) places in the zoo, each pair once. Raises SweeperError for more than `most`."""
    bottoms = [(place, family) for family in pairing.bottom for place in zoo.families[family]]
    tops = [(place, family) for family in pairing.top for place in zoo.families[family]]
    side_by_side = any({"bottom", "top"} <= set(group) for group in pairing.zip)
    if side_by_side and len(bottoms) != len(tops):
        raise SweeperError(f"bottom and top are zipped: {len(bottoms)} models can't meet {len(tops)} one by one")
    candidates = zip(bottoms, tops, strict=True) if side_by_side else product(bottoms, tops)
    if pairing.where:
        candidates = _thinned(candidates, pairing.where, zoo.models)
    met: set[int] = set()  # a pair as one number: a million tuples would be 100 MB
    for (a, _), (b, _) in candidates:
        met.add(a * len(zoo.models) + b)
        if len(met) > most:
            raise SweeperError(f"more than {most} pairs of models (limits.tasks)")
    numbers = np.array(sorted(met), np.int64)
    return np.stack(np.divmod(numbers, max(len(zoo.models), 1)), 1).astype(np.int32)


Candidate = tuple[tuple[int, str], tuple[int, str]]  # A's place and family, B's place and family


def _thinned(candidates: Iterable[Candidate], text: str, models: Sequence[Model]) -> Iterator[Candidate]:
    where = Where(text)
    values = cache(lambda place, family: where.values(models[place], family))
    return ((a, b) for a, b in candidates if where.holds(values(*a), values(*b)))


def _theirs(sweep: Sweep) -> Mapping[str, UserStitcher]:
    """The users' own stitchers by the names that the job gives them. Raises SweeperError for one whose code wasn't
    trusted, unless it came with an installed distribution."""
    for stitcher in sweep.stitchers:
        if ":" in stitcher.where and not code.known(sweep.code, stitcher.name):
            raise SweeperError(
                f"{stitcher.name} runs code that isn't Sweeper's: load its job with --trust (trust=True)"
            )
    return {stitcher.name: stitcher for stitcher in sweep.stitchers}


def _uses(pairing: Pairing, data: Data, theirs: Mapping[str, UserStitcher]) -> Iterator[Use]:
    """What each pair of cuts is joined or compared by."""
    if isinstance(pairing, SimilaritySection):
        for named in pairing.measure:
            for options in grid.expand(named.options):
                settings = complete(MEASURES[named.name].options, options, named.name)
                yield from (Metric(named.name, settings, null) for null in pairing.null)
    if isinstance(pairing, StitchSection):
        names = ("protocol", "data", "seed", "steps", "batch", "lr", "augment", "stop", "sender", "train")
        axes = {name: getattr(pairing, name) for name in names if getattr(pairing, name) is not None}
        zipped = [group for group in pairing.zip if not {"bottom", "top"} & set(group)]
        for named in pairing.stitcher:
            for options in grid.expand(named.options):
                for point in grid.expand(axes, zipped):
                    yield _recipe(named.name, options, point, data, theirs.get(named.name))


def _recipe(name: str, options: Mapping, point: Mapping, data: Data, theirs: UserStitcher | None) -> Recipe:
    """Where nothing trains there is one recipe a protocol and sender, whatever the other axes say; one that is solved
    from images has one for each choice of them. Where a protocol never stops early, `stop` says nothing."""
    stitcher, source, where = (theirs.card, theirs.source, theirs.where) if theirs else (name, "", "")
    card, protocol = user_stitchers.card(stitcher), PROTOCOLS[point["protocol"]]
    settings = complete(card.options, options, name)
    if not card.trains and point["train"] == "stitcher":
        return Recipe(
            stitcher,
            settings,
            protocol.name,
            data=point["data"] if card.solved_from_data else "full",
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
    train = "stitcher" if card.replaces_top else point["train"]  # there is no top
    return Recipe(
        stitcher=stitcher,
        options=settings,
        protocol=protocol.name,
        data=point["data"],
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


def _order(use: Use) -> tuple[Any, ...]:
    """Recipes by their fields, then metrics by theirs; options of one name have comparable types."""
    if isinstance(use, Recipe):
        rest = (use.protocol, use.data, use.seed, use.steps, use.batch, use.lr, use.augment, use.stop, use.sender)
        return (False, use.stitcher, use.options, *rest, use.train, use.source)
    return (True, use.measure, use.options, use.null)


Cell = tuple[int, int, Use]  # a cut of A, a cut of B and what joins them


def _cells(
    pairing: Pairing, pairs: Integers, uses: Sequence[Use], models: Sequence[Model], lost: Counter[str]
) -> Iterator[tuple[Integers, list[Cell]]]:
    """Pairs of models of one kind, with the cells that each of them gets; what can't be joined is counted in `lost`."""
    kinds = [(run.arch, run.options, run.steps > 0) for run in (model.training for model in models)]
    number = {kind: i for i, kind in enumerate(dict.fromkeys(kinds))}
    of = np.array([number[kind] for kind in kinds], np.int64)
    joint = of[pairs[:, 0]] * len(number) + of[pairs[:, 1]]
    for value in np.unique(joint):
        alike = pairs[joint == value]
        a, b = (models[place] for place in alike[0])
        cells: list[Cell] = []
        for cell in _joints(pairing, a, b, uses):
            if isinstance(cell, str):
                lost[cell] += len(alike)
            else:
                cells.append(cell)
        yield alike, cells


def _joints(pairing: Pairing, a: Model, b: Model, uses: Sequence[Use]) -> Iterator[Cell | str]:
    """Each cell of a pair of models, or the reason why there is none.

    A layer that the job asks for is looked up in A and in B, by name (`all`, `every`) or as the job gives it, and
    the two cuts meet. So unlike architectures meet where their cuts share a name or a position. Where the job names
    the top's layers too, each of A's meets each of B's. What compares outputs has one cell, whatever the layers; what
    stands for the top, too, has one for each of A's layers.
    """
    (*below, output_a), (*above, output_b) = cuts_of(a.training), cuts_of(b.training)
    of_outputs = [use for use in uses if _compares_outputs(use)]
    for use in of_outputs:
        yield _misfit(use, output_a, output_b, b) or (len(below), len(above), use)
    layers = _layers(pairing.layers, below)
    without_top = [use for use in uses if isinstance(use, Recipe) and user_stitchers.card(use.stitcher).replaces_top]
    for layer, use in product(layers, without_top):
        i = _find(layer, below)
        if i is None:
            yield f"{a.training.arch} has no cut {layer}"
        else:
            yield _misfit(use, below[i], output_b, b) or (i, len(above), use)
    of_cuts = [use for use in uses if use not in of_outputs and use not in without_top]
    same = pairing.top_layers == "same"
    met = zip(layers, layers, strict=True) if same else product(layers, _layers(pairing.top_layers, above))
    for layer_a, layer_b in met:
        i, j = _find(layer_a, below), _find(layer_b, above)
        for use in of_cuts:
            if i is None:
                yield f"{a.training.arch} has no cut {layer_a}"
            elif j is None:
                yield f"{b.training.arch} has no cut {layer_b}"
            else:
                yield _misfit(use, below[i], above[j], b) or (i, j, use)


def _compares_outputs(use: Use) -> bool:
    return isinstance(use, Metric) and MEASURES[use.measure].compares == "outputs"


def _layers(asked: str | Every | Sequence[str | int], cuts: Sequence[Cut]) -> Sequence[str | int]:
    """The cuts asked for. `every: n` counts from the end, so that the last cut is always among them."""
    if isinstance(asked, Every):
        return [cut.name for cut in cuts[::-1][:: asked.every][::-1]]
    return [cut.name for cut in cuts] if isinstance(asked, str) else asked


def _find(layer: str | int, cuts: Sequence[Cut]) -> int | None:
    return next((i for i, cut in enumerate(cuts) if layer in (cut.name, cut.position)), None)


def _misfit(use: Use, below: Cut, above: Cut, b: Model) -> str:
    """Why the two can't be joined so; "" where they can."""
    if isinstance(use, Metric):
        return MEASURES[use.measure].misfit(below.shape, above.shape, dict(use.options))
    if use.data == "top" and not b.training.samples:
        return "data: top needs a top that was trained"
    return user_stitchers.card(use.stitcher).misfit(below.shape, above.shape, dict(use.options))


def _unique(rows: Integers) -> Integers:
    """Sorted by column, each row once."""
    ordered = rows[np.lexsort(rows.T[::-1])]
    new = np.ones(len(ordered), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(1)
    return ordered[new]


def _ids(rows: Integers, data: Data, models: Sequence[Model], uses: Sequence[Use]) -> NDArray[np.uint8]:
    """The id of each row, (rows, 16) bytes. What is the same in many tasks is hashed once for each pair of cuts."""

    @cache
    def of(cut_a: str, cut_b: str, use: int) -> Callable[[Sequence[str]], bytes]:
        return idents(*_spec(uses[use], cut_a, cut_b, data))

    names = cut_names(models)
    ids = [model.id for model in models]
    parts = (of(names[a][i], names[b][j], use)((ids[a], ids[b])) for a, b, i, j, use in map(tuple, rows.tolist()))
    return np.frombuffer(b"".join(parts), np.uint8).reshape(-1, 16)


def _spec(use: Use, cut_a: str, cut_b: str, data: Data) -> tuple[str, Mapping[str, Any]]:
    """The kind of task and everything but its models that enters its id."""
    fields = use._asdict() if isinstance(use, Metric) else dataclasses.asdict(use)
    fields.pop("where", None)
    spec = {**fields, "options": dict(use.options), "cut_a": cut_a, "cut_b": cut_b, "data_set": data.spec}
    return ("measure" if isinstance(use, Metric) else "stitch"), spec
