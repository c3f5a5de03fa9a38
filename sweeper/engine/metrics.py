"""The numbers of a run as metrics of Ray, which Prometheus reads from the nodes of the cluster.

Ray serves them at the metrics port of the driver's node, under names with the prefix `ray_`, if `ray[default]` is
installed; otherwise setting them has no effect.
"""

import time
from collections.abc import Callable, Mapping

from ray.util.metrics import Gauge

from .progress import Status

PERIOD = 2.0  # seconds between two updates; Ray publishes them every ten

_GAUGES: Mapping[str, tuple[str, Callable[[Status], float]]] = {
    "tasks": ("Tasks of the job.", lambda status: status.tasks),
    "tasks_done": ("Tasks of the job that are done.", lambda status: status.done),
    "tasks_failed": ("Tasks that failed in this run.", lambda status: status.failed),
    "tasks_blocked": ("Tasks that need a model that failed.", lambda status: status.blocked),
    "tasks_per_second": ("Tasks of this run that ended per second.", lambda status: status.rate),
    "packs_running": ("Packs that a worker is performing.", lambda status: status.running),
    "packs_starting": ("Packs whose worker is being set up.", lambda status: status.starting),
    "packs_queued": ("Packs that wait for a worker or for a model.", lambda status: status.queued),
    "seconds_left": ("Estimated seconds until the end; -1 if unknown.", lambda status: _or(-1.0, status.left)),
}
_NODE_GAUGES = {
    "node_workers": ("Workers that fit on the node.", "places"),
    "node_workers_running": ("Workers of the node that are performing a pack.", "running"),
}


class Metrics:
    """The gauges of a run of a job; `show` takes in its status."""

    def __init__(self, job: str, clock: Callable[[], float] = time.monotonic):
        self._job, self._clock = job, clock
        self._next_update, self._updated_at = 0.0, clock()
        self._busy_seconds = 0.0  # of all workers together
        self._gauges = {name: _gauge(name, meaning, "job") for name, (meaning, _) in _GAUGES.items()}
        self._node_gauges = {name: _gauge(name, meaning, "job", "node") for name, (meaning, _) in _NODE_GAUGES.items()}
        meaning = "Seconds of a worker for each task of this run that ended."
        self._seconds_per_task = _gauge("seconds_per_task", meaning, "job")
        self._nodes: set[str] = set()

    def show(self, status: Status) -> None:
        """Set the gauges, at most once in `PERIOD`."""
        if (seconds := self._clock()) < self._next_update:
            return
        self._busy_seconds += status.running * (seconds - self._updated_at)
        self._updated_at, self._next_update = seconds, seconds + PERIOD
        tags = {"job": self._job}
        for name, (_, value) in _GAUGES.items():
            self._gauges[name].set(value(status), tags)
        if status.settled:
            self._seconds_per_task.set(self._busy_seconds / status.settled, tags)
        self._show_nodes(status)

    def _show_nodes(self, status: Status) -> None:
        """Set the gauges of each node; those of a node that has left to 0, as Ray keeps a gauge for ever."""
        present = {node.name: node for node in status.nodes}
        for node_name in self._nodes | present.keys():
            for name, (_, attribute) in _NODE_GAUGES.items():
                value = getattr(present[node_name], attribute) if node_name in present else 0
                self._node_gauges[name].set(value, {"job": self._job, "node": node_name})
        self._nodes = set(present)


def _or(default: float, value: float | None) -> float:
    return default if value is None else value


def _gauge(name: str, meaning: str, *tags: str) -> Gauge:
    return Gauge(f"sweeper_{name}", description=meaning, tag_keys=tags)
