"""Packs of tasks with ids and inputs only, for tests of scheduling; other settings have placeholders."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from sweeper.spec.records.task import Data, Measurement, Model, Recipe, Stitch, StitchPack, TrainingRun, TrainPack

DATA = Data("toy", "0", 1, 1, 2, (1, 1, 1), 0)
RECIPE = Recipe("identity", (), "strict", "full", 0, 0, 0, 0.0, "none")


@cache
def model(name: str) -> Model:
    """Return the model with this id; the same object for the same id."""
    return Model(
        name, TrainingRun(f"run {name}", DATA, "toy", (), 0, 0, 0, False, 0.0, 0, 0.0, 0.0, 0.0, "none", "none"), 0
    )


def train_pack(*names: str, init: str = "") -> TrainPack:
    """Return a pack of models of one training run; `init` is the id of the model that the run begins with."""
    models = tuple(map(model, names))
    training = replace(models[0].training, init=model(init) if init else None)
    return TrainPack(f"pack of {names[0]}", training, models, 1.0 * len(names))


def stitch(a: str, b: str, name: str = "") -> Stitch:
    """Return a stitch of two models; its id is `name` or, without one, A>B."""
    return Stitch(name or f"{a}>{b}", model(a), "cut", model(b), "cut", RECIPE)


def stitch_pack(a: str, bs: Iterable[str], measurements: Iterable[str] = ()) -> StitchPack:
    """Return a pack of stitches of A into each of `bs` and measurements of A with each of `measurements`."""
    stitches = tuple(stitch(a, b) for b in bs)
    measurement_tasks = tuple(
        Measurement(f"{a}~{b}", model(a), "cut", model(b), "cut", "toy", ()) for b in measurements
    )
    names = [task.id for task in (*stitches, *measurement_tasks)]
    return StitchPack("pack of " + ",".join(names), model(a), stitches, measurement_tasks, 1.0 * len(names))
