"""The pack scheduler of a run: it tracks the running packs, retries packs and decides when to stop, without Ray.

The `Frontier` decides which packs may start. The scheduler adds to a pack the digests of the weights that it reads,
counts the tries of each pack, decides after a fault whether to retry, split or fail the pack, stops kinds of tasks that
fail for a common reason, and computes the numbers of the progress line.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sweeper.plan.frontier import Frontier
from sweeper.plan.pack import tasks_of_kind
from sweeper.plan.plan import KINDS
from sweeper.plan.time_limit import TimeLimit, Timeout, time_limit
from sweeper.spec.records.rows import FailureRow
from sweeper.spec.records.task import Pack, TrainPack
from sweeper.spec.records.text import failure_class, raised_at

from . import faults
from .death import Death
from .early_stop import EarlyStop, Stop
from .faults import Budgets, Decision, Fault, Tries
from .node_use import BusyWorker
from .progress import Status
from .time_left import Pace, estimate_left

# Faults whose cause lies outside the task. Their tasks have not failed for good: the next run tries them again.
OUTSIDE_THE_TASK = (Fault.LOST, Fault.DEFECT)


@dataclass(frozen=True, slots=True)
class Order:
    """A pack as it is sent to a worker."""

    pack: Pack
    attempt: int
    final: bool  # True: a task that raises is finally failed, because the retries of its pack are used up
    time_limit: TimeLimit


class FailureGroup(NamedTuple):
    """Tasks that failed with errors of one class, by their index in `pack.tasks`."""

    failure_class: str
    error: str  # the class and the text of one of the errors
    tasks: list[int]


@dataclass(slots=True)
class Report:
    """A worker's report on its pack since its last report.

    Tasks are given by their index in `pack.tasks`. Each is reported once.
    """

    finished: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)  # finally: they are not retried
    raised: list[int] = field(default_factory=list)  # may be retried
    groups: list[FailureGroup] = field(default_factory=list)  # the tasks in `failed` and in `raised`
    weights: dict[int, str] = field(default_factory=dict)  # digests of the weights of finished models
    lost_weights: list[str] = field(default_factory=list)  # digests of inputs that the store lacks or has only damaged
    error: str = ""  # class and message of the last task's failure, or of what ended the pack early
    trace: str = ""  # its traceback, if the pack ended early
    signal: str = ""  # by which the broker ended the worker's process
    fault: Fault | None = None  # why the pack ended early
    over: bool = False  # the pack ended
    seconds: float = 0.0  # since the worker began with the pack, its torch imported and its store opened


@dataclass(slots=True)
class _RunningPack:
    """A pack that a worker is performing."""

    pack: Pack
    tries: Tries
    whole_seconds: float  # estimated for the pack that this one is a part of
    done: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    recorded: set[str] = field(default_factory=set)  # tasks of which the worker recorded a failure in this try


class PackScheduler:
    """The scheduling state of a run.

    Args:
        packs: The packs whose results are missing.
        models: Ids of the models that the store has.
        weights: The digest of each of these models' weights, by model id.
        tasks: The number of tasks of the whole job.
        done: The number of tasks that were done before this run.
        budgets: The numbers of retries.
        timeout: The setting `engine.timeout`.
        measured: True if the seconds of the packs are corrected by measured times.
        stop_after_failures: The setting of the engine; 0: never.
        stop_at_failed_share: The setting of the engine.
        clock: A clock in seconds.
    """

    def __init__(
        self,
        packs: Iterable[Pack],
        *,
        models: Collection[str],
        weights: Mapping[str, str],
        tasks: int,
        done: int,
        budgets: Budgets,
        timeout: Timeout = "auto",
        measured: bool = False,
        stop_after_failures: int = 20,
        stop_at_failed_share: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ):
        packs = tuple(packs)
        self.frontier = Frontier(packs, frozenset(models))
        self.weights = dict(weights)
        self.lost_weights: set[str] = set()  # digests of weights that workers have not found, or found damaged
        self.stops: list[tuple[Stop, int]] = []  # decisions to stop kinds, and the numbers of tasks not started
        self._early_stop = EarlyStop(stop_after_failures, stop_at_failed_share, self.frontier.all_need)
        self._tasks, self._done_before, self._budgets, self._clock = tasks, done, budgets, clock
        self._timeout: Timeout = timeout
        self._measured = measured
        self._running: dict[str, _RunningPack] = {}
        self._tries: dict[str, Tries] = {}
        self._unrecorded: list[FailureRow] = []
        self._whole_seconds: dict[str, float] = {}  # of the ready packs that are parts of others, by pack id
        self._seconds_left = sum(pack.seconds for pack in packs)
        self._seconds_done = 0.0
        self._pace = Pace()
        self._settled = 0
        self._start_time = math.inf  # when the first worker began with its pack

    @property
    def over(self) -> bool:
        """True if every task has ended or was dropped."""
        return self.frontier.over

    @property
    def stuck(self) -> bool:
        """True if no pack is running and none can ever start."""
        counts = self.frontier.counts()
        return not (counts.ready or counts.running)

    def next(self, gpus: float = 0.0) -> Order | None:
        """Return the next pack that may start, for a worker with this many GPUs; None if none may start at present.

        The pack has the digests of its weights.
        """
        pack = self.frontier.next()
        if pack is None:
            return None
        tries = self._tries.pop(pack.id, Tries())
        # A part of a pack repeats the passes that its tasks share, and takes at most as long as the whole pack.
        whole_seconds = self._whole_seconds.pop(pack.id, pack.seconds)
        self._running[pack.id] = _RunningPack(pack, tries, whole_seconds)
        if pack.inputs:
            pack = dataclasses.replace(pack, weights={model: self.weights[model] for model in pack.inputs})
        limit = time_limit(whole_seconds, self._timeout, gpus)
        return Order(pack, tries.attempt, faults.is_final(tries, self._budgets), limit)

    def on_report(self, pack_id: str, report: Report, death: Death | None = None) -> None:
        """Take in a worker's report; `death` is the end of its process, if the report is the last before it.

        A late report on a pack that no longer runs is ignored: its rows are in the store.
        """
        running = self._running.get(pack_id)
        if running is None:
            return
        tasks = running.pack.tasks
        if report.seconds:
            # Counted from the first task: nodes that are to join, or workers to start, say nothing about the speed.
            self._start_time = min(self._start_time, self._clock() - report.seconds)
        self.weights.update((tasks[index], digest) for index, digest in report.weights.items())
        running.done.update(tasks[index] for index in report.finished)
        running.failed.update(tasks[index] for index in report.failed)
        running.recorded.update(tasks[index] for index in (*report.failed, *report.raised))
        self._count(running.pack, len(report.finished), len(report.failed))
        self._withdraw(running.pack, report.lost_weights)
        for group in report.groups:
            # The snapshots of one training run count as one task.
            for index in group.tasks[:1] if isinstance(running.pack, TrainPack) else group.tasks:
                self._count_failure(running.pack, tasks[index], group.failure_class, group.error)
        for kind in KINDS if report.finished else ():
            finished = {tasks[index] for index in report.finished}
            self._early_stop.on_success(kind, finished.intersection(tasks_of_kind(running.pack, kind)))
        if report.over:
            self._pace.record_pack(report.seconds)
            self.on_pack_end(pack_id, report.fault or Fault.RAISED, report.error, report.trace, death)

    def _withdraw(self, pack: Pack, lost_weights: Collection[str]) -> None:
        """Drop the tasks that need a model whose weights are lost; the next plan of the run trains it again."""
        self.lost_weights.update(lost_weights)
        for model in pack.inputs:
            if self.weights[model] in lost_weights:
                self.frontier.withdraw(model)

    def on_pack_end(
        self, pack_id: str, fault: Fault, message: str = "", trace: str = "", death: Death | None = None
    ) -> None:
        """Take in the end of a pack.

        Args:
            pack_id: The pack.
            fault: The reason why some of its tasks are neither done nor failed, if there are such tasks.
            message: The class and message of the error.
            trace: Its traceback.
            death: The end of the worker's process, if it has ended.
        """
        running = self._running.pop(pack_id, None)
        if running is None:
            return
        unfinished = self.frontier.finish(pack_id, running.done, running.failed)
        if not unfinished:
            return
        decision = faults.decide(fault, len(unfinished), running.tries, self._budgets)
        match decision:
            case Decision.RETRY:
                self._note_parts(running, fault, [self.frontier.retry(pack_id)])
            case Decision.SPLIT:
                self._note_parts(running, fault, self.frontier.split(pack_id))
            case Decision.FAIL:
                self.frontier.fail(running.pack.id, str(fault))
                self._count(running.pack, 0, len(unfinished))
            case Decision.DROP:
                self.frontier.drop(pack_id)
                return
        is_failed = decision is Decision.FAIL
        row = FailureRow(
            task="",
            attempt=running.tries.attempt,
            of="",
            error=str(fault),
            message=message,
            traceback=trace,
            final=is_failed and fault not in OUTSIDE_THE_TASK,
            place=raised_at(trace),
            **(dataclasses.asdict(death) if death else {}),
        )
        if is_failed or death or fault not in (Fault.RAISED, Fault.LOST):
            # A task whose failure in this try the worker recorded has a second row only if it is not tried again.
            self._record(running.pack, [task for task in unfinished if is_failed or task not in running.recorded], row)
        if fault not in (Fault.RAISED, Fault.LOST):
            error = f"{fault}: {message}"
            self._count_failure(running.pack, unfinished[0], failure_class(fault, raised_at(trace)), error)

    def _note_parts(self, running: _RunningPack, fault: Fault, parts: Iterable[Pack]) -> None:
        """Note the tries and the estimate of a pack for the packs of its unfinished tasks."""
        for part in parts:
            self._tries[part.id] = running.tries.after(fault)
            self._whole_seconds[part.id] = running.whole_seconds

    def recall(
        self,
        blame: str | None = None,
        fault: Fault = Fault.LOST,
        message: str = "",
        death: Death | None = None,
    ) -> None:
        """End all running packs, because their workers are gone.

        Args:
            blame: The pack that ends by `fault`, which counts as one of its tries. The others end by the loss of their
                node.
            fault: The fault of the pack to blame.
            message: The class and message of the error.
            death: The end of the process of the blamed pack's worker, if it is known.
        """
        for pack_id in list(self._running):
            if pack_id == blame:
                self.on_pack_end(pack_id, fault, message, death=death)
            else:
                self.on_pack_end(pack_id, Fault.LOST, message)

    def unrecorded(self) -> list[FailureRow]:
        """Return the failures that no worker could record because it died; each is returned once."""
        rows, self._unrecorded = self._unrecorded, []
        return rows

    def stop_notes(self) -> list[str]:
        """Return a note on each decision to stop kinds of tasks, for the progress line."""
        return [f"no more {' and '.join(stop.kinds)} are started: {stop.reason}" for stop, _ in self.stops]

    def status(self, workers: Collection[BusyWorker] = ()) -> Status:
        """Return the progress of the run, including the ended tasks of running packs.

        Args:
            workers: The workers that have a pack. A pack that was sent out and has no worker yet counts as queued.
        """
        counts = self.frontier.counts()
        running_done = sum(len(running.done) for running in self._running.values())
        running_failed = sum(len(running.failed) for running in self._running.values())
        elapsed = self._elapsed
        began = sum(worker.began for worker in workers)
        return Status(
            tasks=self._tasks,
            done=self._done_before + counts.done + running_done,
            failed=counts.failed + running_failed,
            blocked=counts.blocked,
            running=began,
            starting=len(workers) - began,
            queued=max(0, counts.waiting + counts.ready + counts.running - len(workers)),
            settled=self._settled,
            elapsed=elapsed,
            left=estimate_left(self._seconds_left, self._seconds_done, elapsed),
            measured=self._measured,
            left_range=self._pace.left_range(self._seconds_left, elapsed),
        )

    @property
    def _elapsed(self) -> float:
        """The seconds since the first worker began with its pack, as far as reports have come."""
        return max(0.0, self._clock() - self._start_time)

    def _count(self, pack: Pack, finished: int, failed: int) -> None:
        """Add ended tasks to the numbers of the progress line; each counts the mean seconds of its pack's tasks."""
        share = pack.seconds * (finished + failed) / len(pack.tasks)
        self._seconds_done += share
        self._seconds_left = max(0.0, self._seconds_left - share)
        self._settled += finished + failed
        self._pace.record(self._elapsed, self._seconds_done)

    def _count_failure(self, pack: Pack, task: str, failure_class: str, error: str) -> None:
        """Count a failed task, and stop kinds of tasks if that follows."""
        if isinstance(pack, TrainPack):
            models = pack.inputs
        else:
            planned = next(planned for planned in (*pack.stitches, *pack.measurements) if planned.id == task)
            models = (planned.a.id, planned.b.id)
        if stop := self._early_stop.on_failure(receipt_kind_of(pack, task), failure_class, error, task, models):
            self.stops.append((stop, sum(self.frontier.stop(kind) for kind in stop.kinds)))

    def _record(self, pack: Pack, tasks: Iterable[str], row: FailureRow) -> None:
        """Keep a row for each of some tasks, until the driver stores it."""
        self._unrecorded += [dataclasses.replace(row, task=task, of=receipt_kind_of(pack, task)) for task in tasks]


def receipt_kind_of(pack: Pack, task: str) -> str:
    """Return the kind of rows ("models", "stitches", "similarities") that a task's receipt belongs to."""
    if isinstance(pack, TrainPack):
        return "models"
    return "stitches" if any(stitch.id == task for stitch in pack.stitches) else "similarities"
