"""Where a family's runs begin: weights of other models or of files, and what of them stays."""

from collections.abc import Iterator
from itertools import islice

from sweeper.errors import DataError, did_you_mean
from sweeper.spec.cards.archs import settings
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.labels import misfit as labels_misfit
from sweeper.spec.cards.labels import outputs
from sweeper.spec.content.weights import NONE, SUFFIXES, TORCHVISION, find, is_file, is_set
from sweeper.spec.job import grid
from sweeper.spec.job.checks.cuts import MOST_NETWORKS, cuts_of
from sweeper.spec.job.checks.finding import Finding, Keys, way_to
from sweeper.spec.job.checks.option_findings import sound
from sweeper.spec.job.sweep import Family, Sweep
from sweeper.spec.job.validate import show
from sweeper.spec.records.task import Data


def start_findings(keys: Keys, family: Family, sweep: Sweep, data: Data | None, catalog: Catalog) -> Iterator[Finding]:
    """The weights that a family's runs begin with, and those that stay."""
    for i, cuts in enumerate(family.freeze or ()):
        for arch, known in cuts_of([family], data, catalog).items():
            for cut in (cut for cut in cuts if not any(cut in each for each in known)):
                right = f"its cuts are {', '.join(f'{name} ({position})' for name, position in known)}"
                place = way_to((*keys, "freeze"), family.freeze or (), i)
                yield Finding(place, f"{arch} has no cut {show(cut)}", right, needs=((*keys, "arch"),))
    yield from _weights(keys, family, sweep)
    if family.init_from is None and set(family.weights) == {NONE} and "ends" in family.reset:
        right = "name their family (init_from) or their file (weights)"
        yield Finding((*keys, "reset"), "there are no weights to reset", right, needs=((*keys, "weights"),))
    for i, name in enumerate(family.init_from or ()):
        place = way_to((*keys, "init_from"), family.init_from or (), i)
        needs = (("models", name), *((*keys, other) for other in family.axes if other != "init_from"))
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
        at = way_to(place, family.weights, i)
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
        if sound(arch, each)
        for options in islice(grid.expand(each.options), MOST_NETWORKS)
    }
    if len(networks) > 1:
        return "both need one architecture with the same settings"
    named = {labels for each in (family, other) for labels in each.labels}
    told_apart = {outputs(n, data) for n in named if data and not labels_misfit(n, data)[0]}
    return "" if len(told_apart) < 2 or set(family.reset) == {"ends"} else "both need as many labels, or reset: ends"


def _unmatched(family: Family, other: Family) -> str:
    """Why some seed of a family has no model of its own in another, or several; "" where each has one."""
    try:
        models = grid.count(other.axes, other.zip)
    except ValueError:
        return ""
    for seed in family.seed if models > 1 else ():
        found = other.seed.count(seed) * models // len(other.seed)
        if found != 1:
            return f"one model there must have seed {seed}, and {found} do"
    return ""
