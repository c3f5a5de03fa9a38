"""The time limit of a pack: the seconds in which one of its tasks must end, or its worker is ended.

A number in `engine.timeout` is the limit of every pack. With `auto`, a pack that is estimated to take longer has more
time. The estimate of the whole pack counts, not that of a single task, because stitches with one top end together.
"""

from typing import Literal, NamedTuple

from sweeper.spec.job.sweep import Engine

# The least limit of `auto`. It also covers what no estimate contains: decoding a data set, compiling a network.
LEAST_SECONDS = 3600.0
# The limit of `auto` in estimated durations. Measured times differ from estimates by a third on the machine on which
# the cost model was fitted; older cores, or workers that compete for memory, take up to three times as long.
ESTIMATE_FACTOR = 5
# The cores that a GPU replaces. A stitch of the paper's size is estimated at 450,000 core-seconds and took the authors
# about a GPU-hour, which is 125; workers that share a GPU share its speed.
CORES_OF_A_GPU = 100.0

# Four workers share a GPU, because a network of base width 64 on 32 x 32 images leaves most of it idle.
AUTO_GPUS = 0.25

Timeout = float | Literal["auto"]


class TimeLimit(NamedTuple):
    """The seconds in which a task of a pack must end, and where this number comes from."""

    seconds: float
    origin: str

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s ({self.origin})" if self.seconds >= 10 else f"{self.seconds:g} s ({self.origin})"


def time_limit(core_seconds: float, timeout: Timeout, gpus: float = 0.0) -> TimeLimit:
    """Return the time limit of a pack.

    Args:
        core_seconds: The estimated seconds of the pack on one core.
        timeout: The setting `engine.timeout`.
        gpus: The GPUs, or the share of one, that the pack's worker has.
    """
    if timeout != "auto":
        return TimeLimit(timeout, "engine.timeout")
    seconds = ESTIMATE_FACTOR * worker_seconds(core_seconds, gpus)
    if seconds <= LEAST_SECONDS:
        return TimeLimit(LEAST_SECONDS, "the least of engine.timeout: auto")
    return TimeLimit(seconds, f"{ESTIMATE_FACTOR} times its estimate, by engine.timeout: auto")


def worker_seconds(core_seconds: float, gpus: float) -> float:
    """Return the estimated seconds of a pack on a worker with this number or share of GPUs."""
    return core_seconds / max(1.0, CORES_OF_A_GPU * gpus)


def gpus_of_a_worker(engine: Engine) -> float:
    """Return the GPUs that a worker has where there are GPUs."""
    return AUTO_GPUS if engine.gpus == "auto" else engine.gpus


def declared_gpus(engine: Engine) -> float:
    """Return the GPUs of each worker if the job declares them; 0 with `auto`, as a worker may then have none."""
    return 0.0 if engine.gpus == "auto" else engine.gpus
