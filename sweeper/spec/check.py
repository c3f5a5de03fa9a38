"""What a job of the right shape can still get wrong: names that don't exist, lengths and samples that can't be.

`check` serves the Python API. `findings` is the same with the way to each place, from which `load` finds line and
column.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sweeper.errors import DataError, Mistake

from . import code, grid, resolve
from .cards import probed
from .cards.archs import ARCHS, misfit, network, options_of, settings
from .cards.card import Option, Shape
from .cards.datasets import DATASETS, in_shard, most_samples
from .cards.labels import misfit as labels_misfit
from .cards.labels import outputs
from .cards.measures import MEASURES
from .cards.stitchers import STITCHERS
from .source import Keys, dotted
from .sweep import Every, Family, Pairing, Scalar, SimilaritySection, StitchSection, Sweep, Use
from .task import Data
from .validate import did_you_mean, plain_number, show
from .weights import NONE, SUFFIXES, TORCHVISION, find, is_file, is_set
from .where import Where, WhereError

# Combinations of an architecture's settings whose cuts are looked at.
_MOST_NETWORKS = 64
# Combinations that are tried on the data set's images; the plan refuses what lies beyond.
_MOST_SETTINGS = 10_000
# Axes of a section, beside what it uses.
_AXES = ("protocol", "data", "seed", "steps", "batch", "lr", "augment", "stop", "sender", "train", "null")
Layers = str | Every | tuple[str | int, ...]


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
        yield from _family(("models", name), family, sweep, data)
        yield from _start(("models", name), family, sweep, data)
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


def _family(keys: Keys, family: Family, sweep: Sweep, data: Data | None) -> Iterator[Finding]:
    yield from _archs(keys, family, sweep)
    yield from _length(keys, family)
    yield from _shards(keys, family)
    yield from _objective(keys, family)
    if data is not None:
        yield from _samples(keys, family, data)
        yield from _misfits(keys, family, data)
        for i, labels in enumerate(family.labels):
            what, right = labels_misfit(labels, data)
            if what:
                yield Finding(_at((*keys, "labels"), family.labels, i), what, right, needs=(("dataset",),))
    for what in grid.misfits(axes(family), family.zip):
        right = f"its axes are {', '.join(axes(family))}" if what.startswith("no axis") else ""
        yield Finding((*keys, "zip"), what, right, needs=tuple((*keys, name) for group in family.zip for name in group))


def axes(family: Family) -> Mapping[str, Sequence[Any]]:
    """The axes of a family's grid by name; settings of the architecture beside the others."""
    own = {name: getattr(family, name) for name in Family.model_fields if name not in ("options", "zip")}
    return {name: values for name, values in {**family.options, **own}.items() if values is not None}


def _archs(keys: Keys, family: Family, sweep: Sweep) -> Iterator[Finding]:
    arch_keys = (*keys, "arch")
    for i, arch in enumerate(family.arch):
        fields = [name for name in Family.model_fields if name != "options"]
        if probed.users(arch):
            yield from _code(_at(arch_keys, family.arch, i), arch, sweep)
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


def _code(keys: Keys, name: str, sweep: Sweep) -> Iterator[Finding]:
    """Code of the user's: trusted, and there."""
    trusted = code.known(sweep.code, name)
    if trusted is None:
        libraries = " and ".join(f"{library}:NAME" for library in probed.LIBRARIES)
        yield Finding(keys, f"{name} runs code that isn't Sweeper's", f"--trust allows it; {libraries} need none")
    elif not trusted.digest:
        right = "its file must lie in the current folder or on PYTHONPATH"
        yield Finding(keys, f"no module '{name.partition(':')[0]}'", right)


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


def _sound(arch: str, family: Family) -> bool:
    """Whether an architecture is one of ours, and the family's settings are right for it."""
    return arch in ARCHS and not list(_options((), family.options, ARCHS[arch].options, arch))


def _unfit(value: Scalar, option: Option) -> str:
    """What a setting should be instead; "" where it is right."""
    whole_float = option.type is float and type(value) is int
    if type(value) is not option.type and not whole_float:
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        return f"it must be {words[option.type]}: {option.meaning}"
    if option.choices and value not in option.choices:
        choices = [str(choice) for choice in option.choices]
        return did_you_mean(str(value), choices) or f"it must be one of {', '.join(choices)}"
    if option.least is not None and isinstance(value, int | float) and value < option.least:
        return f"it must be at least {plain_number(option.least)}"
    if option.most is not None and isinstance(value, int | float) and value > option.most:
        return f"it must be at most {plain_number(option.most)}"
    return ""


def _misfits(keys: Keys, family: Family, data: Data) -> Iterator[Finding]:
    """Settings that can't be on the data set's images, or not together; each said once, where the setting stands, or
    at the architecture whose default it is."""
    sound = [arch for arch in family.arch if _sound(arch, family)]
    own = {"arch": family.arch, **family.options}
    zipped = [group for names in family.zip if (group := [name for name in names if name in own])]
    if not sound or grid.misfits(own, zipped):
        return  # what is wrong is said elsewhere
    found: dict[str, Finding] = {}
    for point in islice(grid.expand(own, zipped), _MOST_SETTINGS):
        arch, options = str(point["arch"]), {name: point[name] for name in family.options}
        reason = ARCHS[arch].misfit(settings(arch, options), data.shape) if arch in sound else ""
        if reason and reason not in found:
            setting = reason.split()[0]
            name = setting if setting in options else "arch"
            place = _at((*keys, name), own[name], own[name].index(point[name]))
            right = f"{setting}: {ARCHS[arch].options[setting].meaning}"
            needs = (("dataset",), *((*keys, other) for other in own))
            found[reason] = Finding(place, f"{arch}: {reason}", right, needs)
    yield from found.values()


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
    whole = most_samples(data)
    kept = f", of which {data.holdout} only decide when to stop" if whole < data.train else ""
    fewest: dict[int, tuple[int, int]] = {}  # of the samples at each place, the least that any of its shards has
    for point in _together(family, "samples", "shards", "shard"):
        (i, samples), (_, shards), (_, shard) = point["samples"], point["shards"], point["shard"]
        most = in_shard(whole, shard, shards)
        if shard < shards and samples != "all" and samples > most:
            fewest[i] = min((most, shards), fewest.get(i, (most, shards)))
    for i, (most, shards) in sorted(fewest.items()):
        dealt = f" in {shards} shards" if shards > 1 else ""
        what = f"{family.samples[i]} samples; the data set has {data.train} training images{kept}{dealt}"
        place = _at((*keys, "samples"), family.samples, i)
        needs = (("dataset",), (*keys, "shards"), (*keys, "shard"))
        yield Finding(place, what, f"it must be at most {most}", needs)


def _shards(keys: Keys, family: Family) -> Iterator[Finding]:
    found = {}
    for point in _together(family, "shards", "shard"):
        (_, shards), (i, shard) = point["shards"], point["shard"]
        if shard >= shards:
            found.setdefault(i, shards)
    for i, shards in found.items():
        what = f"shard {family.shard[i]} of {shards}" if shards > 1 else f"shard {family.shard[i]}, but shards is 1"
        right = (
            f"shards are counted from 0: it must be at most {shards - 1}" if shards > 1 else "name shards: 2 or more"
        )
        yield Finding(_at((*keys, "shard"), family.shard, i), what, right, needs=((*keys, "shards"),))


def _objective(keys: Keys, family: Family) -> Iterator[Finding]:
    objective = (*keys, "objective")
    for name in ("temperature", "probe_steps"):
        if getattr(family, name) is not None and "simclr" not in family.objective:
            yield Finding((*keys, name), f"{name}, but nothing learns by simclr", "objective: simclr", (objective,))
    for point in _together(family, "objective", "batch"):
        i, batch = point["batch"]
        if point["objective"][1] == "simclr" and batch < 2:
            what = "simclr tells the images of a batch apart, and this one has a single image"
            yield Finding(_at((*keys, "batch"), family.batch, i), what, "it must be at least 2", (objective,))


def _start(keys: Keys, family: Family, sweep: Sweep, data: Data | None) -> Iterator[Finding]:
    """The weights that a family's runs begin with, and those that stay."""
    for i, cuts in enumerate(family.freeze or ()):
        for arch, known in _cuts([family], data).items():
            for cut in (cut for cut in cuts if not any(cut in each for each in known)):
                right = f"its cuts are {', '.join(f'{name} ({position})' for name, position in known)}"
                place = _at((*keys, "freeze"), family.freeze or (), i)
                yield Finding(place, f"{arch} has no cut {show(cut)}", right, needs=((*keys, "arch"),))
    yield from _weights(keys, family, sweep)
    if family.init_from is None and set(family.weights) == {NONE} and "ends" in family.reset:
        right = "name their family (init_from) or their file (weights)"
        yield Finding((*keys, "reset"), "there are no weights to reset", right, needs=((*keys, "weights"),))
    for i, name in enumerate(family.init_from or ()):
        place = _at((*keys, "init_from"), family.init_from or (), i)
        needs = (("models", name), *((*keys, other) for other in axes(family) if other != "init_from"))
        if name not in sweep.models:
            right = did_you_mean(name, sweep.models) or f"the job's families are {', '.join(sweep.models)}"
            yield Finding(place, f"no family '{name}'", right, needs=(("models",), *needs))
        elif keys[-1] in _origins(name, sweep):
            yield Finding(place, "its models would begin with themselves", "one family must begin at random", needs)
        elif right := _unlike(family, sweep.models[name], data) or _unmatched(family, sweep.models[name]):
            yield Finding(place, f"its models can't begin with those of '{name}'", right, needs)


def _weights(keys: Keys, family: Family, sweep: Sweep) -> Iterator[Finding]:
    """Trained weights from elsewhere. Whether they fit their network only the one who makes it can say."""
    place = (*keys, "weights")
    for i, name in enumerate(family.weights):
        at = _at(place, family.weights, i)
        if name == NONE or any(each.name == name for each in sweep.weights):
            continue  # nothing to read, or read already: a resolved job needs no file
        if is_file(name):
            try:
                find(name, "")
            except DataError as error:
                yield Finding(at, str(error), f"a state dict in one of {', '.join(SUFFIXES)} is needed")
        elif not is_set(name):
            right = f"a file ({', '.join(SUFFIXES)}), a set of torchvision's such as IMAGENET1K_V1, or {NONE}"
            yield Finding(at, f"no weights '{name}'", right)
        elif others := [arch for arch in family.arch if not arch.startswith(TORCHVISION)]:
            what = f"{others[0]} has no weights of the name '{name}'"
            yield Finding(at, what, f"sets have names for {TORCHVISION}NAME alone; give a file", ((*keys, "arch"),))
    if family.init_from is not None and set(family.weights) != {NONE}:
        what, right = "a run begins with another model or with a file, not both", "name weights or init_from"
        yield Finding(place, what, right, needs=((*keys, "init_from"),))


def _origins(name: str, sweep: Sweep) -> set[str]:
    """A family and all that its models begin with, directly or by way of others."""
    found, new = set(), {name}
    while new:
        found |= new
        new = {other for each in new & sweep.models.keys() for other in sweep.models[each].init_from or ()} - found
    return found


def _unlike(family: Family, other: Family, data: Data | None) -> str:
    """What must be alike in the networks of two families and isn't; "" where all is."""
    networks = {
        (arch, tuple(settings(arch, options).items()))
        for each in (family, other)
        for arch in each.arch
        if _sound(arch, each)
        for options in islice(grid.expand(each.options), _MOST_NETWORKS)
    }
    if len(networks) > 1:
        return "both need one architecture with the same settings"
    named = {labels for each in (family, other) for labels in each.labels}
    told_apart = {outputs(n, data) for n in named if data and not labels_misfit(n, data)[0]}
    return "" if len(told_apart) < 2 or set(family.reset) == {"ends"} else "both need as many labels, or reset: ends"


def _unmatched(family: Family, other: Family) -> str:
    """Why some seed of a family has no model of its own in another, or several; "" where each has one."""
    try:
        models = grid.count(axes(other), other.zip)
    except ValueError:
        return ""
    for seed in family.seed if models > 1 else ():
        found = other.seed.count(seed) * models // len(other.seed)
        if found != 1:
            return f"one model there must have seed {seed}, and {found} do"
    return ""


def _together(family: Family, *names: str) -> Iterator[dict[str, tuple[int, Any]]]:
    """The points of the grid of some of a family's axes alone, each value with its place on the axis; none where
    axes can't be zipped."""
    own = {name: list(enumerate(getattr(family, name))) for name in names}
    zipped = [group for group in ([name for name in group if name in own] for group in family.zip) if group]
    return iter(()) if grid.misfits(own, zipped) else grid.expand(own, zipped)


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
    """Layers that a network which is cut there lacks: A's alone, or both sides' where they meet at the same."""
    cut = not isinstance(section, StitchSection) or not all(_has_no_top(section, use) for use in section.stitcher)
    same = section.top_layers == "same" and cut
    yield from _cut((*keys, "layers"), section.layers, (*section.bottom, *(section.top if same else ())), sweep, data)
    yield from _cut((*keys, "top_layers"), section.top_layers, section.top, sweep, data)


def _cut(keys: Keys, layers: Layers, names: Sequence[str], sweep: Sweep, data: Data | None) -> Iterator[Finding]:
    if not isinstance(layers, tuple):
        return
    if not layers:
        yield Finding(keys, "nothing is named here", "name at least one cut, or all")
    families = [sweep.models[name] for name in names if name in sweep.models]
    needs = tuple(("models", name) for name in names)
    for i, layer in enumerate(layers):
        for arch, cuts in _cuts(families, data).items():
            if not any(layer in cut for cut in cuts):
                names = [name for name, _ in cuts]
                listed = ", ".join(f"{name} ({position})" for name, position in cuts)
                right = did_you_mean(str(layer), names)
                right = f"{right} its cuts are {listed}" if right else f"its cuts are {listed}"
                yield Finding(_at(keys, layers, i), f"{arch} has no cut {show(layer)}", right, needs)


def _cuts(families: Iterable[Family], data: Data | None) -> dict[str, list[tuple[str, int]]]:
    """Names and positions of the cuts of each known architecture among the families, whatever its settings."""
    shape = data.shape if data else (3, 32, 32)
    found: dict[str, dict[tuple[str, int], None]] = {}
    for family in families:
        classes = outputs(family.labels[0], data) if data else 10
        for arch in family.arch:
            if not _countable(arch, shape, classes) or list(_options((), family.options, options_of(arch), arch)):
                continue
            for options in islice(grid.expand(family.options), _MOST_NETWORKS):
                if not misfit(arch, settings(arch, options), shape):
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
    own = {name: getattr(section, name, None) for name in _AXES}
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
    below = _count(section.layers, section.bottom, sweep, data)
    layers = below * (1 if section.top_layers == "same" else _count(section.top_layers, section.top, sweep, data))
    uses = section.stitcher if isinstance(section, StitchSection) else getattr(section, "measure", ())
    own = {name: getattr(section, name, None) for name in _AXES}
    zipped = [group for group in section.zip if "bottom" not in group]
    try:
        points = grid.count({name: values for name, values in own.items() if values is not None}, zipped)
    except ValueError:
        return None
    cells = (
        (1 if _compares_outputs(section, use) else below if _has_no_top(section, use) else layers)
        * grid.count(use.options)
        for use in uses
    )
    return pairs * points * sum(cells)


def _compares_outputs(section: Pairing, use: Use) -> bool:
    """A pair of models has one output each, however many cuts."""
    card = MEASURES.get(use.name) if isinstance(section, SimilaritySection) else None
    return card is not None and card.compares == "outputs"


def _has_no_top(section: Pairing, use: Use) -> bool:
    """Each of A's layers meets B's output, whatever layers of B are named."""
    card = STITCHERS.get(use.name) if isinstance(section, StitchSection) else None
    return card is not None and card.whole


def _count(layers: Layers, names: Iterable[str], sweep: Sweep, data: Data | None) -> int:
    """How many cuts are meant, of the architecture with the most."""
    if isinstance(layers, tuple):
        return len(layers)
    every = layers.every if isinstance(layers, Every) else 1
    cuts = _cuts([sweep.models[name] for name in names], data).values()
    return max((-(-len(found) // every) for found in cuts), default=0)


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
