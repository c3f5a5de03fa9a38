"""Performers that stand in for the science: they do nothing, raise, hang, or take their process down.

Which task misbehaves is told through `TOYS`, a file with JSON that the workers (other processes) read: rules by task
id, such as {"<id>": "raise"}; `"*"` is every task. Each task performed appends a line to the file's `.log`.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.spec.job import resolve
from sweeper.spec.job.sweep import Sweep
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import FailureRow, ModelRow, Row, SimilarityRow, StitchRow
from sweeper.spec.records.task import Measurement, Model, Pack, Stitch, StitchPack, TrainPack


def toy_sweep(**engine: object) -> Sweep:
    """4 models, 40 stitches and 40 measurements, in about 50 packs."""
    family = {"arch": "resnet18k", "options": {"width": 4}, "steps": 20}
    return resolve.resolve(
        Sweep.model_validate(
            {
                "name": "toy",
                "dataset": "digits",
                "models": {
                    "weak": family | {"samples": 100, "seed": [0, 1]},
                    "strong": family | {"samples": 300, "seed": [10, 11]},
                },
                "stitch": [{"bottom": "strong", "top": "weak"}],
                "similarity": [{"bottom": "strong", "top": "weak"}],
                "engine": {"workers": 2, "pack_seconds": 3, "cpus": 1} | engine,
            }
        )
    )


@dataclass
class Outcome:
    rows: Sequence[Row]
    weights: bytes | None = None


def perform(pack: Pack, load, **numerics: str | bool) -> Iterator[Outcome]:
    """No-op tasks, but for those that a rule names."""
    rules = _rules()
    tasks = pack.models if isinstance(pack, TrainPack) else (*pack.stitches, *pack.measures)
    if isinstance(pack, StitchPack):
        _check_inputs(pack, load)
    for task in tasks:
        _log(task.id)
        rule = rules.get(task.id, rules.get("*", ""))
        if rule != "silent":
            yield _perform(pack, task, rule)


def nothing(pack: Pack, load, **numerics: str | bool) -> Iterator[Outcome]:
    """As fast as can be: for measuring the engine alone."""
    tasks = pack.models if isinstance(pack, TrainPack) else (*pack.stitches, *pack.measures)
    for task in tasks:
        yield receipt(pack, task)


def receipt(pack: Pack, task: Model | Stitch | Measurement) -> Outcome:
    if isinstance(task, Model):
        weights = f"weights of {task.id}".encode()
        return Outcome([model_row(task, digest(weights))], weights)
    return Outcome([stitch_row(pack, task) if isinstance(task, Stitch) else similarity_row(pack, task)])


def _perform(pack: Pack, task: Model | Stitch | Measurement, rule: str) -> Outcome:
    verb, _, argument = rule.partition(" ")
    match verb:
        case "kill":
            os.kill(os.getpid(), 9)
        case "hang":
            time.sleep(3600)
        case "crash":
            raise RuntimeError(f"the pack fell over {task.id}")
        case "sleep":
            time.sleep(float(argument))
        case "eat":  # so many GiB, and holds them until it is killed
            hoard = bytearray(int(argument) * 2**30)
            time.sleep(60)
            del hoard
        case "after":  # ends once so many tasks have begun
            while len(_lines()) < int(argument):
                time.sleep(0.05)
        case "gate":  # once so many tasks have begun, waits until the test opens the gate
            while len(_lines()) > int(argument) and not gate(Path(os.environ["TOYS"])).exists():
                time.sleep(0.05)
        case "raise":
            return _failure(task, argument or "bad luck")
        case "once":  # raises the first time
            if _performed(task.id) == 1:
                return _failure(task, "a hiccup")
    return receipt(pack, task)


def _failure(task: Model | Stitch | Measurement, message: str) -> Outcome:
    of = "models" if isinstance(task, Model) else "stitches" if isinstance(task, Stitch) else "similarities"
    row = FailureRow(task=task.id, of=of, error="ValueError", message=message, traceback="here", final=False)
    return Outcome([row])


def _check_inputs(pack: StitchPack, load) -> None:
    """The engine's promise: what a pack needs is there, pinned."""
    for model in pack.inputs:
        assert load(pack.weights[model]) == f"weights of {model}".encode()


def _rules() -> dict[str, str]:
    file = os.environ.get("TOYS")
    return json.loads(Path(file).read_text()) if file and Path(file).exists() else {}


def _log(task: str) -> None:
    if file := os.environ.get("TOYS"):
        with Path(file + ".log").open("a") as log:
            log.write(f"{task} {os.getpid()} {time.time()}\n")


def gate(file: Path) -> Path:
    """Return the file that a test makes to let the tasks of the rule "gate" end."""
    return Path(f"{file}.gate")


def log(file: Path) -> list[tuple[str, int, float]]:
    """(task, process, time) of every task begun, in order."""
    lines = Path(f"{file}.log").read_text().splitlines() if Path(f"{file}.log").exists() else []
    return [(task, int(pid), float(at)) for task, pid, at in map(str.split, lines)]


def _performed(task: str) -> int:
    return sum(line.startswith(task) for line in _lines())


def _lines() -> list[str]:
    return Path(os.environ["TOYS"] + ".log").read_text().splitlines()


def model_row(model: Model, weights: str) -> ModelRow:
    training = model.training
    return ModelRow(
        task=model.id,
        training=training.id,
        arch=training.arch,
        width=4,
        options="{}",
        parameters=1,
        dataset=training.data.name,
        data_digest=training.data.digest,
        samples=training.samples,
        nested=training.nested,
        label_noise=training.label_noise,
        seed=training.seed,
        steps=model.step,
        schedule_steps=training.steps,
        epochs=model.epochs,
        batch=training.batch,
        lr=training.lr,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        schedule=training.schedule,
        augment=training.augment,
        weights=weights,
        train_loss=0.0,
        test_loss=0.0,
        test_error=0.0,
        correct=b"",
    )


def stitch_row(pack: StitchPack, stitch: Stitch) -> StitchRow:
    recipe = stitch.recipe
    return StitchRow(
        task=stitch.id,
        a=stitch.a.id,
        b=stitch.b.id,
        a_weights=pack.weights[stitch.a.id],
        b_weights=pack.weights[stitch.b.id],
        cut_a=stitch.cut_a,
        cut_b=stitch.cut_b,
        position_a=1,
        position_b=1,
        depth_a=0.5,
        depth_b=0.5,
        stitcher=recipe.stitcher,
        options="{}",
        protocol=recipe.protocol,
        data=recipe.data,
        data_digest="",
        seed=recipe.seed,
        max_steps=recipe.steps,
        batch=recipe.batch,
        lr=recipe.lr,
        augment=recipe.augment,
        parameters=1,
        steps=0,
        converged=True,
        stop_data="held_out",
        train_loss=0.0,
        test_loss=0.0,
        test_error=0.0,
        a_loss=0.0,
        b_loss=0.0,
        a_error=0.0,
        b_error=0.0,
        penalty=0.0,
        gain=0.0,
        direct_error=None,
        direct_loss=None,
        direct_r2=None,
        correct=b"",
    )


def similarity_row(pack: StitchPack, measure: Measurement) -> SimilarityRow:
    return SimilarityRow(
        task=measure.id,
        a=measure.a.id,
        b=measure.b.id,
        a_weights=pack.weights[measure.a.id],
        b_weights=pack.weights[measure.b.id],
        cut_a=measure.cut_a,
        cut_b=measure.cut_b,
        position_a=1,
        position_b=1,
        depth_a=0.5,
        depth_b=0.5,
        data_digest="",
        measure=measure.measure,
        options="{}",
        samples=1,
        value=1.0,
    )
