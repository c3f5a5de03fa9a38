"""Checks of a family of models: architecture and settings, length, samples, shards, objective."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from sweeper.errors import did_you_mean
from sweeper.spec.cards import probed
from sweeper.spec.cards.archs import ARCHS, complete_options, options_of
from sweeper.spec.cards.datasets import most_samples, shard_size
from sweeper.spec.cards.labels import labels_misfit
from sweeper.spec.cards.library_networks import library_misfit
from sweeper.spec.job import grid
from sweeper.spec.job.checks.argument_findings import argument_findings
from sweeper.spec.job.checks.finding import Finding, Keys, keys_to_value
from sweeper.spec.job.checks.option_findings import has_allowed_settings, unfit_setting_findings
from sweeper.spec.job.family import Family
from sweeper.spec.job.inputs import image_shapes
from sweeper.spec.job.sweep import PartlyResolvedSweep
from sweeper.spec.records.task import Data
from sweeper.spec.user_code import code

# The most combinations of settings that are checked here; the plan refuses wrong ones beyond this number.
_MOST_SETTINGS = 10_000


def family_findings(keys: Keys, family: Family, sweep: PartlyResolvedSweep, data: Data | None) -> Iterator[Finding]:
    """Yield the mistakes in a family of models."""
    yield from _archs(keys, family, sweep, data)
    yield from _length(keys, family)
    yield from _shards(keys, family)
    yield from _objective(keys, family)
    if data is not None:
        yield from _samples(keys, family, data)
        yield from _misfits(keys, family, data)
        for i, labels in enumerate(family.labels):
            problem, correction = labels_misfit(labels, data)
            if problem:
                yield Finding(
                    keys_to_value((*keys, "labels"), family.labels, i), problem, correction, needs=(("dataset",),)
                )
    for problem in grid.misfits(family.axes, family.zip):
        correction = f"its axes are {', '.join(family.axes)}" if problem.startswith("no axis") else ""
        yield Finding(
            (*keys, "zip"), problem, correction, needs=tuple((*keys, name) for group in family.zip for name in group)
        )


def _archs(keys: Keys, family: Family, sweep: PartlyResolvedSweep, data: Data | None) -> Iterator[Finding]:
    arch_keys = (*keys, "arch")
    for i, arch in enumerate(family.arch):
        fields = [name for name in Family.model_fields if name != "options"]
        if probed.is_user_code(arch):
            yield from _code(keys_to_value(arch_keys, family.arch, i), arch, sweep)
        elif all(card.name != arch for card in sweep.networks):  # a job that carries the card needs no library here
            shapes = image_shapes(family, data, sweep.weights)[arch] if data else []
            misfits = (library_misfit(arch, shape) for shape in shapes or [None])
            if misfit := next(filter(None, misfits), None):
                needs = (("dataset",), (*keys, "input"), (*keys, "weights")) if shapes else ()
                yield Finding(keys_to_value(arch_keys, family.arch, i), *misfit, needs)
        if code.is_file_name(arch):
            network = next((network for network in sweep.user_networks if network.name == arch), None)
            if network:  # otherwise a mistake in its file or a lack of trust is reported
                yield from argument_findings(keys, family.options, network, fields)
            continue
        if arch not in ARCHS and not probed.is_external(arch):
            correction = did_you_mean(arch, ARCHS) or f"available: {', '.join(ARCHS)}"
            if code.is_file_name(f"{arch}:"):
                correction = f"add the name of a class or function in the file, such as {arch}:Net"
            yield Finding(keys_to_value(arch_keys, family.arch, i), f"no architecture '{arch}'", correction)
            all_settings = {name for card in ARCHS.values() for name in card.options}
            has_built_in_arch = any(other in ARCHS for other in family.arch)
            for name in () if has_built_in_arch else sorted(family.options.keys() - all_settings):
                correction = did_you_mean(name, [*fields, *all_settings])
                yield Finding((*keys, name), f"no architecture has a setting '{name}'", correction, of_key=True)
            continue
        for finding in unfit_setting_findings(keys, family.options, options_of(arch), arch, other_keys=fields):
            yield replace(finding, correction=finding.correction + _file_hint(arch), needs=(arch_keys,))


def _file_hint(arch: str) -> str:
    """Return how the arguments of a callable in a module can be set; "" for other architectures."""
    module, _, name = arch.partition(":")
    file = f"{module.replace('.', '/')}.py:{name}"
    return f"; the arguments of a network that is named by its file ({file}) are settings" if _is_module(arch) else ""


def _is_module(arch: str) -> bool:
    return probed.is_user_code(arch) and not code.is_file_name(arch)


def _code(keys: Keys, name: str, sweep: PartlyResolvedSweep) -> Iterator[Finding]:
    """Check that the user's code is trusted and its file exists."""
    trusted = code.find_trusted(sweep.code, name)
    if trusted is None:
        libraries = " and ".join(f"{library}:NAME" for library in probed.LIBRARIES)
        correction = f"--trust allows it; {libraries} need no --trust"
        network = name.partition(":")[2]
        suggestion = did_you_mean(name, [f"{library}:{network}" for library in probed.LIBRARIES])
        correction = f"{suggestion} {correction}" if suggestion else correction
        yield Finding(keys, f"{name} runs code that is not part of Sweeper", correction)
    elif not trusted.digest and code.is_file_name(name):
        yield Finding(keys, f"no file {trusted.path}", "the path is relative to the job's file")
    elif not trusted.digest:
        correction = "its file must lie in the current folder or on PYTHONPATH"
        yield Finding(keys, f"no module '{name.partition(':')[0]}'", correction)


def _misfits(keys: Keys, family: Family, data: Data) -> Iterator[Finding]:
    """Check that the settings fit each other and the data set's images.

    Each mistake is reported once, at the setting, or at the architecture if the setting is its default.
    """
    valid_archs = [arch for arch in family.arch if has_allowed_settings(arch, family)]
    axes = {"arch": family.arch, **family.options}
    shapes = image_shapes(family, data)
    zipped = [group for names in family.zip if (group := [name for name in names if name in axes])]
    if not valid_archs or grid.misfits(axes, zipped):
        return  # another check reports the mistake
    finding_by_reason: dict[str, Finding] = {}
    for point in islice(grid.expand(axes, zipped), _MOST_SETTINGS):
        arch, options = str(point["arch"]), {name: point[name] for name in family.options}
        all_options = complete_options(arch, options) if arch in valid_archs else {}
        misfits = (ARCHS[arch].misfit(all_options, shape) for shape in shapes[arch]) if arch in valid_archs else ()
        reason = next(filter(None, misfits), "")
        if reason and reason not in finding_by_reason:
            setting = reason.split()[0]
            name = setting if setting in options else "arch"
            setting_keys = keys_to_value((*keys, name), axes[name], axes[name].index(point[name]))
            correction = f"{setting}: {ARCHS[arch].options[setting].meaning}"
            needs = (("dataset",), *((*keys, other) for other in axes))
            finding_by_reason[reason] = Finding(setting_keys, f"{arch}: {reason}", correction, needs)
    yield from finding_by_reason.values()


def _length(keys: Keys, family: Family) -> Iterator[Finding]:
    steps_keys, epochs_keys, snapshot_keys = ((*keys, name) for name in ("steps", "epochs", "snapshot"))
    if family.steps is family.epochs is None and _has_misspelt_length(family):
        return  # another check reports the setting that doesn't exist
    if (family.steps is None) == (family.epochs is None):
        given_lengths = "both steps and epochs are" if family.steps else "neither steps nor epochs is"
        correction = "give one of them" + ("" if family.steps else "; steps: 0 leaves the model at its initialisation")
        yield Finding(
            epochs_keys if family.steps else keys,
            f"{given_lengths} given as the length of training",
            correction,
            needs=(steps_keys, epochs_keys),
        )
        return
    unit = "steps" if family.steps else "epochs"
    for i, (length, snapshot) in enumerate(_snapshots(family, unit)):
        value_keys = keys_to_value(snapshot_keys, family.snapshot or (), i % len(family.snapshot or "0"))
        if unit == "steps" and not float(snapshot).is_integer():
            yield Finding(
                value_keys, f"a snapshot after {snapshot:g} steps", "steps are whole numbers", needs=(steps_keys,)
            )
        elif snapshot > length > 0:
            problem = f"a snapshot after {snapshot:g} {unit} of a run of {length:g}"
            yield Finding(value_keys, problem, f"it must be at most {length:g}", needs=(steps_keys, epochs_keys))


def _has_misspelt_length(family: Family) -> bool:
    """Return True if a family has a setting that its architecture lacks, and whose name is like `steps` or `epochs`."""
    return any(
        name not in options_of(arch) and did_you_mean(name, ("steps", "epochs"))
        for arch in family.arch
        if (arch in ARCHS or probed.is_external(arch)) and not code.is_file_name(arch)
        for name in family.options
    )


def _snapshots(family: Family, unit: str) -> Iterator[tuple[float, float]]:
    """Yield the pairs of length and snapshot in the grid: all combinations, or matching entries if they are zipped.

    An untrained network (0 steps) has none.
    """
    lengths, snapshots = getattr(family, unit), family.snapshot or ()
    zipped = any({unit, "snapshot"} <= set(group) for group in family.zip)
    if zipped:
        yield from zip(lengths, snapshots, strict=False)
    elif lengths and snapshots:
        shortest = min((length for length in lengths if length), default=0)
        yield from ((shortest, snapshot) for snapshot in snapshots)


def _samples(keys: Keys, family: Family, data: Data) -> Iterator[Finding]:
    available = most_samples(data)
    holdout_note = f", of which {data.holdout} only decide when to stop" if available < data.train else ""
    # By position on the axis of samples: the size of the smallest shard, and the number of shards.
    smallest_shard: dict[int, tuple[int, int]] = {}
    for point in points_of_axes(family, "samples", "shards", "shard"):
        (i, samples), (_, shards), (_, shard) = point["samples"], point["shards"], point["shard"]
        most = shard_size(available, shard, shards)
        if shard < shards and samples != "all" and samples > most:
            smallest_shard[i] = min((most, shards), smallest_shard.get(i, (most, shards)))
    for i, (most, shards) in sorted(smallest_shard.items()):
        shards_note = f" in {shards} shards" if shards > 1 else ""
        problem = (
            f"{family.samples[i]} samples; the data set has {data.train} training images{holdout_note}{shards_note}"
        )
        samples_keys = keys_to_value((*keys, "samples"), family.samples, i)
        needs = (("dataset",), (*keys, "shards"), (*keys, "shard"))
        yield Finding(samples_keys, problem, f"it must be at most {most}", needs)


def _shards(keys: Keys, family: Family) -> Iterator[Finding]:
    shards_by_position: dict[int, int] = {}
    for point in points_of_axes(family, "shards", "shard"):
        (_, shards), (i, shard) = point["shards"], point["shard"]
        if shard >= shards:
            shards_by_position.setdefault(i, shards)
    for i, shards in shards_by_position.items():
        problem = f"shard is {family.shard[i]}, but shards is {shards}"
        correction = (
            f"shards are counted from 0: it must be at most {shards - 1}" if shards > 1 else "set shards to 2 or more"
        )
        yield Finding(keys_to_value((*keys, "shard"), family.shard, i), problem, correction, needs=((*keys, "shards"),))


def _objective(keys: Keys, family: Family) -> Iterator[Finding]:
    objective_keys = (*keys, "objective")
    for name in ("temperature", "probe_steps"):
        if getattr(family, name) is not None and "simclr" not in family.objective:
            yield Finding(
                (*keys, name),
                f"{name} is given, but no objective is simclr",
                "set objective: simclr",
                (objective_keys,),
            )
    for point in points_of_axes(family, "objective", "batch"):
        i, batch = point["batch"]
        if point["objective"][1] == "simclr" and batch < 2:
            problem = "simclr compares the images of a batch with each other, and this batch has a single image"
            yield Finding(
                keys_to_value((*keys, "batch"), family.batch, i), problem, "it must be at least 2", (objective_keys,)
            )


def points_of_axes(family: Family, *names: str) -> Iterator[dict[str, tuple[int, Any]]]:
    """Return the points of the grid of some axes of a family, as (position on the axis, value) by axis.

    There are no points if the axes can't be zipped.
    """
    axes = {name: list(enumerate(getattr(family, name))) for name in names}
    zipped = [group for group in ([name for name in group if name in axes] for group in family.zip) if group]
    return iter(()) if grid.misfits(axes, zipped) else grid.expand(axes, zipped)
