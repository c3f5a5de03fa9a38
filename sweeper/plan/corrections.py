"""Corrections of estimates: the factors by which tasks of a kind took longer, or less long, than was estimated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sweeper.spec.records.task import TrainingRun

from .graph import MeasureSpec, Operation

# The kind of a task, from the general to the particular: ("stitches", "strict", "resnet18k", "(('width', 8),)").
Kind = tuple[str, ...]

# The done tasks of a kind whose mean is used. With fewer, the tasks of the next wider kind count.
LEAST_TASKS = 3


class KindTimes(NamedTuple):
    """Done tasks of a kind on one kind of device."""

    tasks: int = 0
    measured: float = 0.0  # seconds
    estimated: float = 0.0  # core-seconds

    def add(self, tasks: int, measured: float, estimated: float) -> "KindTimes":
        """Return the tally with more tasks."""
        return KindTimes(self.tasks + tasks, self.measured + measured, self.estimated + estimated)


@dataclass(frozen=True)
class Corrections:
    """The factors that a store's measured times give for one device.

    Args:
        device: The device of the measured times, as a row names it; "" if there are none.
        cores: The cores that a worker on this device counts as: a factor turns estimated core-seconds into corrected
            ones, also on a GPU.
        tallies: The done tasks on this device by kind; each task counts for its kind and for every wider one.
    """

    device: str = ""
    cores: float = 1.0
    tallies: Mapping[Kind, KindTimes] = field(default_factory=dict)

    @property
    def tasks(self) -> int:
        """The number of measured tasks."""
        return self.tallies.get((), KindTimes()).tasks

    @property
    def on_gpu(self) -> bool:
        """True if the measured times are those of a GPU."""
        return bool(self.device) and not is_cpu(self.device)

    def factor(self, kind: Kind) -> float:
        """Return the factor for tasks of a kind, from the narrowest kind with enough measured tasks; 1 if none has."""
        for length in range(len(kind), -1, -1):
            tally = self.tallies.get(kind[:length], KindTimes())
            if tally.tasks >= LEAST_TASKS:
                return self.cores * tally.measured / tally.estimated
        return 1.0


def is_cpu(device: str) -> bool:
    """Return True for the device of a row that was computed on a CPU; a precision may follow its name."""
    return device.split(",")[0] == "cpu"


NO_CORRECTIONS = Corrections()


def training_kind(run: TrainingRun) -> Kind:
    """Return the kind of a training run."""
    return ("models", run.objective, run.arch, str(run.options))


def operation_kind(operation: Operation, top: TrainingRun) -> Kind:
    """Return the kind of a stitch or measurement with this top model."""
    if isinstance(operation, MeasureSpec):
        return ("similarities", operation.measure, top.arch, str(top.options))
    return ("stitches", operation.protocol if operation.steps else "untrained", top.arch, str(top.options))
