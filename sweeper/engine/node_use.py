"""The use of each node's workers: how many perform a pack, and how many did in the last minutes. Without Ray."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sweeper.store.progress import NodeProgress

from .placement import Node

SAMPLES = 150  # of each node; one every two seconds makes five minutes


class BusyWorker(NamedTuple):
    """A worker that has taken a pack."""

    pack: str  # id
    node: str  # Ray's id
    seconds: float  # since it took the pack
    began: bool  # False: it is being set up, and has not begun to perform the pack
    waiting: str = ""  # what it waits for, if the store can't be reached


class NodeUse:
    """The use of the nodes of a cluster over the last samples."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[tuple[int, int]]] = {}  # (busy workers, places) by node
        self.nodes: tuple[NodeProgress, ...] = ()

    def sample(self, nodes: Sequence[Node], places: Mapping[str, int], workers: Iterable[BusyWorker]) -> None:
        """Take a sample, which sets `nodes`.

        Args:
            nodes: The nodes that are present.
            places: The number of workers that fit on each node, by its id.
            workers: The workers that have a pack.
        """
        workers_by_node: dict[str, list[BusyWorker]] = {}
        for worker in workers:
            workers_by_node.setdefault(worker.node, []).append(worker)
        self._samples = {node.id: self._samples.get(node.id) or deque(maxlen=SAMPLES) for node in nodes}
        names = _names(nodes)
        progresses = []
        for node in nodes:
            busy, count = workers_by_node.get(node.id, []), places.get(node.id, 0)
            if count or busy:
                self._samples[node.id].append((len(busy), count))
                progresses.append(_node_progress(names[node.id], count, busy, self._samples[node.id]))
        self.nodes = tuple(sorted(progresses, key=lambda progress: progress.name))


def _node_progress(
    name: str, places: int, busy: Sequence[BusyWorker], samples: Iterable[tuple[int, int]]
) -> NodeProgress:
    busy_sum, place_sum = map(sum, zip(*samples, strict=True))
    running = sum(worker.began for worker in busy)
    return NodeProgress(
        name=name,
        places=places,
        running=running,
        starting=len(busy) - running,
        used=min(1.0, busy_sum / place_sum) if place_sum else None,
        longest=round(max((worker.seconds for worker in busy), default=0.0), 1),
    )


def _names(nodes: Sequence[Node]) -> dict[str, str]:
    """Return a name for each node, by its id: that of its machine, and part of the id if others have the same name."""
    names = [node.name for node in nodes]
    return {node.id: node.name if names.count(node.name) == 1 else f"{node.name}/{node.id[:6]}" for node in nodes}
