"""The result of a run: how it ended, how many tasks it has done, and why tasks have failed for good."""

from dataclasses import dataclass

from sweeper.store.failure_causes import FailureCause


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a run. `outcome` is "complete", "failed" (not all tasks of the job are done) or "interrupted"."""

    run: str
    outcome: str
    tasks: int  # of the whole job
    done_before: int  # done before this run
    done: int  # done by this run
    failed: int  # in this run
    blocked: int  # they need a model that failed, in this run or before
    seconds: float  # duration of the run
    message: str = ""  # why the run stopped early, if it did
    failed_before: int = 0  # failed for good in earlier runs, so this run did not try them
    failures: tuple[FailureCause, ...] = ()  # causes of the tasks that have failed for good, in this run or before
