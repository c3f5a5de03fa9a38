"""The functions of the Python API that combine several packages: `load` and `make_plan`."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .plan.plan import Plan
    from .spec.job.sweep import ResolvedSweep, Sweep
    from .store.store import Store


def load(path: str | Path, *overrides: str, trust: bool = False) -> "ResolvedSweep":
    """Load a job file, check it as a whole and resolve its data set, weights and networks.

    Args:
        path: A job file, or the name of a job that comes with Sweeper, such as `demo`.
        overrides: Settings that replace those in the file, such as "models.weak.width=4,8".
        trust: True allows importing and running code that the job names and that is not part of Sweeper.

    Raises:
        JobError: The job has mistakes; the error carries all of them, with file, line and key.
        UsageError: There is no such job.
    """
    from .resources import job
    from .spec.job.load import load as load_job

    return load_job(job(str(path)), overrides, trust)


def make_plan(sweep: "Sweep", store: "Store | None" = None) -> "Plan":
    """Return the plan of a job: its tasks, and which of them are already done in a store.

    Args:
        sweep: A job; its data set is resolved if it isn't yet.
        store: The store whose tasks count as done, and whose measured times correct the plan's estimates. Default: none
            are done.

    Raises:
        SweeperError: The job has more tasks than `limits.tasks`, or names a network whose cuts aren't known yet.
    """
    from .plan.measured import correct
    from .plan.plan import Plan
    from .spec.job.resolve import resolve

    if store is None:
        return Plan.of(resolve(sweep))
    return correct(Plan.of(resolve(sweep), store.done(), store.failed()), store.times)
