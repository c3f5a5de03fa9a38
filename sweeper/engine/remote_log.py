"""The reading of a worker's log on the machine where it ran."""

import socket
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from .death import WorkerPlace
from .worker_log import log_tail

READ_SECONDS = 10.0  # that reading the log on another machine may take


def read_log(place: WorkerPlace | None) -> str | None:
    """Return the last lines of a worker's log; None if the place is not known or they can't be read."""
    if place is None or not place.logs:
        return None
    if place.host == socket.gethostname() and all(Path(log).exists() for log in place.logs):
        return log_tail(place.logs)
    on_its_node = NodeAffinitySchedulingStrategy(place.node, soft=False)
    read: Any = ray.remote(log_tail)
    try:
        answer = read.options(num_cpus=0, scheduling_strategy=on_its_node, max_retries=0).remote(place.logs)
        return ray.get(answer, timeout=READ_SECONDS)
    except (RayError, GetTimeoutError):  # the machine is gone, or in trouble
        return None
