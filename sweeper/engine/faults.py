"""What a fault means for a pack: try it again, halve it, or give it up. Pure: no Ray is running here, no clock.

Each class of fault has a budget of its own. A node that goes away says nothing about the pack, so those retries are
nearly free. A worker that dies may be the pack's doing: the pack is tried once more as it is (a stray kill hits the
innocent too), then halved at every further death until the killer stands alone, and only then given up.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Why tasks of a pack are neither done nor failed for good."""

    RAISED = "task raised"
    CRASHED = "pack raised"  # outside any one task: the culprit is not known
    KILLED = "worker killed"
    TIMEOUT = "timeout"
    MEMORY = "out of memory"
    LOST = "node lost"
    DEFECT = "defect"  # of Sweeper or its store, not of a task


class Verdict(StrEnum):
    RETRY = "retry"
    SPLIT = "split"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Tries:
    """What a pack, or the pack that it was split off, went through."""

    faults: int = 0  # that may be the pack's own
    losses: int = 0  # of nodes

    @property
    def attempt(self) -> int:
        """The number of this try, from 0."""
        return self.faults + self.losses

    def after(self, fault: Fault) -> "Tries":
        if fault is Fault.LOST:
            return Tries(self.faults, self.losses + 1)
        return Tries(self.faults + 1, self.losses)


@dataclass(frozen=True, slots=True)
class Budgets:
    """How often a pack may be tried again, by class of fault."""

    retries: int  # of a single task whose worker dies, and of a defect
    losses: int = 50  # of its node

    @property
    def raised(self) -> int:
        """A Python exception is nearly always deterministic: one more try tells a hiccup of a file system or a GPU
        from a mistake, further ones only cost time."""
        return min(self.retries, 1)


def final(tries: Tries, budgets: Budgets) -> bool:
    """Whether a task that raises in this try stays failed."""
    return tries.faults >= budgets.raised


def verdict(fault: Fault, tasks: int, tries: Tries, budgets: Budgets) -> Verdict:
    """What to do with the `tasks` tasks (at least one) that a pack lost, after `tries` earlier tries."""
    alone = tasks == 1
    match fault:
        case Fault.LOST:
            again = tries.losses < budgets.losses
        case Fault.RAISED:
            again = tries.faults < budgets.raised
        case Fault.DEFECT:
            again = tries.faults < budgets.retries
        case Fault.TIMEOUT:  # a second wait would cost as much as the first
            return Verdict.FAIL if alone else Verdict.SPLIT
        case Fault.KILLED if not alone:
            return Verdict.RETRY if tries.faults == 0 else Verdict.SPLIT
        case Fault.MEMORY | Fault.CRASHED if not alone:  # half of it needs less, or is innocent
            return Verdict.SPLIT
        case Fault.CRASHED:
            again = tries.faults < budgets.raised
        case _:
            again = tries.faults < budgets.retries
    return Verdict.RETRY if again else Verdict.FAIL


def classify(error: BaseException | None) -> Fault:
    """The class of the error that ended a Tune trial, or escaped from Tune's `fit`.

    Ray's classes are told by name: they are also found inside another error's text, where Tune has wrapped them, and
    this module needs no Ray.
    """
    names = {name for link in _chain(error) for name in (*_class_names(link), *_named_in(str(link)))}
    if "OutOfMemoryError" in names:
        return Fault.MEMORY
    if names & {"ActorUnavailableError", "NodeDiedError"} or getattr(error, "preempted", False):
        return Fault.LOST
    if names & {"ActorDiedError", "RayActorError", "WorkerCrashedError"}:
        return Fault.LOST if _node_died(error) else Fault.KILLED
    return Fault.DEFECT


def hog(error: BaseException) -> tuple[str, int] | None:
    """(node address, process) of the worker that held the most when Ray killed one for memory; None where its text
    doesn't tell. The one killed is often an innocent: Ray takes the newest."""
    node = re.search(r"memory.{0,200}?\(IP: ([\w.:]+)", str(error), re.DOTALL)
    considered = re.findall(r"pid=(\d+), actual memory used=([\d.]+)GB", str(error))
    if not node or not considered:
        return None
    pid, _ = max(considered, key=lambda found: float(found[1]))
    return node[1], int(pid)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _class_names(error: BaseException) -> Iterator[str]:
    return (cls.__name__ for cls in type(error).__mro__)


def _named_in(text: str) -> set[str]:
    known = ("OutOfMemoryError", "ActorUnavailableError", "NodeDiedError", "ActorDiedError", "WorkerCrashedError")
    return {name for name in known if name in text}


def _node_died(error: BaseException | None) -> bool:
    """Ray reports a worker that went down with its node as `ActorDiedError` too, and says so in words alone."""
    return "node" in (text := str(error).lower()) and any(
        word in text for word in ("died with its node", "its node has")
    )
