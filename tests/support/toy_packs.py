"""Packs of tasks that have names and inputs and nothing else."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from sweeper.spec.records.task import Data, Measurement, Model, Recipe, Stitch, StitchPack, TrainingRun, TrainPack

DATA = Data("toy", "0", 1, 1, 2, (1, 1, 1), 0)
RECIPE = Recipe("identity", (), "strict", "full", 0, 0, 0, 0.0, "none")


@cache
def model(name: str) -> Model:
    return Model(
        name, TrainingRun(f"run {name}", DATA, "toy", (), 0, 0, 0, False, 0.0, 0, 0.0, 0.0, 0.0, "none", "none"), 0
    )


def train_pack(*names: str, init: str = "") -> TrainPack:
    """`init`: the model that the run begins with."""
    models = tuple(map(model, names))
    training = replace(models[0].training, init=model(init) if init else None)
    return TrainPack(f"pack of {names[0]}", training, models, 1.0 * len(names))


def stitch(a: str, b: str, name: str = "") -> Stitch:
    return Stitch(name or f"{a}>{b}", model(a), "cut", model(b), "cut", RECIPE)


def stitch_pack(a: str, bs: Iterable[str], measures: Iterable[str] = ()) -> StitchPack:
    stitches = tuple(stitch(a, b) for b in bs)
    measured = tuple(Measurement(f"{a}~{b}", model(a), "cut", model(b), "cut", "toy", ()) for b in measures)
    names = [task.id for task in (*stitches, *measured)]
    return StitchPack("pack of " + ",".join(names), model(a), stitches, measured, 1.0 * len(names))
