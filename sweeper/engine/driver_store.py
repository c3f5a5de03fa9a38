"""The store as the driver of a run uses it: its outages are waited out, and the run and its failures are recorded."""

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from sweeper.errors import StoreError, StoreUnreachableError
from sweeper.plan.duration import duration
from sweeper.spec.job import resolve
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.spec.records.rows import FailureRow, RunRow
from sweeper.store.lease import Lease
from sweeper.store.store import Store

from .guard_process import print_line
from .interrupt import Interrupt, resume_command
from .outage import Outage, begin_and_end
from .pack_scheduler import PackScheduler
from .work import provenance

# Seconds between two commits of failures that the driver records.
STORE_SECONDS = 10.0

T = TypeVar("T")


class DriverStore:
    """The store of one run, with the driver's lease of it.

    Args:
        run: The name of the run.
        sweep: The job.
        store: The store.
        lease: The lease that the driver holds.
        interrupt: Of the run; its end is requested when the lease is lost or the store is out of reach for too long.
    """

    def __init__(self, run: str, sweep: ResolvedSweep, store: Store, lease: Lease, interrupt: Interrupt):
        self.store, self.run = store, run
        self.is_taken_over = False  # another driver has the lease, as `check_lease` has found
        self._sweep, self._lease, self._interrupt = sweep, lease, interrupt
        self._failure_rows: list[FailureRow] = []  # of tasks whose worker could not store them
        self._failures_stored_at = time.monotonic()
        self._outage = Outage(sweep.engine.wait_for_store, begin_and_end(print_line), self._may_wait)

    @property
    def opener(self) -> str:
        """The class of the store as `module:name`, by which other processes open it."""
        return f"{type(self.store).__module__}:{type(self.store).__qualname__}"

    @property
    def resume_command(self) -> str:
        """The command that continues the run."""
        return resume_command(self.store.url, self._sweep.name, trust=bool(self._sweep.code))

    def wait_out(self, call: Callable[[], T]) -> T:
        """Return the result of a call of the store; an outage is waited out.

        Raises:
            StoreUnreachableError: The store can't be reached for `engine.wait_for_store`, or the run must end.
        """
        try:
            return self._outage.wait_out(call)
        except StoreUnreachableError as error:
            command = self.resume_command
            raise StoreUnreachableError(f"{error}; finished tasks are kept; `{command}` continues") from None

    def record_start(self, job_text: str, tasks: int, done_before: int) -> None:
        """Record the start of the run, and give the guard what it needs to record the end."""
        job_fields = {"job_given": job_text, "job_resolved": resolve.to_json(self._sweep)}
        self._record("start", tasks=tasks, done_before=done_before, **job_fields)
        row = self._row_fields() | {"job_given": "", "job_resolved": "", "tasks": tasks, "done_before": done_before}
        self._interrupt.record_start(row, self.store.url, self.opener, self.resume_command)

    def record_end(self, outcome: str, *, tasks: int, done_before: int, done: int, failed: int) -> None:
        """Record the end of the run, and tell the guard that this is done."""
        self._record("end", outcome=outcome, tasks=tasks, done_before=done_before, done=done, failed=failed)
        self._interrupt.record_end()

    def record_failures(self, scheduler: PackScheduler) -> None:
        """Commit the failures of tasks whose worker ended before it could commit them."""
        self._failure_rows += [replace(row, run=self.run, **provenance()) for row in scheduler.unrecorded()]
        if self._failure_rows:
            self.store.commit(self._failure_rows, run=self.run, worker="driver")
            self._failure_rows = []

    def record_failures_now_and_then(self, scheduler: PackScheduler) -> None:
        """Commit the failures that the driver knows of, so that they are recorded even if it is killed."""
        if self._lease.unreached is None and time.monotonic() - self._failures_stored_at >= STORE_SECONDS:
            self._failures_stored_at = time.monotonic()
            with suppress(StoreError):  # tried again, at the latest at the end of the fit
                self.record_failures(scheduler)

    def check_lease(self) -> None:
        """Request the end of the run if another driver took over the lease, or if the store is out of reach for long.

        The heartbeats have found that: the one of a process that was suspended comes at once when it goes on. Nothing
        is looked up here, so that a store that doesn't answer doesn't hold the driver up.
        """
        if self._interrupt.end_requested:
            return
        unreached = self._lease.unreached
        if self._lease.is_lost:
            self.is_taken_over = True
            self._interrupt.request_end()
        elif unreached and time.monotonic() - unreached.since > self._sweep.engine.wait_for_store:
            self._interrupt.request_end()  # what then asks the store says why

    def outage_of_heartbeats(self) -> str:
        """Return what the driver waits for while its heartbeats don't reach the store; "" otherwise."""
        unreached = self._lease.unreached
        limit = duration(self._sweep.engine.wait_for_store)
        return f"waiting for the store, for up to {limit}: {unreached.error}" if unreached else ""

    def _may_wait(self) -> bool:
        self._interrupt.raise_if_lost()
        return not self._interrupt.end_requested

    def _record(self, event: str, **fields: Any) -> None:
        defaults = {"outcome": "", "job_given": "", "job_resolved": "", "done": 0, "failed": 0}
        row = RunRow(event=event, **(self._row_fields() | defaults | fields))
        self.wait_out(lambda: self.store.commit([row], run=self.run, worker="driver"))

    def _row_fields(self) -> dict[str, Any]:
        """Return the fields that the start row and the end row of the run share."""
        names = {"task": self.run, "run": self.run, "job": self._sweep.name}
        return names | {"host": socket.gethostname(), "pid": os.getpid()}
