"""Placement of workers: how many a cluster holds under the engine's settings, and the resources of each.

A run has one resource shape: cpu-only, a fraction of a GPU, or whole GPUs. Tune reuses a warm worker only within a
shape.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeper.errors import SweeperError
from sweeper.spec.job.sweep import Engine

Node = Mapping[str, float]  # what a node has: {"CPU": 8.0, "GPU": 1.0, ...}

# Four workers share a GPU, because a network of base width 64 on 32 x 32 images leaves most of it idle.
AUTO_GPUS = 0.25


@dataclass(frozen=True, slots=True)
class Placement:
    """The workers of a run."""

    workers: int
    cpus: float  # of each
    gpus: float  # of each
    neighbours: int  # the most of them on one node

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
        SweeperError: A worker fits on no node and no node can be added, or bfloat16 is asked for without GPUs.
    """
    gpus = _gpus(engine, nodes)
    if engine.precision == "bfloat16" and not gpus:
        raise SweeperError("engine.precision: bfloat16 needs GPUs, and no worker has one; use float32 or auto")
    room = [slots(node, engine.cpus, gpus) for node in nodes]
    neighbours = max(room, default=0)
    if engine.workers != "auto":
        return Placement(engine.workers, engine.cpus, gpus, min(engine.workers, neighbours) or engine.workers)
    if not neighbours:
        raise SweeperError(
            f"engine: a worker of {engine.cpus:g} CPUs and {gpus:g} GPUs fits on no node of the cluster; "
            "ask for less, or give engine.workers as a number where an autoscaler is to bring nodes"
        )
    return Placement(sum(room), engine.cpus, gpus, neighbours)


def slots(node: Node, cpus: float, gpus: float) -> int:
    """Return how many such workers a node holds. A fraction of a GPU lies on one GPU: 0.4 fits twice on each."""
    by_cpu = math.floor(node.get("CPU", 0) / cpus + 1e-9)
    if not gpus:
        return by_cpu
    here = node.get("GPU", 0)
    by_gpu = math.floor(here) * math.floor(1 / gpus + 1e-9) if gpus < 1 else math.floor(here / gpus + 1e-9)
    return min(by_cpu, by_gpu)


def _gpus(engine: Engine, nodes: Sequence[Node]) -> float:
    if engine.gpus != "auto":
        return float(engine.gpus)
    return AUTO_GPUS if any(node.get("GPU", 0) >= 1 for node in nodes) else 0.0
