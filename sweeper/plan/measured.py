"""The comparison of a plan's estimates with the times of its done tasks, which a store has measured."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from sweeper.spec.job.resolve import from_json
from sweeper.spec.job.sweep import Engine
from sweeper.spec.records.task import TaskTime

from . import cost
from .corrections import (
    LEAST_TASKS,
    NO_CORRECTIONS,
    Corrections,
    Kind,
    KindTimes,
    is_cpu,
    operation_kind,
    training_kind,
)
from .graph import OPERATION, B
from .pack import row_seconds
from .plan import Plan
from .time_limit import CORES_OF_A_GPU, gpus_of_a_worker

# The most done stitches and measurements whose times are read: these suffice for means, and reading more takes seconds.
MOST_ROWS = 20_000
MOST_JOBS = 3  # whose tasks may count for another job


ReadTimes = Callable[[Collection[str]], Mapping[str, TaskTime]]
Tallies = defaultdict[str, dict[Kind, KindTimes]]


def correct(plan: Plan, read_times: ReadTimes, earlier: Iterable[Plan] = ()) -> Plan:
    """Return a plan whose estimates are corrected by the times of done tasks.

    Args:
        plan: The plan.
        read_times: Returns the times of tasks by their ids, of those that a store has.
        earlier: Plans of other jobs of the store. If too few tasks of `plan` are done, the tasks of the first of these
            plans count that has enough.
    """
    engine = plan.sweep.engine
    for measured_plan in chain([plan], earlier):
        corrections = measured_corrections(measured_plan, read_times, engine)
        if corrections.tasks >= LEAST_TASKS:
            return plan.corrected(corrections)
    return plan


def earlier_plans(jobs: Iterable[str], done: Collection[str]) -> Iterator[Plan]:
    """Yield the plans of some resolved jobs, each once, at most `MOST_JOBS`.

    Args:
        jobs: The jobs as JSON, the newest first.
        done: The ids of the done tasks.
    """
    for job in islice(_each_once(jobs), MOST_JOBS):
        yield Plan.of(from_json(job), done)


def _each_once(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts without repetitions, as they are read."""
    seen_texts: set[str] = set()
    for text in texts:
        if text not in seen_texts:
            seen_texts.add(text)
            yield text


def measured_corrections(plan: Plan, read_times: ReadTimes, engine: Engine) -> Corrections:
    """Return the corrections that the times of a plan's done tasks give, for workers with the settings of `engine`.

    Of several devices, the one on which the most seconds were measured counts. If workers may have GPUs and tasks ran
    on some, these are the GPUs.
    """
    numbers = np.flatnonzero(plan.row_done)[:MOST_ROWS]
    ids = [model.id for model, done in zip(plan.models, plan.model_done, strict=True) if done]
    row_ids = plan.row_ids(numbers.tolist())
    if not (ids or row_ids):
        return NO_CORRECTIONS
    times = read_times([*ids, *row_ids])
    tallies: Tallies = defaultdict(dict)
    for kind, device, tasks, measured, estimated in [*_trainings(plan, times), *_rows(plan, numbers, row_ids, times)]:
        for length in range(len(kind) + 1):
            tally = tallies[device].get(kind[:length], KindTimes())
            tallies[device][kind[:length]] = tally.add(tasks, measured, estimated)
    gpus = gpus_of_a_worker(engine)
    devices = [device for device in tallies if gpus or is_cpu(device)]
    if not devices:
        return NO_CORRECTIONS
    device = max(devices, key=lambda device: (not is_cpu(device), tallies[device][()].measured))
    cores = 1.0 if is_cpu(device) else max(1.0, CORES_OF_A_GPU * gpus)
    return Corrections(device, cores, tallies[device])


class Comparison(NamedTuple):
    """The measured and the estimated seconds of some tasks of a kind."""

    kind: Kind
    device: str
    tasks: int
    measured: float
    estimated: float


def _trainings(plan: Plan, times: Mapping[str, TaskTime]) -> Iterator[Comparison]:
    """Yield the comparison of each training run whose snapshots are all done, on one device."""
    models_of_run = defaultdict(list)
    for model in plan.models:
        models_of_run[model.training].append(model)
    for run, models in models_of_run.items():
        run_times = [times[model.id] for model in models if model.id in times]
        measured = sum(time.seconds for time in run_times)
        if len(run_times) == len(models) and len({time.device for time in run_times}) == 1 and measured > 0:
            last = max(models, key=lambda model: model.step)
            estimated = cost.train_seconds(last, plan.catalog.network_of(run))
            yield Comparison(training_kind(run), run_times[0].device, len(models), measured, estimated)


def _rows(
    plan: Plan, numbers: np.ndarray, row_ids: tuple[str, ...], times: Mapping[str, TaskTime]
) -> Iterator[Comparison]:
    """Yield the comparison of each done stitch and measurement."""
    rows = plan.graph.rows[numbers]
    for task, row, estimated in zip(row_ids, rows.tolist(), row_seconds(plan, numbers).tolist(), strict=True):
        time = times.get(task)
        if time and time.seconds > 0:
            kind = operation_kind(plan.graph.operations[row[OPERATION]], plan.models[row[B]].training)
            yield Comparison(kind, time.device, 1, time.seconds, estimated)
