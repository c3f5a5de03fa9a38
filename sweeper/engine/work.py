"""The processing of one pack in a worker: collect task outcomes, commit their rows, report to the driver; without Ray.

Rows are buffered until `FLUSH_SECONDS` have passed or the pack ends, so that the store's parts are not too small. A
crash loses at most the buffered rows. A model's weights are stored before the row that names them.
"""

import importlib
import json
import os
import platform
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Protocol

from sweeper import distribution
from sweeper.errors import StoreError, StorePlaceError, StoreUnreachableError, WeightsError
from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import FailureRow, ModelRow, Row
from sweeper.spec.records.task import Data, Model, Pack, TrainPack
from sweeper.spec.records.text import error_text, failure_class, raised_at, shorten, storable, trace_text

from .faults import Fault
from .pack_scheduler import FailureGroup, Order, Report, receipt_kind_of
from .worker_log import log_tail, own_logs

PERFORMER = "sweeper.trials.perform:perform"  # named as text, because the engine does not import torch
FLUSH_SECONDS = 10.0
COMMIT_TRIES = 4
OUT_OF_MEMORY = "OutOfMemoryError"  # torch's error on a GPU; the pack is then split, since half of it may fit
WEIGHTS_ERROR = WeightsError.__name__  # weights of an input are lost; the run trains their model again
# Errors that say nothing about the task that meets them.
STORE_ERRORS = {WEIGHTS_ERROR, *(cls.__name__ for cls in (StoreError, StorePlaceError, StoreUnreachableError))}
LIBRARIES = ("torch", "torchvision", "numpy", "ray", "pyarrow")


class TaskOutcome(Protocol):
    """The result of one task: its rows (the receipt last) and, for a model, its weights."""

    @property
    def rows(self) -> Iterable[Row]:
        """The rows of the task, its receipt last."""
        ...

    @property
    def weights(self) -> bytes | None:
        """The content of a model's weight file; None for another task."""
        ...


Load = Callable[[str], bytes]  # returns the weights with a digest
Performer = Callable[..., Iterator[TaskOutcome]]  # (pack, Load, states=SavedStates, **Settings.numerics)


class ScratchStore(Protocol):
    """The part of a store that keeps saved states."""

    def read(self, computation: str) -> Sequence[tuple[str, bytes]]:
        """Return the names and contents of the sound states of a computation."""
        ...

    def write(self, computation: str, content: bytes) -> str:
        """Keep a state and return its name."""
        ...

    def drop(self, path: str) -> None:
        """Delete a state."""
        ...


class WorkerStore(Protocol):
    """The part of a store that a worker uses."""

    @property
    def scratch(self) -> ScratchStore:
        """The place of the saved states of long tasks."""
        ...

    def commit(self, rows: Iterable[Row], *, run: str, worker: str) -> object:
        """Write rows as one part."""
        ...

    def put_weights(self, content: bytes) -> str:
        """Write the content of a weight file and return its digest."""
        ...

    def get_weights(self, digest: str) -> bytes:
        """Return the content of the weight file with a digest."""
        ...


def load_object(path: str) -> object:
    """Return the object that `module:name` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def new_run_name() -> str:
    """Return a new id of a run: the time in UTC and random digits."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


@cache
def provenance() -> dict[str, str]:
    """Return the fields `code` (Sweeper's version) and `versions` (of the libraries, as JSON) of a row."""
    versions = {library: version(library) for library in LIBRARIES} | {"python": platform.python_version()}
    return {"code": distribution.version(), "versions": json.dumps(versions, sort_keys=True)}


def with_data_folder(pack: Pack, data: Data) -> Pack:
    """Return a pack whose data set has the folder of `data`; a plan leaves the folder out."""
    if not data.where:
        return pack
    if isinstance(pack, TrainPack):
        training = replace(pack.training, data=data)
        return replace(pack, training=training, models=tuple(replace(m, training=training) for m in pack.models))

    @cache
    def with_folder(model: Model) -> Model:
        return replace(model, training=replace(model.training, data=data))

    return replace(
        pack,
        a=with_folder(pack.a),
        stitches=tuple(replace(task, a=with_folder(task.a), b=with_folder(task.b)) for task in pack.stitches),
        measurements=tuple(replace(task, a=with_folder(task.a), b=with_folder(task.b)) for task in pack.measurements),
    )


class InputWeights:
    """The weights that a pack reads from the store. It notes the digests of those that are missing or damaged."""

    def __init__(self, store: WorkerStore):
        self._store = store
        self.lost: list[str] = []

    def load(self, digest: str) -> bytes:
        """Return the content of the weight file with a digest.

        Raises:
            WeightsError: The weights are missing or damaged.
        """
        try:
            return self._store.get_weights(digest)
        except WeightsError:
            self.lost.append(digest)
            raise


class Work:
    """A pack that a worker is performing. `advance` performs tasks until there is something to report.

    A watchdog on another thread may read `idle`, set `ending` and call `abandon`. Nothing else is shared
    between threads.
    """

    def __init__(
        self,
        order: Order,
        outcomes: Iterator[TaskOutcome],
        *,
        run: str,
        store: WorkerStore,
        inputs: InputWeights | None = None,
        flush_seconds: float = FLUSH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.order, self.pack = order, order.pack
        self.ending = False  # set by the watchdog; True: stop after the current task
        self._inputs = inputs or InputWeights(store)
        self._run, self._store, self._clock, self._flush_seconds = run, store, clock, flush_seconds
        self._worker = re.sub(r"[^A-Za-z0-9_.]", "-", f"{socket.gethostname()}-{os.getpid()}")
        self._index = {task: index for index, task in enumerate(self.pack.tasks)}
        self._open_tasks = set(self.pack.tasks)
        self._outcomes = outcomes
        self._provenance = provenance()
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._report = Report()
        self._fault: Fault | None = None
        self._is_waiting, self._waited_until = False, float("-inf")
        self._began_at = self._flushed_at = self._last_outcome_at = clock()

    @property
    def idle(self) -> float:
        """The seconds since the last task ended or the pack began, or since the store could be reached again."""
        return 0.0 if self._is_waiting else self._clock() - max(self._last_outcome_at, self._waited_until)

    def set_waiting(self, is_waiting: bool) -> None:
        """Take in whether the work waits for a store that can't be reached, which takes none of a task's time."""
        self._is_waiting, self._waited_until = is_waiting, self._clock()

    def advance(self) -> Report:
        """Perform tasks until rows were committed or the pack ended.

        Exceptions of the performer are reported, not raised.

        Raises:
            StoreRefusedError: The store raised after all retries.
            StoreLost: The store could not be reached (`outage.WaitingStore`).
        """
        try:
            for outcome in self._outcomes:
                self._take(outcome)
                if self.ending:
                    break
                if self._clock() - self._flushed_at >= self._flush_seconds:
                    return self._flush()
        except StoreRefusedError:
            raise
        except Exception as error:
            return self._pack_raised(error)
        if self.ending and self._open_tasks:
            return replace(self._flush(), over=True, fault=Fault.LOST, error="the run is ending")
        self._fail_unreported()
        return replace(self._flush(), over=True, fault=self._fault)

    def commit(self) -> None:
        """Commit the buffered rows; their tasks are in the next report.

        The performer calls this, before it saves or drops a state that has passed these tasks.

        Raises:
            StoreRefusedError: The store raised after all retries.
        """
        with self._lock:
            self._commit_rows()

    def abandon(self, fault: Fault, message: str, lock_timeout: float = 5.0) -> Report:
        """Commit the buffered rows and return the last report, which has this fault and message.

        The watchdog calls this before it ends the process. If the performing thread holds the lock for longer than
        `lock_timeout` seconds, the buffered rows are lost.
        """
        if not self._lock.acquire(timeout=lock_timeout):
            return Report(fault=fault, error=message, over=True)
        try:
            return replace(self._publish(), fault=fault, error=message, over=True)
        finally:
            self._lock.release()

    def _take(self, outcome: TaskOutcome) -> None:
        """Store the weights of a task, and buffer its rows until the next commit."""
        rows = [self._stamped(row) for row in outcome.rows]
        last_row = rows[-1]
        with self._lock:
            if outcome.weights is not None:
                self._put_weights(outcome.weights, last_row)
            self._rows += rows
            self._settle(last_row)
            self._last_outcome_at = self._clock()

    def _stamped(self, row: Row) -> Row:
        """Return a row with the run, the attempt and the versions; a failure also with `final` and its place."""
        row = replace(row, run=self._run, attempt=self.order.attempt, **self._provenance)
        if isinstance(row, FailureRow):
            final = self._is_final(row) and row.error not in STORE_ERRORS
            place = {"place": raised_at(row.traceback), "host": socket.gethostname(), "log": log_tail(own_logs())}
            return replace(row, final=final, **place)
        return row

    def _is_final(self, row: FailureRow) -> bool:
        """Return True if a task is not retried in this run."""
        return self.order.final and row.error not in (OUT_OF_MEMORY, WEIGHTS_ERROR)

    def _put_weights(self, content: bytes, last_row: Row) -> None:
        named_digest = last_row.weights if isinstance(last_row, ModelRow) else ""
        if digest(content) != named_digest:
            raise ValueError(
                f"task {last_row.task}: its row names weights with the digest {named_digest!r}, "
                f"but the performer returned weights with the digest {digest(content)!r}"
            )
        _with_retries(lambda: self._store.put_weights(content))

    def _settle(self, last_row: Row) -> None:
        """Add the end of a task to the next report."""
        index = self._index[last_row.task]
        self._open_tasks.discard(last_row.task)
        if isinstance(last_row, FailureRow):
            (self._report.failed if self._is_final(last_row) else self._report.raised).append(index)
            self._report.error = shorten(storable(f"{last_row.error}: {last_row.message}"))
            if last_row.error == WEIGHTS_ERROR:
                self._fault = Fault.WEIGHTS
                return
            self._group(index, failure_class(last_row.error, last_row.place))
            if last_row.error == OUT_OF_MEMORY:
                self._fault = Fault.MEMORY
        else:
            self._report.finished.append(index)
        if isinstance(last_row, ModelRow):
            self._report.weights[index] = last_row.weights

    def _group(self, index: int, failure_class: str) -> None:
        """Add a failed task to the report's group of its class."""
        for group in self._report.groups:
            if group.failure_class == failure_class:
                group.tasks.append(index)
                return
        self._report.groups.append(FailureGroup(failure_class, self._report.error, [index]))

    def _flush(self) -> Report:
        with self._lock:
            return self._publish()

    def _publish(self) -> Report:
        """Commit the buffered rows, then return the report on their tasks."""
        self._commit_rows()
        report, self._report, self._flushed_at = self._report, Report(), self._clock()
        report.seconds = self._clock() - self._began_at
        report.lost_weights = sorted(set(self._inputs.lost))
        return report

    def _commit_rows(self) -> None:
        if rows := self._rows:
            _with_retries(lambda: self._store.commit(rows, run=self._run, worker=self._worker))
        self._rows = []

    def _pack_raised(self, error: Exception) -> Report:
        """Report an exception of the performer.

        If a single task is open, that task has failed. If several are, it is not known which one caused the exception.
        """
        if isinstance(error, WeightsError):
            return replace(self._flush(), over=True, fault=Fault.WEIGHTS, error=error_text(error))
        fault = Fault.MEMORY if type(error).__name__ == OUT_OF_MEMORY else Fault.CRASHED
        if len(self._open_tasks) == 1 and fault is Fault.CRASHED:
            [task] = self._open_tasks
            self._fail(task, type(error).__name__, error_text(error), trace_text(error))
            return replace(self._flush(), over=True)
        message = f"{type(error).__name__}: {error_text(error)}"
        return replace(self._flush(), over=True, fault=fault, error=message, trace=trace_text(error))

    def _fail_unreported(self) -> None:
        """Record a failure for each task without an outcome, which is a defect of the performer."""
        for task in sorted(self._open_tasks):
            self._fail(task, "NoOutcome", "the performer ended without an outcome for this task", "")

    def _fail(self, task: str, error: str, message: str, trace: str) -> None:
        row = FailureRow(
            task=task,
            of=receipt_kind_of(self.pack, task),
            error=error,
            message=message,
            traceback=trace,
            final=self.order.final,
        )
        with self._lock:
            self._rows.append(self._stamped(row))
            self._settle(row)


class StoreRefusedError(Exception):
    """A write that the store refused in every try. Its `__cause__` is the store's own error."""


def _with_retries(write: Callable[[], object], tries: int = COMMIT_TRIES) -> None:
    """Call `write` up to `tries` times, waiting 1, 2, 4 ... s in between. Writes to the store are idempotent."""
    for attempt in range(tries):
        try:
            write()
        except Exception as error:
            if attempt == tries - 1:
                raise StoreRefusedError(error_text(error)) from error
            time.sleep(2**attempt)
        else:
            return
