"""Checks of a family's initial weights, from other models or files, and of its frozen layers."""

from collections.abc import Iterator
from itertools import islice

from sweeper.errors import DataError, did_you_mean
from sweeper.spec.cards.archs import complete_options
from sweeper.spec.cards.card import OptionValues
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.labels import labels_misfit, output_count
from sweeper.spec.content.weights import NONE, PRETRAINED, SUFFIXES, TIMM, TORCHVISION, find_weights, is_file, is_set
from sweeper.spec.job import grid
from sweeper.spec.job.checks.cuts import MOST_NETWORKS, cuts_of, networks
from sweeper.spec.job.checks.finding import Finding, Keys, keys_to_value
from sweeper.spec.job.checks.option_findings import has_allowed_settings
from sweeper.spec.job.family import Family
from sweeper.spec.job.inputs import image_shapes
from sweeper.spec.job.sweep import PartlyResolvedSweep
from sweeper.spec.job.validate import quote_value
from sweeper.spec.records.task import Data, Options


def start_findings(
    keys: Keys, family: Family, sweep: PartlyResolvedSweep, data: Data | None, catalog: Catalog
) -> Iterator[Finding]:
    """Yield the mistakes in a family's initial weights and frozen layers."""
    for i, cuts in enumerate(family.freeze or ()):
        for arch, arch_cuts in cuts_of([family], data, catalog).items():
            for cut in (cut for cut in cuts if not any(cut in name_and_position for name_and_position in arch_cuts)):
                correction = f"its cuts are {', '.join(f'{name} ({position})' for name, position in arch_cuts)}"
                cut_keys = keys_to_value((*keys, "freeze"), family.freeze or (), i)
                yield Finding(cut_keys, f"{arch} has no cut {quote_value(cut)}", correction, needs=((*keys, "arch"),))
    yield from _frozen_networks(keys, family, sweep, data, catalog)
    yield from _weights(keys, family, sweep)
    if family.init_from is None and set(family.weights) == {NONE} and set(family.reset) != {NONE}:
        correction = "give the initial weights: init_from (a family) or weights (a file or a named set)"
        yield Finding(
            (*keys, "reset"), "reset needs initial weights, and none are given", correction, needs=((*keys, "weights"),)
        )
    for i, name in enumerate(family.init_from or ()):
        origin_keys = keys_to_value((*keys, "init_from"), family.init_from or (), i)
        needs = (("models", name), *((*keys, other) for other in family.axes if other != "init_from"))
        if name not in sweep.models:
            correction = did_you_mean(name, sweep.models) or f"the job's families are {', '.join(sweep.models)}"
            yield Finding(origin_keys, f"no family '{name}'", correction, needs=(("models",), *needs))
        elif keys[-1] in _origins(name, sweep):
            problem = "the family starts, directly or through others, from its own weights"
            yield Finding(origin_keys, problem, "one family of this cycle must start from random weights", needs)
        elif correction := _network_mismatch(family, sweep.models[name], data, catalog) or _seed_mismatch(
            family, sweep.models[name]
        ):
            yield Finding(origin_keys, f"its models can't start from the weights of '{name}'", correction, needs)


def _frozen_networks(
    keys: Keys, family: Family, sweep: PartlyResolvedSweep, data: Data | None, catalog: Catalog
) -> Iterator[Finding]:
    """Yield the external networks that are to be trained and whose parameters are all frozen."""
    if data is None or not any((*(family.steps or ()), *(family.epochs or ()))):
        return
    classes = output_count(family.labels[0], data)
    known = networks(family, image_shapes(family, data, sweep.weights), classes, catalog, MOST_NETWORKS)
    for arch in dict.fromkeys(arch for arch, card in known if not card.trainable):
        correction = "leave requires_grad of some parameters at True, or give steps: 0"
        yield Finding(
            keys_to_value((*keys, "arch"), family.arch, family.arch.index(arch)),
            f"all parameters of {arch} are frozen, so nothing can be trained",
            correction,
            needs=tuple((*keys, name) for name in ("steps", "epochs", "labels")),
        )


def _weights(keys: Keys, family: Family, sweep: PartlyResolvedSweep) -> Iterator[Finding]:
    """Yield the mistakes in names of weights.

    This check can't tell if the weights fit their network, because that needs the built network.
    """
    weights_keys = (*keys, "weights")
    for i, name in enumerate(family.weights):
        name_keys = keys_to_value(weights_keys, family.weights, i)
        if name == NONE or any(weights.name == name for weights in sweep.weights):
            continue  # there are no weights, or the job has them already: a resolved job needs no file
        if is_file(name):
            try:
                find_weights(name, "")
            except DataError as error:
                correction = "" if ";" in str(error) else f"a state dict in one of {', '.join(SUFFIXES)} is needed"
                yield Finding(name_keys, str(error), correction)
        elif not is_set(name):
            sets = f"{PRETRAINED}, a set of torchvision's such as IMAGENET1K_V1"
            correction = did_you_mean(name, (PRETRAINED, NONE)) or f"a file ({', '.join(SUFFIXES)}), {sets}, or {NONE}"
            yield Finding(name_keys, f"no weights '{name}'", correction)
        elif others := [arch for arch in family.arch if not arch.startswith(_makers_of(name))]:
            problem = f"{others[0]} has no weights of the name '{name}'"
            makers = " and ".join(f"{maker}NAME" for maker in _makers_of(name))
            yield Finding(
                name_keys, problem, f"only {makers} have weights of this name; give a file", ((*keys, "arch"),)
            )
    if family.init_from is not None and set(family.weights) != {NONE}:
        problem, correction = "a run starts from another model or from a file, not both", "give weights or init_from"
        yield Finding(weights_keys, problem, correction, needs=((*keys, "init_from"),))


def _makers_of(name: str) -> tuple[str, ...]:
    """Return the libraries whose networks may have a set of weights of a name, as prefixes of their names."""
    return (TORCHVISION, TIMM) if name == PRETRAINED else (TORCHVISION,)


def _origins(name: str, sweep: PartlyResolvedSweep) -> set[str]:
    """Return a family and all families from whose weights it starts, directly or through others."""
    origins, new = set(), {name}
    while new:
        origins |= new
        new = {other for family in new & sweep.models.keys() for other in sweep.models[family].init_from or ()}
        new -= origins
    return origins


def _network_mismatch(family: Family, origin: Family, data: Data | None, catalog: Catalog) -> str:
    """Return what a family and its origin need so that it can start from the origin's weights; "" if they fit."""
    networks = {
        network
        for member in (family, origin)
        for arch in member.arch
        for options in islice(grid.expand(member.options), MOST_NETWORKS)
        for network in _network(arch, options, member, catalog)
    }
    if len(networks) > 1:
        return "both need one architecture with the same settings"
    labelings = {labels for member in (family, origin) for labels in member.labels}
    output_counts = {output_count(labels, data) for labels in labelings if data and not labels_misfit(labels, data)[0]}
    new_heads = NONE not in family.reset or set(family.head) == {"probe"}
    fits = len(output_counts) < 2 or new_heads
    return "" if fits else "both need the same number of labels, or reset: head"


def _network(arch: str, options: OptionValues, family: Family, catalog: Catalog) -> Iterator[tuple[str, Options]]:
    """Yield the name and all settings of a network, if it has settings and they are allowed."""
    user_network = catalog.user_networks.get(arch)
    if user_network and not user_network.problems(options):
        yield user_network.card, user_network.complete(options)
    elif has_allowed_settings(arch, family):
        yield arch, tuple(complete_options(arch, options).items())


def _seed_mismatch(family: Family, origin: Family) -> str:
    """Return a message about a seed for which the origin doesn't have exactly one model; "" if there is none."""
    try:
        models = grid.count(origin.axes, origin.zip)
    except ValueError:
        return ""
    for seed in family.seed if models > 1 else ():
        count = origin.seed.count(seed) * models // len(origin.seed)
        if count != 1:
            return f"it must have one model with seed {seed}, and has {count}"
    return ""
