"""Checks of a pairing: its families, layers, condition, zip, stitchers or measures."""

from collections.abc import Iterator, Sequence
from typing import Any

from sweeper.errors import did_you_mean
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.job import grid
from sweeper.spec.job.checks.cuts import cuts_of
from sweeper.spec.job.checks.finding import Finding, Keys, keys_to_value
from sweeper.spec.job.checks.option_findings import unfit_setting_findings
from sweeper.spec.job.checks.size_findings import AXES, Layers, count_models, has_no_top
from sweeper.spec.job.checks.stitcher_findings import find_card, name_finding
from sweeper.spec.job.sweep import OperationSpec, Pairing, PartlyResolvedSweep, SimilaritySection, StitchSection
from sweeper.spec.job.validate import quote_value
from sweeper.spec.job.where import Where, WhereError
from sweeper.spec.records.task import Data
from sweeper.spec.user_code.code import is_file_name


def pairing_findings(
    keys: Keys, section: Pairing, sweep: PartlyResolvedSweep, data: Data | None, catalog: Catalog
) -> Iterator[Finding]:
    """Yield the mistakes in a section of stitches or of similarities."""
    for side in ("bottom", "top"):
        names = getattr(section, side)
        for i, name in enumerate(names):
            if name not in sweep.models:
                correction = did_you_mean(name, sweep.models) or f"the job's families are {', '.join(sweep.models)}"
                name_keys = keys_to_value((*keys, side), names, i)
                yield Finding(name_keys, f"no family '{name}'", correction, needs=(("models",), ("models", name)))
    yield from _where(keys, section, sweep)
    yield from _layers(keys, section, sweep, data, catalog)
    yield from _zip(keys, section, sweep)
    if isinstance(section, StitchSection):
        yield from _stitchers((*keys, "stitcher"), section.stitcher, sweep, catalog)
    elif isinstance(section, SimilaritySection):
        yield from _measures((*keys, "measure"), section.measure)


def _where(keys: Keys, section: Pairing, sweep: PartlyResolvedSweep) -> Iterator[Finding]:
    if section.where is None:
        return
    try:
        Where.of(section.where, sweep)
    except WhereError as error:
        if not (error.problem.startswith("no attribute") and _has_unread_network(sweep)):
            yield Finding((*keys, "where"), error.problem, error.correction, shift=error.position)


def _has_unread_network(sweep: PartlyResolvedSweep) -> bool:
    """Return True if the arguments of a network in a user's file, which are attributes, are not known."""
    known = {network.name for network in sweep.user_networks}
    return any(is_file_name(arch) and arch not in known for family in sweep.models.values() for arch in family.arch)


def _layers(
    keys: Keys, section: Pairing, sweep: PartlyResolvedSweep, data: Data | None, catalog: Catalog
) -> Iterator[Finding]:
    """Yield a mistake for each layer at which a network can't be cut.

    `layers` is checked for the bottoms, and for the tops too if both are cut at the same layer.
    """
    top_is_cut = not isinstance(section, StitchSection) or not all(
        has_no_top(section, operation, sweep, catalog) for operation in section.stitcher
    )
    same = section.top_layers == "same" and top_is_cut
    yield from _cut(
        (*keys, "layers"), section.layers, (*section.bottom, *(section.top if same else ())), sweep, data, catalog
    )
    yield from _cut((*keys, "top_layers"), section.top_layers, section.top, sweep, data, catalog)


def _cut(
    keys: Keys, layers: Layers, names: Sequence[str], sweep: PartlyResolvedSweep, data: Data | None, catalog: Catalog
) -> Iterator[Finding]:
    if not isinstance(layers, tuple):
        return
    if not layers:
        yield Finding(keys, "the list is empty", "name at least one cut, or all")
    families = [sweep.models[name] for name in names if name in sweep.models]
    needs = tuple(("models", name) for name in names)
    for i, layer in enumerate(layers):
        for arch, cuts in cuts_of(families, data, catalog).items():
            if not any(layer in cut for cut in cuts):
                cut_names = [name for name, _ in cuts]
                cuts_text = ", ".join(f"{name} ({position})" for name, position in cuts)
                correction = did_you_mean(str(layer), cut_names)
                correction = f"{correction} its cuts are {cuts_text}" if correction else f"its cuts are {cuts_text}"
                yield Finding(
                    keys_to_value(keys, layers, i), f"{arch} has no cut {quote_value(layer)}", correction, needs
                )


def _zip(keys: Keys, section: Pairing, sweep: PartlyResolvedSweep) -> Iterator[Finding]:
    zip_keys = (*keys, "zip")
    model_counts = {side: count_models(getattr(section, side), sweep) for side in ("bottom", "top")}
    values_by_axis = {name: getattr(section, name, None) for name in AXES}
    axes: dict[str, Sequence[Any]] = {side: range(n or 0) for side, n in model_counts.items()}
    axes |= {name: values for name, values in values_by_axis.items() if values is not None}
    for group in section.zip:
        if 0 < len(model_counts.keys() & set(group)) < len(set(group) | model_counts.keys()):
            yield Finding(
                zip_keys, f"{', '.join(group)} can't be zipped", "bottom and top can be zipped only with each other"
            )
            return
    if None in model_counts.values() and any("bottom" in group for group in section.zip):
        return  # another check reports the family that doesn't exist or whose own zip is wrong
    for problem in grid.misfits(axes, section.zip):
        correction = f"its axes are {', '.join(axes)}" if problem.startswith("no axis") else ""
        needs = (*((*keys, name) for group in section.zip for name in group), ("models",))
        yield Finding(zip_keys, problem, correction, needs)


def _stitchers(
    keys: Keys, operations: Sequence[OperationSpec], sweep: PartlyResolvedSweep, catalog: Catalog
) -> Iterator[Finding]:
    for i, operation in enumerate(operations):
        operation_keys = keys_to_value(keys, operations, i)
        if finding := name_finding((*operation_keys, "name"), operation.name, sweep, catalog):
            yield finding
        elif card := find_card(operation.name, sweep, catalog):
            yield from unfit_setting_findings(
                operation_keys, operation.options, card.options, operation.name, other_keys=("name",)
            )


def _measures(keys: Keys, operations: Sequence[OperationSpec]) -> Iterator[Finding]:
    for i, operation in enumerate(operations):
        operation_keys = keys_to_value(keys, operations, i)
        if operation.name not in MEASURES:
            correction = did_you_mean(operation.name, MEASURES) or f"available: {', '.join(MEASURES)}"
            yield Finding((*operation_keys, "name"), f"no measure '{operation.name}'", correction)
        else:
            yield from unfit_setting_findings(
                operation_keys,
                operation.options,
                MEASURES[operation.name].options,
                operation.name,
                other_keys=("name",),
            )
