"""The performance of one pack: it takes outcomes, commits rows to the store, returns reports. It does not use Ray.

Rows are buffered until `FLUSH_SECONDS` have passed or the pack ends, so that parts are not too small; a crash loses at
most the buffered rows. A model's weights are stored before the row that names them.
"""

import importlib
import json
import os
import platform
import re
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import Protocol

from sweeper.spec.records.ident import digest
from sweeper.spec.records.rows import FailureRow, ModelRow, Row
from sweeper.spec.records.task import Data, Model, Pack, TrainPack

from .faults import Fault
from .pack_scheduler import Order, Report, receipt_kind_of

FLUSH_SECONDS = 10.0
COMMIT_TRIES = 4
OUT_OF_MEMORY = "OutOfMemoryError"  # torch's, of a GPU: the pack is halved, since half of it may fit
LIBRARIES = ("torch", "torchvision", "numpy", "ray", "pyarrow")


class TaskOutcome(Protocol):
    """The result of one task: rows that belong together (the receipt last), and a model's weights."""

    @property
    def rows(self) -> Iterable[Row]: ...
    @property
    def weights(self) -> bytes | None: ...


Load = Callable[[str], bytes]
Performer = Callable[..., Iterator[TaskOutcome]]  # of a pack, a Load, and what `Settings.numerics` holds as keywords


class WorkerStore(Protocol):
    """The part of a store that a worker uses."""

    def commit(self, rows: Iterable[Row], *, run: str, worker: str) -> object: ...
    def put_weights(self, content: bytes) -> str: ...
    def get_weights(self, digest: str) -> bytes: ...


def load_object(path: str) -> object:
    """Return the object that `module:name` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


@cache
def provenance() -> dict[str, str]:
    """Return the fields `code` (Sweeper's version) and `versions` (of the libraries, as JSON) of a row."""
    versions = {library: version(library) for library in LIBRARIES} | {"python": platform.python_version()}
    return {"code": version("sweeper"), "versions": json.dumps(versions, sort_keys=True)}


def with_data_folder(pack: Pack, data: Data | None) -> Pack:
    """Return the pack with the folder of its data set filled in, which a plan leaves out."""
    if data is None or not data.where:
        return pack
    if isinstance(pack, TrainPack):
        training = replace(pack.training, data=data)
        return replace(pack, training=training, models=tuple(replace(m, training=training) for m in pack.models))

    @cache
    def place(model: Model) -> Model:
        return replace(model, training=replace(model.training, data=data))

    return replace(
        pack,
        a=place(pack.a),
        stitches=tuple(replace(task, a=place(task.a), b=place(task.b)) for task in pack.stitches),
        measures=tuple(replace(task, a=place(task.a), b=place(task.b)) for task in pack.measures),
    )


class Work:
    """A pack that a worker performs. `advance` performs tasks until there is something to report.

    A watchdog on another thread may read `idle` and call `abandon`; nothing else is shared between threads.
    """

    def __init__(
        self,
        order: Order,
        outcomes: Iterator[TaskOutcome],
        *,
        run: str,
        store: WorkerStore,
        flush_seconds: float = FLUSH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.order, self.pack = order, order.pack
        self.ending = False  # set from outside: stop after the current task
        self._run, self._store, self._clock, self._flush_seconds = run, store, clock, flush_seconds
        self._worker = re.sub(r"[^A-Za-z0-9_.]", "-", f"{socket.gethostname()}-{os.getpid()}")
        self._index = {task: index for index, task in enumerate(self.pack.tasks)}
        self._open = set(self.pack.tasks)
        self._outcomes = outcomes
        self._provenance = provenance()
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._report = Report()
        self._fault: Fault | None = None
        self._flushed = self._heard = clock()

    @property
    def idle(self) -> float:
        """Seconds since the last task ended (or the pack began)."""
        return self._clock() - self._heard

    def advance(self) -> Report:
        """Perform tasks until rows were committed or the pack ended.

        Exceptions of the performer are reported, not raised.

        Raises:
            StoreRefusedError: The store raised after all retries.
        """
        try:
            for outcome in self._outcomes:
                self._take(outcome)
                if self.ending:
                    break
                if self._clock() - self._flushed >= self._flush_seconds:
                    return self._flush()
        except StoreRefusedError:
            raise
        except Exception as error:
            return self._pack_raised(error)
        if self.ending and self._open:
            return replace(self._flush(), over=True, fault=Fault.LOST, error="the run is ending")
        self._fail_unreported()
        return replace(self._flush(), over=True, fault=self._fault)

    def abandon(self, fault: Fault, message: str, patience: float = 5.0) -> Report:
        """Commit the buffered rows and return a last report with `fault`.

        The watchdog calls this before it ends the process. If the performing thread holds the lock for longer than
        `patience` seconds, the buffered rows are lost.
        """
        if not self._lock.acquire(timeout=patience):
            return Report(fault=fault, error=message, over=True)
        try:
            return replace(self._publish(), fault=fault, error=message, over=True)
        finally:
            self._lock.release()

    def _take(self, outcome: TaskOutcome) -> None:
        rows = [self._stamped(row) for row in outcome.rows]
        receipt = rows[-1]
        with self._lock:
            if outcome.weights is not None:
                self._put_weights(outcome.weights, receipt)
            self._rows += rows
            self._settle(receipt)
            self._heard = self._clock()

    def _stamped(self, row: Row) -> Row:
        row = replace(row, run=self._run, attempt=self.order.attempt, **self._provenance)
        if isinstance(row, FailureRow):
            return replace(row, final=self.order.final and row.error != OUT_OF_MEMORY)
        return row

    def _put_weights(self, content: bytes, receipt: Row) -> None:
        named = receipt.weights if isinstance(receipt, ModelRow) else ""
        if digest(content) != named:
            raise ValueError(f"task {receipt.task}: its row names weights {named!r}, which is not what came with it")
        _with_retries(lambda: self._store.put_weights(content))

    def _settle(self, receipt: Row) -> None:
        index = self._index[receipt.task]
        self._open.discard(receipt.task)
        if isinstance(receipt, FailureRow):
            (self._report.failed if receipt.final else self._report.raised).append(index)
            self._report.error = f"{receipt.error}: {receipt.message}"
            if receipt.error == OUT_OF_MEMORY:
                self._fault = Fault.MEMORY
        else:
            self._report.finished.append(index)
        if isinstance(receipt, ModelRow):
            self._report.weights[index] = receipt.weights

    def _flush(self) -> Report:
        with self._lock:
            return self._publish()

    def _publish(self) -> Report:
        """Commit the buffered rows, then return the report on their tasks."""
        if self._rows:
            rows = self._rows
            _with_retries(lambda: self._store.commit(rows, run=self._run, worker=self._worker))
        report, self._rows, self._report, self._flushed = self._report, [], Report(), self._clock()
        return report

    def _pack_raised(self, error: Exception) -> Report:
        """Report an exception of the performer. A single open task is to blame; with several, the task is not known."""
        fault = Fault.MEMORY if type(error).__name__ == OUT_OF_MEMORY else Fault.CRASHED
        if len(self._open) == 1 and fault is Fault.CRASHED:
            [task] = self._open
            self._fail(task, type(error).__name__, str(error), traceback.format_exc())
            return replace(self._flush(), over=True)
        what = f"{type(error).__name__}: {error}"
        return replace(self._flush(), over=True, fault=fault, error=what, trace=traceback.format_exc())

    def _fail_unreported(self) -> None:
        """Record a failure for each task without an outcome after the performer ended: a defect of the performer."""
        for task in sorted(self._open):
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
    """An error of the store (its error is the cause), not of the pack."""


def _with_retries(write: Callable[[], object], tries: int = COMMIT_TRIES) -> None:
    """Call `write` up to `tries` times, waiting 1, 2, 4 ... s in between. Writes to the store are idempotent."""
    for again in range(tries):
        try:
            write()
        except Exception as error:
            if again == tries - 1:
                raise StoreRefusedError(str(error)) from error
            time.sleep(2**again)
        else:
            return
