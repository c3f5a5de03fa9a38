"""A run of a sweep: it performs the tasks that the store lacks, until all have ended or the user interrupts."""

from collections.abc import Callable
from contextlib import ExitStack

from sweeper.spec.job.check import resolve_and_check
from sweeper.spec.job.sweep import ResolvedSweep, Sweep
from sweeper.store.store import Store

from . import cluster
from .compaction import Compaction
from .driver import Driver
from .driver_store import DriverStore
from .guard_process import print_line
from .interrupt import Interrupt
from .progress import Status
from .summary import Summary
from .work import PERFORMER, new_run_name


def run(
    sweep: Sweep,
    store: Store,
    *,
    job_text: str = "",
    wait: bool = False,
    take_over: bool = False,
    on_progress: Callable[[Status], None] | None = None,
    performer: str = PERFORMER,
    retry_failed: bool = False,
) -> Summary:
    """Perform the tasks of a sweep that the store lacks, and return how the run ended.

    A task that has failed for good, in this run or an earlier one, is not tried again unless `retry_failed` is True.

    The first SIGINT, SIGTERM or SIGHUP lets running tasks end (for ten seconds), a second SIGINT or SIGTERM raises
    KeyboardInterrupt. Before the first task starts, the first signal raises KeyboardInterrupt, or ends the run if its
    start is recorded. A process that hangs in a call of Ray is killed some seconds later.

    Args:
        sweep: The job.
        store: The store that results are committed to.
        job_text: The text of the job file, which is stored with the run.
        wait: True waits while another driver holds the store's lease; False raises StoreBusy.
        take_over: True replaces a driver on another machine, which is known to be dead, at once.
        on_progress: Called with the status about ten times a second, in place of the progress line on stderr.
        performer: The `module:function` that workers call to perform a pack.
        retry_failed: True tries the tasks again that have failed for good.

    Raises:
        JobError: The sweep has mistakes; all of them are listed, and nothing has started.
        StoreBusy: Another driver holds the store's lease.
        ClusterLostError: Ray has died.
        SweeperError: Something else is wrong that a user can correct.
    """
    resolved = resolve_and_check(sweep)
    return run_resolved(
        resolved,
        store,
        job_text=job_text,
        wait=wait,
        take_over=take_over,
        on_progress=on_progress,
        performer=performer,
        retry_failed=retry_failed,
    )


def run_resolved(
    sweep: ResolvedSweep,
    store: Store,
    *,
    job_text: str = "",
    wait: bool = False,
    take_over: bool = False,
    on_progress: Callable[[Status], None] | None = None,
    performer: str = PERFORMER,
    retry_failed: bool = False,
    only: frozenset[str] = frozenset(),
    interrupt: Interrupt | None = None,
) -> Summary:
    """Perform a job that `load` has resolved and checked.

    `interrupt` is the context of a caller that has entered it, and `only` has the ids of the tasks that are performed,
    if not all that are missing are, even if they have failed for good; the other arguments and the errors are those of
    `run`.
    """
    name = new_run_name()
    with ExitStack() as stack:
        interrupt = interrupt or stack.enter_context(Interrupt())
        interrupt.end_at_once()
        cluster.check_setup(sweep.engine)
        lease = stack.enter_context(store.lease(wait=wait, take_over=take_over))
        if lease.takeover:
            print_line(lease.takeover)
        store.set_aside()
        stack.enter_context(Compaction(store, lease.is_held, lambda: interrupt.end_requested))
        driver = Driver(DriverStore(name, sweep, store, lease, interrupt), sweep, interrupt, performer, only)
        return driver.perform(job_text, on_progress, retry_failed)
