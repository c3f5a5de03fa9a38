"""The pack scheduler of a run: which packs are running, which are tried again, when to stop. It does not use Ray.

The `Frontier` decides which packs may start. The scheduler pins the weights that a pack reads, counts the tries of each
pack, turns faults into verdicts and keeps the numbers of the progress line.
"""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sweeper.plan.frontier import Frontier
from sweeper.spec.records.rows import FailureRow
from sweeper.spec.records.task import Pack, TrainPack

from . import faults
from .faults import Budgets, Fault, Tries, Verdict
from .progress import Status, estimate_left

# A sweep is stopped when this many tasks failed with the same class of error and none succeeded.
ABORT_AFTER_FAILURES = 20


@dataclass(frozen=True, slots=True)
class Order:
    """A pack as it is sent to a worker."""

    pack: Pack
    attempt: int
    final: bool  # a task that raises stays failed: its budget is spent


@dataclass(slots=True)
class Report:
    """A worker's report on its pack. Tasks are given by their index in `pack.tasks`; each is reported once."""

    finished: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)  # for good
    raised: list[int] = field(default_factory=list)  # may be tried again
    weights: dict[int, str] = field(default_factory=dict)  # of finished models: their digests
    error: str = ""  # of the last task that failed, or why the pack ended early: class and message
    trace: str = ""  # where that was raised, if the pack ended early
    fault: Fault | None = None  # why it ended early
    over: bool = False  # the pack ended


@dataclass(slots=True)
class _RunningPack:
    """A pack that a worker is performing."""

    pack: Pack
    tries: Tries
    done: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)


class PackScheduler:
    """The scheduling state of a run.

    Args of the constructor: `packs` that are missing; `models`, the ids of models that the store has, and `weights`,
    their digests; `tasks`, the number of tasks of the whole job, and `done`, how many were done before this run.
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
        clock: Callable[[], float] = time.monotonic,
    ):
        given = tuple(packs)
        self.frontier = Frontier(given, frozenset(models))
        self.weights = dict(weights)
        self.handed_out = 0
        self.abort_reason = ""  # why the sweep must stop; empty while some task may still succeed
        self._tasks, self._done_before, self._budgets, self._clock = tasks, done, budgets, clock
        self._out: dict[str, _RunningPack] = {}
        self._tries: dict[str, Tries] = {}
        self._unrecorded: list[FailureRow] = []
        self._seconds_left = sum(pack.seconds for pack in given)
        self._seconds_done = 0.0
        self._settled = 0
        self._started: float | None = None
        self._succeeded, self._error = False, ""
        self._failures: dict[str, int] = {}  # by class of error, until the first success

    @property
    def over(self) -> bool:
        return self.frontier.over or bool(self.abort_reason)

    @property
    def stuck(self) -> bool:
        """True if no pack is running and none can ever start."""
        counts = self.frontier.counts()
        return not (counts.ready or counts.running)

    def next(self) -> Order | None:
        """Return the next pack that may start, with its weights pinned; None if none may start at the moment."""
        pack = self.frontier.next()
        if pack is None:
            return None
        if self._started is None:
            self._started = self._clock()
        self.handed_out += 1
        tries = self._tries.pop(pack.id, Tries())
        self._out[pack.id] = _RunningPack(pack, tries)
        if pack.inputs:
            pack = dataclasses.replace(pack, weights={model: self.weights[model] for model in pack.inputs})
        return Order(pack, tries.attempt, faults.final(tries, self._budgets))

    def on_report(self, pack_id: str, report: Report) -> None:
        """Take in a worker's report. A late report on a pack that no longer runs is ignored: the store has its rows."""
        out = self._out.get(pack_id)
        if out is None:
            return
        tasks = out.pack.tasks
        self.weights.update((tasks[index], digest) for index, digest in report.weights.items())
        out.done.update(tasks[index] for index in report.finished)
        out.failed.update(tasks[index] for index in report.failed)
        self._count(out.pack, len(report.finished), len(report.failed))
        self._judge(len(report.finished), len(report.failed) + len(report.raised), report.error)
        if report.over:
            self.on_pack_end(pack_id, report.fault or Fault.RAISED, report.error, report.trace)

    def on_pack_end(self, pack_id: str, fault: Fault, message: str = "", trace: str = "") -> None:
        """Take in the end of a pack; `fault` is the reason why some of its tasks are neither done nor failed."""
        out = self._out.pop(pack_id, None)
        if out is None:
            return
        lost = self.frontier.finish(pack_id, out.done, out.failed)
        if not lost:
            return
        if fault not in (Fault.RAISED, Fault.LOST):
            self._judge(0, len(lost), f"{fault}: {message}")
        match faults.verdict(fault, len(lost), out.tries, self._budgets):
            case Verdict.RETRY:
                self._tries[self.frontier.retry(pack_id).id] = out.tries.after(fault)
            case Verdict.SPLIT:
                self._tries.update((half.id, out.tries.after(fault)) for half in self.frontier.split(pack_id))
            case Verdict.FAIL:
                self._give_up(out, lost, fault, message, trace)

    def recall(self, blame: str | None = None, fault: Fault = Fault.LOST, message: str = "") -> None:
        """End all running packs after their workers are gone. Only the pack to blame loses one of its tries."""
        for pack_id in list(self._out):
            self.on_pack_end(pack_id, fault if pack_id == blame else Fault.LOST, message)

    def unrecorded(self) -> list[FailureRow]:
        """Return the failures that no worker could record because it died; each is returned once."""
        rows, self._unrecorded = self._unrecorded, []
        return rows

    def failure_summary(self) -> str:
        """Return why a run in which no task succeeded failed; "" for any other run."""
        return self.abort_reason or (f"nothing succeeded: {self._error}" if self._error and not self._succeeded else "")

    def status(self) -> Status:
        counts = self.frontier.counts()
        out_done = sum(len(out.done) for out in self._out.values())
        out_failed = sum(len(out.failed) for out in self._out.values())
        elapsed = 0.0 if self._started is None else self._clock() - self._started
        return Status(
            tasks=self._tasks,
            done=self._done_before + counts.done + out_done,
            failed=counts.failed + out_failed,
            blocked=counts.blocked,
            running=counts.running,
            settled=self._settled,
            elapsed=elapsed,
            left=estimate_left(self._seconds_left, self._seconds_done, elapsed),
        )

    def _count(self, pack: Pack, finished: int, failed: int) -> None:
        share = pack.seconds * (finished + failed) / len(pack.tasks)
        self._seconds_done += share
        self._seconds_left = max(0.0, self._seconds_left - share)
        self._settled += finished + failed

    def _judge(self, finished: int, failed: int, error: str) -> None:
        """Set the reason to abort if every task fails with the same class of error: then the settings are wrong."""
        self._succeeded = self._succeeded or finished > 0
        if failed and not self._succeeded:
            self._error = error
            kind = error.split(":", 1)[0]
            self._failures[kind] = self._failures.get(kind, 0) + failed
            if self._failures[kind] >= ABORT_AFTER_FAILURES:
                self.abort_reason = f"nothing succeeded and {self._failures[kind]} tasks failed the same way: {error}"

    def _give_up(self, out: _RunningPack, lost: tuple[str, ...], fault: Fault, message: str, trace: str) -> None:
        self.frontier.fail(out.pack.id, str(fault))
        self._count(out.pack, 0, len(lost))
        self._unrecorded += [
            FailureRow(
                task=task,
                attempt=out.tries.attempt,
                of=receipt_kind_of(out.pack, task),
                error=str(fault),
                message=message,
                traceback=trace,
                final=True,
            )
            for task in lost
        ]


def receipt_kind_of(pack: Pack, task: str) -> str:
    """Return the kind of rows ("models", "stitches", "similarities") that a task's receipt belongs to."""
    if isinstance(pack, TrainPack):
        return "models"
    return "stitches" if any(stitch.id == task for stitch in pack.stitches) else "similarities"
