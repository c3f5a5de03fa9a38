"""Placement of workers: how many a cluster holds under the engine's settings, and the resources of each.

All workers of a run have the same resources: CPUs only, a fraction of a GPU, or whole GPUs. Tune reuses a worker's
process only for trials with equal resources.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeper.errors import SweeperError
from sweeper.spec.job.sweep import Engine

Node = Mapping[str, float]  # the resources of a node: {"CPU": 8.0, "GPU": 1.0, ...}

# Four workers share a GPU, because a network of base width 64 on 32 x 32 images leaves most of it idle.
AUTO_GPUS = 0.25


@dataclass(frozen=True, slots=True)
class Placement:
    """The workers of a run."""

    workers: int
    cpus: float  # of each worker
    gpus: float  # of each worker
    workers_per_node: int  # the largest number of workers on one node

    @property
    def bundle(self) -> dict[str, float]:
        """The resources that one worker requests from Ray."""
        return {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})

    @property
    def threads(self) -> int:
        """The threads that a worker may use, so that workers on one node do not compete for cores."""
        return max(1, int(self.cpus))


def place_workers(engine: Engine, nodes: Sequence[Node]) -> Placement:
    """Return the workers for these nodes.

    `workers: auto` fills the present nodes; a number is used unchanged, because an autoscaler may still add nodes.

    Raises:
        SweeperError: A worker fits on no node and no node can be added, or
            `precision: bfloat16` is set and no worker has a GPU.
    """
    gpus = _gpus(engine, nodes)
    if engine.precision == "bfloat16" and not gpus:
        raise SweeperError("engine.precision: bfloat16 needs GPUs, and no worker has one; use float32 or auto")
    slots_by_node = [slots(node, engine.cpus, gpus) for node in nodes]
    workers_per_node = max(slots_by_node, default=0)
    if engine.workers != "auto":
        return Placement(engine.workers, engine.cpus, gpus, min(engine.workers, workers_per_node) or engine.workers)
    if not workers_per_node:
        raise SweeperError(
            f"engine: a worker of {engine.cpus:g} CPUs and {gpus:g} GPUs fits on no node of the cluster; "
            "lower engine.cpus or engine.gpus, or set engine.workers to a number if an autoscaler adds nodes"
        )
    return Placement(sum(slots_by_node), engine.cpus, gpus, workers_per_node)


def slots(node: Node, cpus: float, gpus: float) -> int:
    """Return the number of workers that fit on a node, each with this number of CPUs and GPUs.

    A fraction of a GPU is taken from a single GPU: two workers with 0.4 GPUs fit on each.
    """
    by_cpu = math.floor(node.get("CPU", 0) / cpus + 1e-9)
    if not gpus:
        return by_cpu
    node_gpus = node.get("GPU", 0)
    by_gpu = math.floor(node_gpus) * math.floor(1 / gpus + 1e-9) if gpus < 1 else math.floor(node_gpus / gpus + 1e-9)
    return min(by_cpu, by_gpu)


def _gpus(engine: Engine, nodes: Sequence[Node]) -> float:
    if engine.gpus != "auto":
        return float(engine.gpus)
    return AUTO_GPUS if any(node.get("GPU", 0) >= 1 for node in nodes) else 0.0
