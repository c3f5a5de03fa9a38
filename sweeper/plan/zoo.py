"""The models of a job: the points of each family's grid with all settings filled in, each model once.

Two families, or two points of one grid, with the same resolved spec name one model.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple

from sweeper.errors import SweeperError
from sweeper.spec.cards.archs import ARCHS, images_misfit
from sweeper.spec.cards.card import NetworkLayout, OptionValues
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.datasets import all_samples, default_augment, shard_size
from sweeper.spec.cards.labels import groups, output_count
from sweeper.spec.cards.probed import is_external, is_user_code
from sweeper.spec.content.weights import NONE, Weights, select_weights
from sweeper.spec.job import grid
from sweeper.spec.job.family import Family, redrawn_layers
from sweeper.spec.job.inputs import network_input
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.spec.records.ident import FIELDS_ADDED_LATER, Value, ident
from sweeper.spec.records.task import Data, Model, TrainingRun
from sweeper.spec.user_code import code as codes

# The defaults of SimCLR. A changed default changes the ids of the models that are trained with it.
TEMPERATURE = 0.5  # the best value on CIFAR-10 (Chen et al. 2020, appendix B.9)
PROBE_STEPS = 1000  # optimiser steps of the linear probe


class Zoo(NamedTuple):
    """The models of a job, and those of each family."""

    models: tuple[Model, ...]  # each once, in an order that doesn't depend on the order in the job
    families: Mapping[str, tuple[int, ...]]  # positions in `models`, in the order of the family's grid, with repeats


def zoo(sweep: ResolvedSweep, data: Data, catalog: Catalog) -> Zoo:
    """Return all models that a job names.

    Raises:
        SweeperError: There are more than `limits.tasks` models; checked before the grids are expanded.
    """
    if sum(grid.count(family.axes, family.zip) for family in sweep.models.values()) > sweep.limits.tasks:
        raise SweeperError(f"more than {sweep.limits.tasks} models (limits.tasks)")
    models_by_family = _models_by_family(sweep, data, catalog)
    unique = {model.id: model for models in models_by_family.values() for model in models}
    models = tuple(sorted(unique.values(), key=_order))
    position = {model.id: i for i, model in enumerate(models)}
    families = {name: tuple(position[model.id] for model in family) for name, family in models_by_family.items()}
    return Zoo(models, families)


def _models_by_family(sweep: ResolvedSweep, data: Data, catalog: Catalog) -> dict[str, list[Model]]:
    """Return the models of each family. Families that others start from are expanded first.

    Raises:
        SweeperError: A family starts from one that doesn't exist, or families start from each other in a cycle.
    """
    families = sweep.models
    models_by_family: dict[str, list[Model]] = {}
    while missing_families := [name for name in families if name not in models_by_family]:
        expandable_families = [
            name for name in missing_families if set(families[name].init_from or ()) <= models_by_family.keys()
        ]
        if not expandable_families:
            raise SweeperError(
                f"init_from: {', '.join(missing_families)} start from families that don't exist, "
                "or from each other in a cycle"
            )
        for name in expandable_families:
            models = family_models(families[name], data, models_by_family, sweep, catalog)
            models_by_family[name] = list(models)
    return {name: models_by_family[name] for name in families}


def family_models(
    family: Family, data: Data, others: Mapping[str, Sequence[Model]], sweep: ResolvedSweep, catalog: Catalog
) -> Iterator[Model]:
    """Yield the models of a family's grid; an axis of snapshots gives several models of one training run.

    Args:
        family: The family.
        data: The data set.
        others: Models by family, for the families that `init_from` names.
        sweep: The job, which holds the digests of weights and code.
        catalog: The cards of the job.
    """
    initial_models = {name: _initial_models(name, others[name]) for name in family.init_from or ()}
    for point in grid.expand(family.axes, family.zip):
        options = {name: point[name] for name in family.options}
        init = initial_models[point["init_from"]](point["seed"]) if "init_from" in point else None
        digests = {
            "weights": _weights(point["weights"], point["arch"], sweep.weights),
            "code": _code(point["arch"], sweep.code),
        }
        images = network_input(point.get("input"), data, point["weights"], point["arch"], sweep.weights)
        yield _model({**point, **digests, "input": images}, options, data, init, catalog)


def _code(arch: str, trusted: Sequence[codes.Code]) -> str:
    """Return the digest of the user's code that makes a network, as it enters an id."""
    if not is_user_code(arch):
        return codes.NONE
    module = codes.find_trusted(trusted, arch)
    if not (module and module.digest):
        raise SweeperError(f"{arch} runs code that is not part of Sweeper: load its job with --trust (trust=True)")
    return module.digest


def _weights(name: str, arch: str, available: Sequence[Weights]) -> str:
    """Return the digest of initial weights, as it enters an id."""
    if name == NONE:
        return NONE
    weights = select_weights(available, name, arch)
    if weights is None:
        raise SweeperError(
            f"the weights {name} of {arch} aren't resolved; call sweeper.spec.job.resolve.resolve(sweep) first"
        )
    return weights.digest


def _initial_models(family: str, models: Sequence[Model]) -> Callable[[int], Model]:
    """Return a function from a seed to the initial model in another family.

    The initial model is the family's only model, or its only model with that seed. The function raises SweeperError if
    there is none, or more than one.
    """
    unique = list({model.id: model for model in models}.values())
    models_by_seed: defaultdict[int, list[Model]] = defaultdict(list)
    for model in unique:
        models_by_seed[model.training.seed].append(model)

    def initial_model(seed: int) -> Model:
        candidates = unique if len(unique) == 1 else models_by_seed[seed]
        if len(candidates) != 1:
            raise SweeperError(f"init_from: {len(candidates)} models of '{family}' have seed {seed}; there must be one")
        return candidates[0]

    return initial_model


def _model(point: Mapping[str, Any], options: OptionValues, data: Data, init: Model | None, catalog: Catalog) -> Model:
    """Return the model of one point of a grid, with lengths in steps and all defaults filled in."""
    arch = point["arch"]
    if arch not in ARCHS and not is_external(arch):
        raise SweeperError(f"no architecture '{arch}'; available: {', '.join(ARCHS)}")
    user_network = catalog.user_networks.get(arch)
    all_options = dict(catalog.complete(arch, options))
    image = point["input"].shape(data.shape) if point["input"] else data.shape
    if reason := images_misfit(arch, all_options, image):
        raise SweeperError(f"{arch}: {reason}")
    shard = (point["shard"], point["shards"])
    samples = shard_size(all_samples(data), *shard) if point["samples"] == "all" else point["samples"]
    batch = point["batch"]  # may exceed the samples: a batch then contains an image several times
    steps, step = _lengths(point, Fraction(samples, batch))
    spec = {
        "data": data.spec,
        "arch": user_network.card if user_network else arch,
        "options": all_options,
        "seed": point["seed"],
        "steps": steps,
        "samples": samples,
        "nested": point["nested"],
        "label_noise": float(point["label_noise"]),
        "batch": batch,
        "lr": float(point["lr"]),
        "momentum": float(point["momentum"]),
        "weight_decay": float(point["weight_decay"]),
        "schedule": point["schedule"],
        "augment": point.get("augment", default_augment(data)),
        "warmup": float(point["warmup"]),
        "label_smoothing": float(point["label_smoothing"]),
        "label_noise_kind": point["label_noise_kind"] if point["label_noise"] else "other_class",
        "shards": point["shards"],
        "shard": point["shard"],
        "subset_seed": point["subset_seed"] if point["nested"] or point["shards"] > 1 else 0,
        "labels": groups(point["labels"], data.classes),
        "objective": point["objective"],
        "init": init.id if init else None,
        "reset": redrawn_layers(point["head"], point["reset"]) if init or point["weights"] != NONE else "none",
        "weights": point["weights"],
        "code": point["code"],
        "input": point["input"],
        "head": point["head"],
    }
    if spec["objective"] == "simclr":
        spec["temperature"] = float(point.get("temperature", TEMPERATURE))
        spec["probe_steps"] = point.get("probe_steps", PROBE_STEPS)
    if point.get("freeze") or point["freeze_depth"]:
        layout = catalog.network(arch, all_options, image, output_count(point["labels"], data))
        spec["freeze"] = _frozen_stages(point, layout)
    where = user_network.where if user_network else ""
    return _model_of_spec(spec if steps else {**spec, **_UNTRAINED}, step, data, init, where)


def _frozen_stages(point: Mapping[str, Any], layout: NetworkLayout) -> tuple[str, ...]:
    """Return the names of the frozen stages, in order of depth.

    Raises:
        SweeperError: `freeze` names a cut that the architecture doesn't have.
    """
    layers = set(point.get("freeze", ()))  # names or positions of cuts
    if unknown := layers - {key for cut in layout.cuts for key in (cut.name, cut.position)}:
        raise SweeperError(f"freeze: {point['arch']} has no cut {', '.join(map(str, sorted(unknown, key=str)))}")
    depth = point["freeze_depth"]
    return tuple(cut.name for cut in layout.cuts if {cut.name, cut.position} & layers or cut.depth <= depth)


# Fields that an untrained network has in addition to architecture and seed: its outputs and initial weights.
_FIELDS_OF_UNTRAINED = ("labels", "init", "reset", "weights", "code", "input")

# The values of an untrained network for the fields that only training reads.
_UNTRAINED: Mapping[str, Value] = {
    **{name: value for name, value in FIELDS_ADDED_LATER["train"].items() if name not in _FIELDS_OF_UNTRAINED},
    "samples": 0,
    "nested": False,
    "label_noise": 0.0,
    "batch": 0,
    "lr": 0.0,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "schedule": "none",
    "augment": "none",
}


def _model_of_spec(spec: Mapping[str, Any], step: int, data: Data, init: Model | None, where: str) -> Model:
    """Return the model with a spec, and with the ids of the model and its training run.

    Args:
        spec: The fields that enter the ids.
        step: The step of the run after which the model is taken.
        data: The data set.
        init: The model from whose weights training starts, if there is one.
        where: The place of a user's network in a file, or "".
    """
    fields = {**spec, "data": data, "options": tuple(spec["options"].items()), "init": init, "where": where}
    return Model(ident("train", {**spec, "step": step}), TrainingRun(id=ident("train", spec), **fields), step)


def _lengths(point: Mapping[str, Any], epoch: Fraction) -> tuple[int, int]:
    """Return the steps of a whole run and of its snapshot, both 0 for an untrained network; `epoch` is in steps."""
    unit = epoch if "epochs" in point else Fraction(1)
    steps = _steps(point["epochs"] if "epochs" in point else point["steps"], unit)
    step = _steps(point.get("snapshot", 0), unit) or steps
    if step > steps > 0:
        raise SweeperError(f"a snapshot at step {step} of a run of {steps} steps")
    return steps, min(step, steps)


def _steps(length: float, unit: Fraction) -> int:
    """Return a length in steps, rounded up. Computed exactly: in floats, 0.07 epochs of 100 steps would be 8 steps."""
    return ceil(Fraction(repr(length)) * unit)


def _order(model: Model) -> tuple[object, ...]:
    run = model.training
    # Numbers before texts: a setting of a user's network may have values of both kinds.
    options = tuple((name, isinstance(value, str), value) for name, value in run.options)
    return (run.arch, options, run.samples, run.steps, model.step, run.seed, model.id)
