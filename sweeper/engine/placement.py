"""Placement of workers: the shapes of the workers of a run, and how many of each the nodes of a cluster hold.

A shape is what a worker requests from Ray: CPUs, perhaps a GPU or a part of one, and the labels of its node. Tune
reuses a worker's process only for trials of the same shape, so a run has few: one, or with `gpus: auto` two, of which
the first fills the GPUs and the second the CPUs that are left.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sweeper.plan.time_limit import AUTO_GPUS
from sweeper.spec.job.sweep import Engine

from .node_labels import matches


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster, or a kind of node that its autoscaler can add."""

    resources: Mapping[str, float]  # {"CPU": 8.0, "GPU": 1.0, ...}
    labels: Mapping[str, str] = field(default_factory=dict)
    id: str = ""  # Ray's; empty for a kind of node
    name: str = ""  # of its machine; empty for a kind of node

    def __str__(self) -> str:
        return resources_text(self.resources.get("CPU", 0), self.resources.get("GPU", 0))


@dataclass(frozen=True, slots=True)
class Shape:
    """The resources of a worker, and the labels that its node must have."""

    cpus: float
    gpus: float
    selector: tuple[tuple[str, str], ...] = ()

    @property
    def bundle(self) -> dict[str, float]:
        """The resources that a worker requests from Ray."""
        return {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})

    @property
    def name(self) -> str:
        """The text by which a trial's config names the shape."""
        return f"{self.cpus:g}-{self.gpus:g}"

    def __str__(self) -> str:
        labels = ", ".join(f"{key}: {value}" for key, value in self.selector)
        return resources_text(self.cpus, self.gpus) + (f" on a node with {labels}" if labels else "")


def possible_shapes(engine: Engine) -> tuple[Shape, ...]:
    """Return the shapes that workers may have on any node, GPUs first."""
    selector = tuple(engine.label_selector.items())
    if engine.gpus != "auto":
        return (Shape(engine.cpus, float(engine.gpus), selector),)
    gpu_shape, cpu_shape = Shape(engine.cpus, AUTO_GPUS, selector), Shape(engine.cpus, 0.0, selector)
    return (gpu_shape,) if engine.precision == "bfloat16" else (gpu_shape, cpu_shape)


def shapes(engine: Engine, nodes: Iterable[Node]) -> tuple[Shape, ...]:
    """Return the shapes of the workers that may run on these nodes, GPUs first.

    Args:
        engine: The settings. With `gpus: auto`, workers have a GPU only if one of the nodes has one.
        nodes: The nodes that are present or may join.
    """
    first, *others = possible_shapes(engine)
    if others and not any(slots(node, first) for node in nodes):
        return tuple(others)
    return (first, *others)


def slots(node: Node, shape: Shape) -> int:
    """Return the number of workers of a shape that fit on an empty node.

    A fraction of a GPU is taken from a single GPU: two workers with 0.4 GPUs fit on each.
    """
    if not matches(shape.selector, node.labels):
        return 0
    by_cpu = math.floor(node.resources.get("CPU", 0) / shape.cpus + 1e-9)
    if not shape.gpus:
        return by_cpu
    node_gpus = node.resources.get("GPU", 0)
    if shape.gpus < 1:
        return min(by_cpu, math.floor(node_gpus) * math.floor(1 / shape.gpus + 1e-9))
    return min(by_cpu, math.floor(node_gpus / shape.gpus + 1e-9))


def slots_by_shape(node: Node, all_shapes: Iterable[Shape]) -> dict[Shape, int]:
    """Return the number of workers of each shape that fit on a node together, the first shapes first."""
    left = dict(node.resources)
    counts: dict[Shape, int] = {}
    for shape in all_shapes:
        counts[shape] = slots(Node(left, node.labels), shape)
        for resource, amount in shape.bundle.items():
            left[resource] = left.get(resource, 0) - counts[shape] * amount
    return counts


def workers_on(node: Node, engine: Engine, nodes: Sequence[Node]) -> int:
    """Return the number of workers that may share a node's memory, at least 1."""
    count = sum(slots_by_shape(node, shapes(engine, nodes)).values())
    return max(1, count if engine.workers == "auto" else min(count, engine.workers))


def threads(engine: Engine) -> int:
    """Return the threads that a worker may use, so that workers on one node do not compete for cores."""
    return max(1, int(engine.cpus))


def resources_text(cpus: float, gpus: float) -> str:
    """Return a number of CPUs and GPUs in words.

    >>> resources_text(1, 0.25), resources_text(8, 0)
    ('1 CPU and 0.25 GPUs', '8 CPUs')
    """
    text = f"{cpus:g} CPU{'s' * (cpus != 1)}"
    return text + (f" and {gpus:g} GPU{'s' * (gpus != 1)}" if gpus else "")
