"""The workers of a run on a cluster whose nodes come and go, without Ray.

The pool counts for each shape of workers how many the present nodes hold and how many are busy. The searcher sends out
a pack only for a free worker, so a run grows when a node joins and shrinks when one leaves. The pool also tells the
autoscaler how many workers could be used, and the user what the run waits for.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sweeper.errors import SetupError, SweeperError
from sweeper.plan.duration import duration
from sweeper.spec.job.sweep import Engine

from .placement import Node, Shape, resources_text, shapes, slots, slots_by_shape

# The largest number of workers that the autoscaler is asked for beyond those that fit on the present nodes. It packs
# the requests one after the other, and asks again as the cluster grows.
REQUESTED_AHEAD = 1000
# Seconds without a busy worker after which the user is told that the run waits for one.
START_SECONDS = 2.0
# Seconds for which packs may wait for workers whose nodes are gone before they are sent to other workers.
STARVED_SECONDS = 10.0


class NodeSource(Protocol):
    """The part of `nodes.NodeWatch` that the pool uses."""

    nodes: Sequence[Node]  # those that are present
    kinds: Sequence[Node]  # those that the autoscaler can add, as far as they are known
    wanted: Mapping[Shape, int]  # set by the pool: the workers that could be used


class WorkerPool:
    """The free and busy workers of a run, by shape.

    Args:
        engine: The settings.
        source: The nodes of the cluster.
        grows: False: the cluster is a local Ray, which no node can join.
        clock: A clock in seconds.

    Raises:
        SweeperError: A worker fits on no node, and on none that can join.
    """

    def __init__(self, engine: Engine, source: NodeSource, *, grows: bool, clock: Callable[[], float] = time.monotonic):
        self._engine, self._source, self._clock = engine, source, clock
        self._nodes: Sequence[Node] | None = None
        self._slots: Counter[Shape] = Counter()
        self._busy: dict[str, Shape] = {}  # the shape of each pack that was sent out
        self._started: set[str] = set()  # those of them that have a worker
        self._waiting_since: float | None = None
        self._starved_since: float | None = None
        self._check(grows)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of workers for the nodes that are present or known to come, GPUs first."""
        return shapes(self._engine, [*self._source.nodes, *self._source.kinds])

    @property
    def slots(self) -> Mapping[Shape, int]:
        """The number of workers of each shape that the present nodes hold."""
        if self._source.nodes is not self._nodes:
            self._nodes = self._source.nodes
            self._slots = Counter()
            for node in self._nodes:
                self._slots.update(slots_by_shape(node, self.shapes))
            self._slots = +self._slots
        return self._slots

    @property
    def nodes(self) -> Sequence[Node]:
        """The nodes that are present."""
        return self._source.nodes

    def places(self) -> dict[str, int]:
        """Return the number of workers that fit on each present node, by the node's id."""
        return {node.id: sum(slots_by_shape(node, self.shapes).values()) for node in self._source.nodes}

    @property
    def idle(self) -> bool:
        """True if no pack is sent out."""
        return not self._busy

    def free_shape(self) -> Shape | None:
        """Return the shape of a worker that is free, GPUs first; None if there is none."""
        if self._engine.workers != "auto" and len(self._busy) >= self._engine.workers:
            return None
        busy = Counter(self._busy.values())
        return next((shape for shape, count in self.slots.items() if busy[shape] < count), None)

    def take(self, pack_id: str, shape: Shape) -> None:
        """Count a worker of this shape as busy with a pack."""
        self._busy[pack_id] = shape

    def start(self, pack_id: str) -> None:
        """Record that a worker has begun with a pack."""
        self._started.add(pack_id)

    def release(self, pack_id: str) -> None:
        """Count the worker of a pack as free."""
        self._busy.pop(pack_id, None)
        self._started.discard(pack_id)

    def release_all(self) -> None:
        """Count all workers as free."""
        self._busy.clear()
        self._started.clear()
        self._starved_since = None

    def want(self, packs: int) -> None:
        """Ask the autoscaler for the workers that could be used.

        Args:
            packs: The number of packs that are running or may start now.
        """
        limit = packs if self._engine.workers == "auto" else min(packs, self._engine.workers)
        wanted: dict[Shape, int] = {}
        for shape in self.shapes:
            most = self.slots.get(shape, 0) + REQUESTED_AHEAD
            wanted[shape] = min(limit, most)
            limit -= wanted[shape]
        self._source.wanted = {shape: count for shape, count in wanted.items() if count}

    def starved(self) -> bool:
        """Return True if every pack that is sent out waits for a worker whose nodes have been gone for a while."""
        if not self._busy or self._started or any(self.slots.get(shape) for shape in self._busy.values()):
            self._starved_since = None
            return False
        if self._starved_since is None:
            self._starved_since = self._clock()
        return self._clock() - self._starved_since >= STARVED_SECONDS

    def waiting_text(self) -> str:
        """Return what the run waits for and for how long; an empty text while a worker is busy."""
        if self._started:
            self._waiting_since = None
            return ""
        if self._waiting_since is None:
            self._waiting_since = self._clock()
        seconds = self._clock() - self._waiting_since
        if any(self.slots.values()):  # between two packs, for a moment no worker is busy
            return f"waiting for a worker to start, {duration(seconds)}" if seconds >= START_SECONDS else ""
        needed = " or ".join(map(str, self.shapes))
        return f"waiting for a node with {needed}, {duration(seconds)}; {self._present_text()}{self._requested_text()}"

    def _present_text(self) -> str:
        nodes = self._source.nodes
        cpus = sum(node.resources.get("CPU", 0) for node in nodes)
        gpus = sum(node.resources.get("GPU", 0) for node in nodes)
        count = f"{len(nodes)} node{'s' * (len(nodes) != 1)}"
        return f"the cluster has {count} with {resources_text(cpus, gpus)}"

    def _requested_text(self) -> str:
        wanted = sum(self._source.wanted.values())
        return f", and its autoscaler was asked for {wanted:,} workers" if wanted else ""

    def _check(self, grows: bool) -> None:
        engine, kinds = self._engine, self._source.kinds
        if engine.precision == "bfloat16" and (engine.gpus == 0 or (not grows and not any(self.slots.values()))):
            raise SweeperError("engine.precision: bfloat16 needs GPUs, and no worker has one; use float32 or auto")
        if any(self.slots.values()):
            return
        shape_text = " or ".join(map(str, self.shapes))
        if not grows:
            raise SweeperError(
                f"engine: a worker of {shape_text} fits on no node of the cluster; lower engine.cpus or engine.gpus"
            )
        known = all(node.resources for node in kinds)
        if kinds and known and not any(slots(node, shape) for node in kinds for shape in self.shapes):
            raise SetupError(
                f"engine: a worker of {shape_text} fits on no node of the cluster, nor on a node that its autoscaler "
                f"can add ({'; '.join(map(str, kinds))}); lower engine.cpus or engine.gpus"
            )
