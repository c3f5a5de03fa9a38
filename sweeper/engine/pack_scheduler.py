"""The pack scheduler of a run: it tracks the running packs, retries packs and decides when to stop, without Ray.

The `Frontier` decides which packs may start. The scheduler adds to a pack the digests of the weights that it reads,
counts the tries of each pack, decides after a fault whether to retry, split or fail the pack, and computes the numbers
of the progress line.
"""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sweeper.plan.frontier import Frontier
from sweeper.plan.time_limit import TimeLimit, Timeout, time_limit
from sweeper.spec.records.rows import FailureRow
from sweeper.spec.records.task import Pack, TrainPack

from . import faults
from .faults import Budgets, Decision, Fault, Tries
from .node_use import BusyWorker
from .progress import Status
from .time_left import Pace, estimate_left

# A sweep is stopped when this many tasks failed with the same class of error and none succeeded.
ABORT_AFTER_FAILURES = 20


@dataclass(frozen=True, slots=True)
class Order:
    """A pack as it is sent to a worker."""

    pack: Pack
    attempt: int
    final: bool  # True: a task that raises is finally failed, because the retries of its pack are used up
    time_limit: TimeLimit


@dataclass(slots=True)
class Report:
    """A worker's report on its pack since its last report.

    Tasks are given by their index in `pack.tasks`. Each is reported once.
    """

    finished: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)  # finally: they are not retried
    raised: list[int] = field(default_factory=list)  # may be retried
    weights: dict[int, str] = field(default_factory=dict)  # digests of the weights of finished models
    error: str = ""  # class and message of the last task's failure, or of what ended the pack early
    trace: str = ""  # its traceback, if the pack ended early
    fault: Fault | None = None  # why the pack ended early
    over: bool = False  # the pack ended


@dataclass(slots=True)
class _RunningPack:
    """A pack that a worker is performing."""

    pack: Pack
    tries: Tries
    start_time: float
    done: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)


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
        clock: Callable[[], float] = time.monotonic,
    ):
        packs = tuple(packs)
        self.frontier = Frontier(packs, frozenset(models))
        self.weights = dict(weights)
        self.abort_reason = ""  # why the run must stop; empty if it may continue
        self._tasks, self._done_before, self._budgets, self._clock = tasks, done, budgets, clock
        self._timeout: Timeout = timeout
        self._running: dict[str, _RunningPack] = {}
        self._tries: dict[str, Tries] = {}
        self._unrecorded: list[FailureRow] = []
        self._seconds_left = sum(pack.seconds for pack in packs)
        self._seconds_done = 0.0
        self._pace = Pace()
        self._settled = 0
        self._start_time: float | None = None
        self._succeeded, self._last_error = False, ""
        self._failures: dict[str, int] = {}  # by class of error, until the first success

    @property
    def over(self) -> bool:
        """True if every task has ended or the run was aborted."""
        return self.frontier.over or bool(self.abort_reason)

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
        if self._start_time is None:
            self._start_time = self._clock()
        tries = self._tries.pop(pack.id, Tries())
        self._running[pack.id] = _RunningPack(pack, tries, self._clock())
        if pack.inputs:
            pack = dataclasses.replace(pack, weights={model: self.weights[model] for model in pack.inputs})
        limit = time_limit(pack.seconds, self._timeout, gpus)
        return Order(pack, tries.attempt, faults.is_final(tries, self._budgets), limit)

    def on_report(self, pack_id: str, report: Report) -> None:
        """Take in a worker's report.

        A late report on a pack that no longer runs is ignored: its rows are in the store.
        """
        running = self._running.get(pack_id)
        if running is None:
            return
        tasks = running.pack.tasks
        self.weights.update((tasks[index], digest) for index, digest in report.weights.items())
        running.done.update(tasks[index] for index in report.finished)
        running.failed.update(tasks[index] for index in report.failed)
        self._count(running.pack, len(report.finished), len(report.failed))
        self._check_for_abort(len(report.finished), len(report.failed) + len(report.raised), report.error)
        if report.over:
            self.on_pack_end(pack_id, report.fault or Fault.RAISED, report.error, report.trace)

    def on_pack_end(self, pack_id: str, fault: Fault, message: str = "", trace: str = "") -> None:
        """Take in the end of a pack.

        Args:
            pack_id: The pack.
            fault: The reason why some of its tasks are neither done nor failed, if there are such tasks.
            message: The class and message of the error.
            trace: Its traceback.
        """
        running = self._running.pop(pack_id, None)
        if running is None:
            return
        self._pace.record_pack(self._clock() - running.start_time)
        unfinished = self.frontier.finish(pack_id, running.done, running.failed)
        if not unfinished:
            return
        if fault not in (Fault.RAISED, Fault.LOST):
            self._check_for_abort(0, len(unfinished), f"{fault}: {message}")
        match faults.decide(fault, len(unfinished), running.tries, self._budgets):
            case Decision.RETRY:
                self._tries[self.frontier.retry(pack_id).id] = running.tries.after(fault)
            case Decision.SPLIT:
                self._tries.update((half.id, running.tries.after(fault)) for half in self.frontier.split(pack_id))
            case Decision.FAIL:
                self._fail_unfinished(running, unfinished, fault, message, trace)

    def recall(self, blame: str | None = None, fault: Fault = Fault.LOST, message: str = "") -> None:
        """End all running packs, because their workers are gone.

        Args:
            blame: The pack that ends by `fault`, which counts as one of its tries. The others end by the loss of their
                node.
            fault: The fault of the pack to blame.
            message: The class and message of the error.
        """
        for pack_id in list(self._running):
            self.on_pack_end(pack_id, fault if pack_id == blame else Fault.LOST, message)

    def unrecorded(self) -> list[FailureRow]:
        """Return the failures that no worker could record because it died; each is returned once."""
        rows, self._unrecorded = self._unrecorded, []
        return rows

    def failure_summary(self) -> str:
        """Return why a run in which no task succeeded failed; "" for any other run."""
        if self.abort_reason or self._succeeded or not self._last_error:
            return self.abort_reason
        return f"no task succeeded: {self._last_error}"

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
            left_range=self._pace.left_range(self._seconds_left, elapsed),
        )

    @property
    def _elapsed(self) -> float:
        """The seconds since this run sent out its first pack."""
        return 0.0 if self._start_time is None else self._clock() - self._start_time

    def _count(self, pack: Pack, finished: int, failed: int) -> None:
        """Add ended tasks to the numbers of the progress line; each counts the mean seconds of its pack's tasks."""
        share = pack.seconds * (finished + failed) / len(pack.tasks)
        self._seconds_done += share
        self._seconds_left = max(0.0, self._seconds_left - share)
        self._settled += finished + failed
        self._pace.record(self._elapsed, self._seconds_done)

    def _check_for_abort(self, finished: int, failed: int, error: str) -> None:
        """Abort the run if no task succeeded and many failed with the same class of error.

        Then the job's settings are probably wrong, and the other tasks would fail too.
        """
        self._succeeded = self._succeeded or finished > 0
        if failed and not self._succeeded:
            self._last_error = error
            kind = error.split(":", 1)[0]
            self._failures[kind] = self._failures.get(kind, 0) + failed
            if self._failures[kind] >= ABORT_AFTER_FAILURES:
                self.abort_reason = (
                    f"no task succeeded and {self._failures[kind]} tasks failed with the same class of error: {error}"
                )

    def _fail_unfinished(
        self, running: _RunningPack, unfinished: tuple[str, ...], fault: Fault, message: str, trace: str
    ) -> None:
        self.frontier.fail(running.pack.id, str(fault))
        self._count(running.pack, 0, len(unfinished))
        self._unrecorded += [
            FailureRow(
                task=task,
                attempt=running.tries.attempt,
                of=receipt_kind_of(running.pack, task),
                error=str(fault),
                message=message,
                traceback=trace,
                final=True,
            )
            for task in unfinished
        ]


def receipt_kind_of(pack: Pack, task: str) -> str:
    """Return the kind of rows ("models", "stitches", "similarities") that a task's receipt belongs to."""
    if isinstance(pack, TrainPack):
        return "models"
    return "stitches" if any(stitch.id == task for stitch in pack.stitches) else "similarities"
