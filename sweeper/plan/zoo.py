"""From families to models: every point of each grid, resolved, each model once.

Two families, or two points of one grid, that come to the same resolved spec name one model.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple

from sweeper.errors import SweeperError
from sweeper.spec import grid
from sweeper.spec.cards.archs import ARCHS, options_of
from sweeper.spec.cards.card import Option, OptionValues
from sweeper.spec.cards.datasets import all_samples, default_augment
from sweeper.spec.cards.probed import elsewhere
from sweeper.spec.check import axes
from sweeper.spec.ident import Value, ident
from sweeper.spec.sweep import Family, Sweep
from sweeper.spec.task import Data, Model, Options, Train


class Zoo(NamedTuple):
    models: tuple[Model, ...]  # each once, in an order that doesn't depend on the job's
    families: Mapping[str, tuple[int, ...]]  # places in `models`, in the order of the family's grid, repeats included


def zoo(sweep: Sweep, data: Data) -> Zoo:
    """Every model that the job names. Raises SweeperError, before expanding, for more than `limits.tasks`."""
    if sum(grid.count(axes(family), family.zip) for family in sweep.models.values()) > sweep.limits.tasks:
        raise SweeperError(f"more than {sweep.limits.tasks} models (limits.tasks)")
    named = {name: list(family_models(family, data)) for name, family in sweep.models.items()}
    unique = {model.id: model for models in named.values() for model in models}
    models = tuple(sorted(unique.values(), key=_order))
    place = {model.id: i for i, model in enumerate(models)}
    return Zoo(models, {name: tuple(place[model.id] for model in found) for name, found in named.items()})


def family_models(family: Family, data: Data) -> Iterator[Model]:
    """The models of a family's grid. An axis of snapshots yields several models of one training run."""
    for point in grid.expand(axes(family), family.zip):
        options = {name: point[name] for name in family.options}
        yield _model(point, options, data)


def complete(declared: Mapping[str, Option], given: OptionValues, whose: str) -> Options:
    """Every option that a card declares, sorted: the value given or the default, in the declared type, so that 16 and
    16.0 are one setting.

    Raises SweeperError for an option that the card doesn't have, one that must be given, or a value of another type.
    """
    if unknown := given.keys() - declared.keys():
        raise SweeperError(
            f"{whose} has no option {', '.join(sorted(unknown))}; it has {', '.join(declared) or 'none'}"
        )
    return tuple((name, _typed(declared[name], given.get(name), f"{whose}.{name}")) for name in sorted(declared))


def _typed(option: Option, given: bool | int | float | str | None, what: str) -> bool | int | float | str:
    value = option.default if given is None else given
    if value is None:
        raise SweeperError(f"{what} must be given: {option.meaning}")
    if type(value) is option.type:
        return value
    if {type(value), option.type} == {int, float} and option.type(value) == value:
        return option.type(value)
    raise SweeperError(f"{what} is {value!r}; {option.type.__name__} is expected")


def _model(point: Mapping[str, Any], options: OptionValues, data: Data) -> Model:
    """One point of the grid: lengths in steps, samples counted, defaults of the data set filled in."""
    arch = point["arch"]
    if arch not in ARCHS and not elsewhere(arch):
        raise SweeperError(f"no architecture '{arch}'; there are {', '.join(ARCHS)}")
    samples = all_samples(data) if point["samples"] == "all" else point["samples"]
    batch = point["batch"]  # also of fewer samples: the stream then holds an image several times in a batch
    steps, step = _lengths(point, Fraction(samples, batch))
    spec = {
        "data": data.spec,
        "arch": arch,
        "options": dict(complete(options_of(arch), options, arch)),
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
    }
    return _identified(spec if steps else {**spec, **_UNTRAINED}, step, data)


# What training alone reads, in a network that is left at its random initialisation.
_UNTRAINED: Mapping[str, Value] = {
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


def _identified(spec: Mapping[str, Any], step: int, data: Data) -> Model:
    fields = {**spec, "data": data, "options": tuple(spec["options"].items())}
    return Model(ident("train", {**spec, "step": step}), Train(id=ident("train", spec), **fields), step)


def _lengths(point: Mapping[str, Any], epoch: Fraction) -> tuple[int, int]:
    """Steps of the whole run, and of the snapshot; `epoch` is the steps of one. An untrained network has none."""
    unit = epoch if "epochs" in point else Fraction(1)
    steps = _steps(point["epochs"] if "epochs" in point else point["steps"], unit)
    step = _steps(point.get("snapshot", 0), unit) or steps
    if step > steps > 0:
        raise SweeperError(f"a snapshot at step {step} of a run of {steps} steps")
    return steps, min(step, steps)


def _steps(length: float, unit: Fraction) -> int:
    """A length in steps, rounded up. Exact: in floats, 0.07 epochs of 100 steps would be 8 steps."""
    return ceil(Fraction(repr(length)) * unit)


def _order(model: Model) -> tuple[object, ...]:
    run = model.training
    return (run.arch, run.options, run.samples, run.steps, model.step, run.seed, model.id)
