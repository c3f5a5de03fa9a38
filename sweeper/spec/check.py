"""What a job of the right shape can still get wrong: names that don't exist, lengths and samples that can't be.

`check` serves the Python API. `findings` is the same with the way to each place, from which `load` finds line and
column.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sweeper.errors import DataError, Mistake

from . import grid, resolve
from .cards import probed
from .cards.archs import ARCHS, network, options_of
from .cards.card import Option, Shape
from .cards.datasets import DATASETS, most_samples
from .cards.measures import MEASURES
from .cards.stitchers import STITCHERS
from .source import Keys, dotted
from .sweep import Every, Family, Pairing, Scalar, SimilaritySection, StitchSection, Sweep, Use
from .task import Data
from .validate import did_you_mean, plain_number, show
from .where import Where, WhereError

# Combinations of an architecture's settings whose cuts are looked at.
_MOST_NETWORKS = 64
_STITCH_AXES = ("protocol", "data", "seed", "steps", "batch", "lr", "augment")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: the way to it, in words, and what would be right. `needs` are the settings that it was found
    from: where one of them is a mistake itself, this one says nothing. `of_key`: the key is wrong, not its value.
    `shift`: how many characters further on."""

    keys: Keys
    what: str
    right: str = ""
    needs: tuple[Keys, ...] = ()
    of_key: bool = False
    shift: int = 0


def check(sweep: Sweep) -> list[Mistake]:
    """Every mistake of a job that came from the Python API; the same as `load` would find, without places in a file."""
    return [Mistake(found.what, dotted(found.keys), found.right) for found in findings(sweep)]


def findings(sweep: Sweep) -> Iterator[Finding]:
    data = sweep.data
    if data is None:
        data, wrong = _sizes(sweep)
        yield from wrong
    for name, family in sweep.models.items():
        yield from _family(("models", name), family, data)
    for kind, sections in (("stitch", sweep.stitch), ("similarity", sweep.similarity)):
        for i, section in enumerate(sections):
            yield from _pairing((kind, i), section, sweep, data)
    yield from _size(sweep, data)


def _sizes(sweep: Sweep) -> tuple[Data | None, list[Finding]]:
    known = ", ".join(DATASETS)
    try:
        return resolve.sizes(sweep.dataset), []
    except KeyError:
        right = (
            did_you_mean(str(sweep.dataset), DATASETS)
            or f"known are {known}, {{parquet: FOLDER}} and {{imagefolder: FOLDER}}"
        )
        return None, [Finding(("dataset",), f"no data set '{sweep.dataset}'", right)]
    except DataError as error:
        keys = () if isinstance(sweep.dataset, str) else tuple(sweep.dataset.model_dump(exclude_none=True))
        return None, [Finding(("dataset", *keys[:1]), str(error))]


def _family(keys: Keys, family: Family, data: Data | None) -> Iterator[Finding]:
    yield from _archs(keys, family)
    yield from _length(keys, family)
    if data is not None:
        yield from _samples(keys, family, data)
    for what in grid.misfits(axes(family), family.zip):
        right = f"its axes are {', '.join(axes(family))}" if what.startswith("no axis") else ""
        yield Finding((*keys, "zip"), what, right, needs=tuple((*keys, name) for group in family.zip for name in group))


def axes(family: Family) -> Mapping[str, Sequence[Any]]:
    """The axes of a family's grid by name; settings of the architecture beside the others."""
    own = {name: getattr(family, name) for name in Family.model_fields if name not in ("options", "zip")}
    return {name: values for name, values in {**family.options, **own}.items() if values is not None}


def _archs(keys: Keys, family: Family) -> Iterator[Finding]:
    arch_keys = (*keys, "arch")
    for i, arch in enumerate(family.arch):
        fields = [name for name in Family.model_fields if name != "options"]
        if probed.elsewhere(arch) and arch.partition(":")[0] not in probed.LIBRARIES:
            right = "one of torchvision:NAME and timm:NAME; code of your own can't stand in a job yet"
            yield Finding(_at(arch_keys, family.arch, i), f"no architecture '{arch}'", right)
            continue
        if arch not in ARCHS and not probed.elsewhere(arch):
            right = did_you_mean(arch, ARCHS) or f"known are {', '.join(ARCHS)}"
            yield Finding(_at(arch_keys, family.arch, i), f"no architecture '{arch}'", right)
            anywhere = {name for card in ARCHS.values() for name in card.options}
            known = any(other in ARCHS for other in family.arch)
            for name in () if known else sorted(family.options.keys() - anywhere):
                right = did_you_mean(name, [*fields, *anywhere])
                yield Finding((*keys, name), f"no architecture has a setting '{name}'", right, of_key=True)
            continue
        for found in _options(keys, family.options, options_of(arch), arch, beside=fields):
            yield replace(found, needs=(arch_keys,))


def _options(
    keys: Keys,
    given: Mapping[str, Sequence[Scalar]],
    declared: Mapping[str, Option],
    whose: str,
    beside: Iterable[str] = (),
) -> Iterator[Finding]:
    """The settings of a card; `beside` are the other keys that may stand there."""
    for name, values in given.items():
        if name not in declared:
            known = [*declared, *beside]
            right = did_you_mean(name, known) or f"its settings are {', '.join(declared) or 'none'}"
            yield Finding((*keys, name), f"{whose} has no setting '{name}'", right, of_key=True)
            continue
        for i, value in enumerate(values):
            if right := _unfit(value, declared[name]):
                yield Finding(_at((*keys, name), values, i), f"{show(value)} is not possible", right)
    for name, option in declared.items():
        if option.default is None and name not in given:
            yield Finding(keys, f"{whose} needs a setting '{name}'", option.meaning)


def _unfit(value: Scalar, option: Option) -> str:
    """What a setting should be instead; "" where it is right."""
    whole_float = option.type is float and type(value) is int
    if type(value) is not option.type and not whole_float:
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        return f"it must be {words[option.type]}: {option.meaning}"
    if option.choices and value not in option.choices:
        return did_you_mean(str(value), option.choices) or f"it must be one of {', '.join(option.choices)}"
    if option.least is not None and isinstance(value, int | float) and value < option.least:
        return f"it must be at least {plain_number(option.least)}"
    if option.most is not None and isinstance(value, int | float) and value > option.most:
        return f"it must be at most {plain_number(option.most)}"
    return ""


def _length(keys: Keys, family: Family) -> Iterator[Finding]:
    steps, epochs, snapshot = ((*keys, name) for name in ("steps", "epochs", "snapshot"))
    if (family.steps is None) == (family.epochs is None):
        given = "both steps and epochs" if family.steps else "neither steps nor epochs"
        right = "name one of them" + ("" if family.steps else "; steps: 0 is a random initialisation")
        yield Finding(epochs if family.steps else keys, f"{given} say how long to train", right, needs=(steps, epochs))
        return
    unit = "steps" if family.steps else "epochs"
    for i, (length, at) in enumerate(_snapshots(family, unit)):
        place = _at(snapshot, family.snapshot or (), i % len(family.snapshot or "0"))
        if unit == "steps" and not float(at).is_integer():
            yield Finding(place, f"a snapshot after {at:g} steps", "steps are whole numbers", needs=(steps,))
        elif at > length > 0:
            what = f"a snapshot after {at:g} {unit} of a run of {length:g}"
            yield Finding(place, what, f"it must be at most {length:g}", needs=(steps, epochs))


def _snapshots(family: Family, unit: str) -> Iterator[tuple[float, float]]:
    """The pairs of length and snapshot that the grid holds: all, or side by side where they are zipped. An untrained
    network (0 steps) has none."""
    lengths, snapshots = getattr(family, unit), family.snapshot or ()
    zipped = any({unit, "snapshot"} <= set(group) for group in family.zip)
    if zipped:
        yield from zip(lengths, snapshots, strict=False)
    elif lengths and snapshots:
        shortest = min((length for length in lengths if length), default=0)
        yield from ((shortest, at) for at in snapshots)


def _samples(keys: Keys, family: Family, data: Data) -> Iterator[Finding]:
    most = most_samples(data)
    for i, samples in enumerate(family.samples):
        if samples != "all" and samples > most:
            kept = f", of which {data.holdout} only decide when to stop" if most < data.train else ""
            what = f"{samples} samples; the data set has {data.train} training images{kept}"
            place = _at((*keys, "samples"), family.samples, i)
            yield Finding(place, what, f"it must be at most {most}", needs=(("dataset",),))


def _pairing(keys: Keys, section: Pairing, sweep: Sweep, data: Data | None) -> Iterator[Finding]:
    for side in ("bottom", "top"):
        names = getattr(section, side)
        for i, name in enumerate(names):
            if name not in sweep.models:
                right = did_you_mean(name, sweep.models) or f"the job's families are {', '.join(sweep.models)}"
                place = _at((*keys, side), names, i)
                yield Finding(place, f"no family '{name}'", right, needs=(("models",), ("models", name)))
    yield from _where(keys, section)
    yield from _layers(keys, section, sweep, data)
    yield from _zip(keys, section, sweep)
    if isinstance(section, StitchSection):
        yield from _uses((*keys, "stitcher"), section.stitcher, STITCHERS, "stitcher")
    elif isinstance(section, SimilaritySection):
        yield from _uses((*keys, "measure"), section.measure, MEASURES, "measure")


def _where(keys: Keys, section: Pairing) -> Iterator[Finding]:
    if section.where is None:
        return
    try:
        Where(section.where)
    except WhereError as error:
        yield Finding((*keys, "where"), error.what, error.right, shift=error.at)


def _layers(keys: Keys, section: Pairing, sweep: Sweep, data: Data | None) -> Iterator[Finding]:
    if not isinstance(section.layers, tuple):
        return
    if not section.layers:
        yield Finding((*keys, "layers"), "nothing is named here", "name at least one cut, or all")
    families = [sweep.models[name] for name in (*section.bottom, *section.top) if name in sweep.models]
    needs = tuple(("models", name) for name in (*section.bottom, *section.top))
    for i, layer in enumerate(section.layers):
        for arch, cuts in _cuts(families, data).items():
            if not any(layer in cut for cut in cuts):
                names = [name for name, _ in cuts]
                listed = ", ".join(f"{name} ({position})" for name, position in cuts)
                right = did_you_mean(str(layer), names)
                right = f"{right} its cuts are {listed}" if right else f"its cuts are {listed}"
                place = _at((*keys, "layers"), section.layers, i)
                yield Finding(place, f"{arch} has no cut {show(layer)}", right, needs)


def _cuts(families: Iterable[Family], data: Data | None) -> dict[str, list[tuple[str, int]]]:
    """Names and positions of the cuts of each known architecture among the families, whatever its settings."""
    shape, classes = (data.shape, data.classes) if data else ((3, 32, 32), 10)
    found: dict[str, dict[tuple[str, int], None]] = {}
    for family in families:
        for arch in family.arch:
            if not _countable(arch, shape, classes) or list(_options((), family.options, options_of(arch), arch)):
                continue
            for options in islice(grid.expand(family.options), _MOST_NETWORKS):
                cuts = network(arch, options, shape, classes).cuts
                found.setdefault(arch, {}).update({(cut.name, cut.position): None for cut in cuts})
    return {arch: list(cuts) for arch, cuts in found.items()}


def _countable(arch: str, shape: Shape, classes: int) -> bool:
    """Whether the cuts of an architecture are known: those of our own, and of one from elsewhere that was probed."""
    card = probed.recall(arch, shape, classes) if probed.elsewhere(arch) else None
    if card:
        probed.learn(card)
    return arch in ARCHS or card is not None


def _zip(keys: Keys, section: Pairing, sweep: Sweep) -> Iterator[Finding]:
    place = (*keys, "zip")
    sides = {side: _models(getattr(section, side), sweep) for side in ("bottom", "top")}
    own = {name: getattr(section, name, None) for name in _STITCH_AXES}
    known: dict[str, Sequence[Any]] = {side: range(n or 0) for side, n in sides.items()}
    known |= {name: values for name, values in own.items() if values is not None}
    for group in section.zip:
        if 0 < len(sides.keys() & set(group)) < len(set(group) | sides.keys()):
            yield Finding(place, f"{', '.join(group)} can't be zipped", "bottom and top go with each other alone")
            return
    if None in sides.values() and any("bottom" in group for group in section.zip):
        return  # a family that doesn't exist, or whose own zip is wrong
    for what in grid.misfits(known, section.zip):
        right = f"its axes are {', '.join(known)}" if what.startswith("no axis") else ""
        needs = (*((*keys, name) for group in section.zip for name in group), ("models",))
        yield Finding(place, what, right, needs)


def _uses(keys: Keys, uses: Sequence[Use], cards: Mapping[str, Any], what: str) -> Iterator[Finding]:
    for i, use in enumerate(uses):
        place = _at(keys, uses, i)
        if use.name not in cards:
            right = did_you_mean(use.name, cards) or f"known are {', '.join(cards)}"
            yield Finding((*place, "name"), f"no {what} '{use.name}'", right)
        else:
            yield from _options(place, use.options, cards[use.name].options, use.name, beside=("name",))


def _size(sweep: Sweep, data: Data | None) -> Iterator[Finding]:
    """The number of tasks, before `where` thins the pairs; nothing is expanded."""
    models = _models(sweep.models, sweep)
    if models is None:
        return
    total = models
    largest, place = models, ("models",)
    for kind, sections in (("stitch", sweep.stitch), ("similarity", sweep.similarity)):
        for i, section in enumerate(sections):
            tasks = _tasks(section, sweep, data)
            if tasks is None:
                return
            total += tasks
            if tasks > largest:
                largest, place = tasks, (kind, i)
    if total > sweep.limits.tasks:
        what = f"the job comes to {total} tasks (before any where), of which {largest} from here"
        yield Finding(place, what, f"at most {sweep.limits.tasks} are allowed: limits.tasks", needs=(("limits",),))


def _tasks(section: Pairing, sweep: Sweep, data: Data | None) -> int | None:
    """Stitches or measurements of a section; None where they can't be counted for another mistake."""
    bottoms, tops = _models(section.bottom, sweep), _models(section.top, sweep)
    if bottoms is None or tops is None:
        return None
    pairs = bottoms if any("bottom" in group for group in section.zip) else bottoms * tops
    cuts = _cuts([sweep.models[name] for name in section.bottom], data).values()
    every = section.layers.every if isinstance(section.layers, Every) else 1
    layers = (
        len(section.layers)
        if isinstance(section.layers, tuple)
        else max((-(-len(c) // every) for c in cuts), default=0)
    )
    uses = section.stitcher if isinstance(section, StitchSection) else getattr(section, "measure", ())
    own = {name: getattr(section, name, None) for name in _STITCH_AXES}
    zipped = [group for group in section.zip if "bottom" not in group]
    try:
        points = grid.count({name: values for name, values in own.items() if values is not None}, zipped)
    except ValueError:
        return None
    return pairs * layers * points * sum(grid.count(use.options) for use in uses)


def _models(names: Iterable[str], sweep: Sweep) -> int | None:
    """How many models these families name; None where one doesn't exist or can't be counted."""
    families = [sweep.models.get(name) for name in names]
    try:
        return sum(grid.count(axes(family), family.zip) for family in families if family) if all(families) else None
    except ValueError:
        return None


def _at(keys: Keys, values: Sequence[object], i: int) -> Keys:
    """The way to one value of an axis; an axis of one may stand as a scalar."""
    return (*keys, i) if len(values) > 1 else keys
