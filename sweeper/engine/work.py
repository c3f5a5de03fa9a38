"""One pack being performed: outcomes in, rows committed to the store, reports out. Knows no Ray.

Rows are kept back until `FLUSH_SECONDS` have gone by or the pack ends, so that a store holds parts of some size; what
a crash can cost is what was kept back. A model's weights are put before the row that names them.
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
from .foreman import Order, Report, kind_of

FLUSH_SECONDS = 10.0
COMMIT_TRIES = 4
OUT_OF_MEMORY = "OutOfMemoryError"  # torch's, of a GPU: the pack is halved, since half of it may fit
LIBRARIES = ("torch", "torchvision", "numpy", "ray", "pyarrow")


class Outcome(Protocol):
    """What a performer yields: rows that belong together (the receipt last), and a model's weights."""

    @property
    def rows(self) -> Iterable[Row]: ...
    @property
    def weights(self) -> bytes | None: ...


Load = Callable[[str], bytes]
Performer = Callable[..., Iterator[Outcome]]  # of a pack, a Load, and what `Settings.numerics` holds as keywords


class Store(Protocol):
    """The part of a store that a worker uses."""

    def commit(self, rows: Iterable[Row], *, run: str, worker: str) -> object: ...
    def put_weights(self, content: bytes) -> str: ...
    def get_weights(self, digest: str) -> bytes: ...


def named(path: str) -> object:
    """The object at `module:name`."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


@cache
def provenance() -> dict[str, str]:
    """`code` and `versions` of a row: Sweeper's version, and as JSON those of what computed it."""
    versions = {library: version(library) for library in LIBRARIES} | {"python": platform.python_version()}
    return {"code": version("sweeper"), "versions": json.dumps(versions, sort_keys=True)}


def located(pack: Pack, data: Data | None) -> Pack:
    """The pack with the place of its data set filled in: a plan is the same wherever the files lie."""
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
    """A pack in the hands of a worker. `advance` performs until something is to be reported.

    A watchdog on another thread may look at `idle` and call `abandon`; nothing else is shared between threads.
    """

    def __init__(
        self,
        order: Order,
        outcomes: Iterator[Outcome],
        *,
        run: str,
        store: Store,
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
        self._told = Report()
        self._fault: Fault | None = None
        self._flushed = self._heard = clock()

    @property
    def idle(self) -> float:
        """Seconds since the last task ended (or the pack began)."""
        return self._clock() - self._heard

    def advance(self) -> Report:
        """Performs until rows were committed or the pack ended. Raises StoreRefusedError; a performer's own exceptions
        are reported, not raised."""
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
        self._nothing_said()
        return replace(self._flush(), over=True, fault=self._fault)

    def abandon(self, fault: Fault, message: str, patience: float = 5.0) -> Report:
        """Called by the watchdog when the process is to be taken down: commits what is ready and says why the rest
        is not. Where the performing thread holds the books for longer than `patience`, what they hold is lost."""
        if not self._lock.acquire(timeout=patience):
            return Report(fault=fault, error=message, over=True)
        try:
            return replace(self._publish(), fault=fault, error=message, over=True)
        finally:
            self._lock.release()

    def _take(self, outcome: Outcome) -> None:
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
        _patiently(lambda: self._store.put_weights(content))

    def _settle(self, receipt: Row) -> None:
        index = self._index[receipt.task]
        self._open.discard(receipt.task)
        if isinstance(receipt, FailureRow):
            (self._told.failed if receipt.final else self._told.raised).append(index)
            self._told.error = f"{receipt.error}: {receipt.message}"
            if receipt.error == OUT_OF_MEMORY:
                self._fault = Fault.MEMORY
        else:
            self._told.finished.append(index)
        if isinstance(receipt, ModelRow):
            self._told.weights[index] = receipt.weights

    def _flush(self) -> Report:
        with self._lock:
            return self._publish()

    def _publish(self) -> Report:
        """Commits the rows kept back; only then may their tasks be told of."""
        if self._rows:
            rows = self._rows
            _patiently(lambda: self._store.commit(rows, run=self._run, worker=self._worker))
        told, self._rows, self._told, self._flushed = self._told, [], Report(), self._clock()
        return told

    def _pack_raised(self, error: Exception) -> Report:
        """The performer itself raised. A task on its own is to blame; of several, which one is not known."""
        fault = Fault.MEMORY if type(error).__name__ == OUT_OF_MEMORY else Fault.CRASHED
        if len(self._open) == 1 and fault is Fault.CRASHED:
            [task] = self._open
            self._fail(task, type(error).__name__, str(error), traceback.format_exc())
            return replace(self._flush(), over=True)
        what = f"{type(error).__name__}: {error}"
        return replace(self._flush(), over=True, fault=fault, error=what, trace=traceback.format_exc())

    def _nothing_said(self) -> None:
        """The performer came to its end, so what it said nothing of is a defect of the performer."""
        for task in sorted(self._open):
            self._fail(task, "NoOutcome", "the performer ended without a word on this task", "")

    def _fail(self, task: str, error: str, message: str, trace: str) -> None:
        row = FailureRow(
            task=task,
            of=kind_of(self.pack, task),
            error=error,
            message=message,
            traceback=trace,
            final=self.order.final,
        )
        with self._lock:
            self._rows.append(self._stamped(row))
            self._settle(row)


class StoreRefusedError(Exception):
    """The store raised (its error is the cause), which is no fault of the pack."""


def _patiently(write: Callable[[], object], tries: int = COMMIT_TRIES) -> None:
    """Writes to the store are idempotent: a hiccup of a bucket or a file system is waited out, 7 s in all."""
    for again in range(tries):
        try:
            write()
        except Exception as error:
            if again == tries - 1:
                raise StoreRefusedError(str(error)) from error
            time.sleep(2**again)
        else:
            return
