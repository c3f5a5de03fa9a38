"""Decisions on a pack after a fault: retry it, split it, or fail it. Pure functions, without Ray and without a clock.

Each class of fault has a budget of its own. A lost node is not the pack's fault, so the pack may be retried
often. A dead worker may be the pack's fault: the pack is retried once unchanged (another program may have killed the
worker), then split at every further death until a single task remains, which is then recorded as failed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """The reasons why tasks of a pack are neither done nor finally failed."""

    RAISED = "task raised"
    CRASHED = "pack raised"  # outside of any task, so it is not known which task caused it
    KILLED = "worker killed"
    TIMEOUT = "timeout"
    MEMORY = "out of memory"
    LOST = "node lost"
    WEIGHTS = "weights lost"  # of a model that tasks need; they wait for the next plan, in which it is trained again
    DEFECT = "defect"  # an error in Sweeper or its store, not in a task


class Decision(StrEnum):
    """The decisions on a pack after a fault."""

    RETRY = "retry"
    SPLIT = "split"
    FAIL = "fail"
    DROP = "drop"  # leave its tasks to the next plan of the run


@dataclass(frozen=True, slots=True)
class Tries:
    """The earlier tries of a pack, including those of the pack that it was split from."""

    faults: int = 0  # tries that ended by a fault that the pack may have caused
    losses: int = 0  # tries that ended because the node was lost

    @property
    def attempt(self) -> int:
        """The number of this try, from 0."""
        return self.faults + self.losses

    def after(self, fault: Fault) -> "Tries":
        """Return the tries including one more that ended by `fault`."""
        if fault is Fault.LOST:
            return Tries(self.faults, self.losses + 1)
        return Tries(self.faults + 1, self.losses)


@dataclass(frozen=True, slots=True)
class Budgets:
    """The numbers of retries that a pack has, by class of fault."""

    retries: int  # of a single task whose worker dies, and after a defect
    losses: int = 50  # retries after the loss of a node

    @property
    def raised(self) -> int:
        """The retries after a Python exception, at most one.

        Exceptions are nearly always deterministic. One retry is enough to recover from a transient fault of a file
        system or a GPU; more retries would only cost time.
        """
        return min(self.retries, 1)


def is_final(tries: Tries, budgets: Budgets) -> bool:
    """Return True if a task that raises in this try is recorded as finally failed."""
    return tries.faults >= budgets.raised


def decide(fault: Fault, tasks: int, tries: Tries, budgets: Budgets) -> Decision:
    """Return the decision on a pack with unfinished tasks.

    Args:
        fault: The reason why the tasks are unfinished.
        tasks: The number of unfinished tasks, at least 1.
        tries: The earlier tries of the pack.
        budgets: The numbers of retries.
    """
    single = tasks == 1
    match fault:
        case Fault.LOST:
            retry = tries.losses < budgets.losses
        case Fault.RAISED:
            retry = tries.faults < budgets.raised
        case Fault.DEFECT:
            retry = tries.faults < budgets.retries
        case Fault.WEIGHTS:
            return Decision.DROP
        case Fault.TIMEOUT:  # a second wait would cost as much as the first
            return Decision.FAIL if single else Decision.SPLIT
        case Fault.KILLED if not single:
            return Decision.RETRY if tries.faults == 0 else Decision.SPLIT
        # One half of the pack needs less memory, or does not contain the faulty task.
        case Fault.MEMORY | Fault.CRASHED if not single:
            return Decision.SPLIT
        case Fault.CRASHED:
            retry = tries.faults < budgets.raised
        case _:
            retry = tries.faults < budgets.retries
    return Decision.RETRY if retry else Decision.FAIL


def classify(error: BaseException | None) -> Fault:
    """Return the class of the error that ended a Tune trial or that Tune's `fit` raised.

    Ray's classes are recognised by their names: Tune also wraps them in the text of other errors, and this module does
    not import Ray.
    """
    names = {name for link in _chain(error) for name in (*_class_names(link), *_class_names_in(str(link)))}
    if "OutOfMemoryError" in names:
        return Fault.MEMORY
    if names & {"ActorUnavailableError", "NodeDiedError"} or getattr(error, "preempted", False):
        return Fault.LOST
    if names & {"ActorDiedError", "RayActorError", "WorkerCrashedError"}:
        return Fault.LOST if _node_died(error) else Fault.KILLED
    return Fault.DEFECT


def largest_worker(error: BaseException) -> tuple[str, int] | None:
    """Return the (node address, process id) of the worker that held the most memory when Ray killed a worker.

    None if the text of the error does not name workers. Ray kills the newest worker, so the killed one is often not the
    one that held the most memory.
    """
    node = re.search(r"memory.{0,200}?\(IP: ([\w.:]+)", str(error), re.DOTALL)
    workers = re.findall(r"pid=(\d+), actual memory used=([\d.]+)GB", str(error))
    if not node or not workers:
        return None
    pid, _ = max(workers, key=lambda worker: float(worker[1]))
    return node[1], int(pid)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    visited_ids: set[int] = set()
    while error is not None and id(error) not in visited_ids:
        visited_ids.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _class_names(error: BaseException) -> Iterator[str]:
    return (cls.__name__ for cls in type(error).__mro__)


def _class_names_in(text: str) -> set[str]:
    ray_errors = ("OutOfMemoryError", "ActorUnavailableError", "NodeDiedError", "ActorDiedError", "WorkerCrashedError")
    return {name for name in ray_errors if name in text}


def _node_died(error: BaseException | None) -> bool:
    """Return True if the text of an `ActorDiedError` says that the worker died with its node.

    Ray has no error class of its own for this case.
    """
    text = str(error).lower()
    return "died with its node" in text or "its node has" in text
