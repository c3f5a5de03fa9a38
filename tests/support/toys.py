"""Performers for tests of the engine: instead of computing, their tasks do nothing, raise, hang or kill their process.

The environment variable `TOYS` names a JSON file that the workers (other processes) read. It has a rule for each task
that is to fail or wait, by task id, such as {"<id>": "raise"}; the id "*" stands for every task. Each performed task
appends a line to the file with the further suffix `.log`.
"""

import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from support.store_rows import planned_row
from sweeper.spec.job import resolve
from sweeper.spec.job.sweep import ResolvedSweep, Sweep
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import FailureRow, Row
from sweeper.spec.records.task import Measurement, Model, Pack, Stitch, StitchPack, TrainPack


def toy_sweep(**engine: object) -> ResolvedSweep:
    """Return a resolved job of 4 models, 40 stitches and 40 measurements, in about 50 packs."""
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
    """The rows of a task and, for a model, its weights, in the form that the engine expects of a performer."""

    rows: Sequence[Row]
    weights: bytes | None = None


def perform(pack: Pack, load, **numerics: str | bool) -> Iterator[Outcome]:
    """Perform each task according to its rule; a task without a rule returns its row immediately."""
    rules = _rules()
    tasks = pack.models if isinstance(pack, TrainPack) else (*pack.stitches, *pack.measurements)
    if isinstance(pack, StitchPack):
        _check_inputs(pack, load)
    for task in tasks:
        _log(task.id)
        rule = rules.get(task.id, rules.get("*", ""))
        if rule != "silent":
            yield _perform(pack, task, rule)


def perform_immediately(pack: Pack, load, **numerics: str | bool) -> Iterator[Outcome]:
    """Yield a row for each task without reading rules or inputs, to measure the time of the engine alone."""
    tasks = pack.models if isinstance(pack, TrainPack) else (*pack.stitches, *pack.measurements)
    for task in tasks:
        yield receipt(pack, task)


def receipt(pack: Pack, task: Model | Stitch | Measurement) -> Outcome:
    """Return the outcome of a task that is done."""
    if isinstance(task, Model):
        weights = f"weights of {task.id}".encode()
        return Outcome([planned_row(task, {task.id: digest(weights)})], weights)
    return Outcome([planned_row(task, pack.weights)])


def _perform(pack: Pack, task: Model | Stitch | Measurement, rule: str) -> Outcome:
    verb, _, argument = rule.partition(" ")
    match verb:
        case "kill":
            print(f"{task.id} is about to be killed", file=sys.stderr, flush=True)
            os.kill(os.getpid(), 9)
        case "hang":  # with a number: if more than this many tasks have begun
            if len(_lines()) > int(argument or 0):
                time.sleep(3600)
        case "crash":
            raise RuntimeError(f"the pack raised at task {task.id}{argument and ' '}{argument}")
        case "hold":  # holds the interpreter in a call that never returns, as a regular expression can
            deque(repeat(1), maxlen=0)
        case "stop":  # stops the process, as a debugger or a suspended container does
            os.kill(os.getpid(), signal.SIGSTOP)
        case "sleep":
            time.sleep(float(argument))
        case "eat":  # allocates this many GiB and keeps them until the process is killed
            memory = bytearray(int(argument) * 2**30)
            time.sleep(60)
            del memory
        case "after":  # ends when this many tasks have begun
            while len(_lines()) < int(argument):
                time.sleep(0.05)
        case "gate":  # if more than this many tasks have begun, waits until the test opens the gate
            while len(_lines()) > int(argument) and not gate(Path(os.environ["TOYS"])).exists():
                time.sleep(0.05)
        case "raise":
            return _failure(task, argument or "bad luck")
        case "once":  # raises the first time
            if _attempts(task.id) == 1:
                return _failure(task, "the first try fails")
    return receipt(pack, task)


def _failure(task: Model | Stitch | Measurement, message: str) -> Outcome:
    kind = "models" if isinstance(task, Model) else "stitches" if isinstance(task, Stitch) else "similarities"
    row = FailureRow(task=task.id, of=kind, error="ValueError", message=message, traceback="here", final=False)
    return Outcome([row])


def _check_inputs(pack: StitchPack, load) -> None:
    """Check that the engine provides the weights that a pack names."""
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
    """Return the path of the file that a test creates to let the tasks of the rule "gate" end."""
    return Path(f"{file}.gate")


def log(file: Path) -> list[tuple[str, int, float]]:
    """Return (task id, process id, time) of every task that has begun, in order."""
    lines = Path(f"{file}.log").read_text().splitlines() if Path(f"{file}.log").exists() else []
    return [(task, int(pid), float(at)) for task, pid, at in map(str.split, lines)]


def _attempts(task: str) -> int:
    """Count how often a task has begun."""
    return sum(line.startswith(task) for line in _lines())


def _lines() -> list[str]:
    return Path(os.environ["TOYS"] + ".log").read_text().splitlines()
