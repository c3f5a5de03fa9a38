"""A simulation of a sweep whose packs take exactly the estimated time, and the least time that any order needs."""

import heapq
from collections.abc import Collection, Iterable
from typing import NamedTuple

from sweeper.plan.frontier import Frontier
from sweeper.spec.records.task import Pack, TrainPack


class Schedule(NamedTuple):
    """The packs of a simulated sweep in the order of their start, and its duration."""

    seconds: float
    packs: tuple[Pack, ...]
    done: frozenset[str]  # ids of the tasks
    busy: float  # the share of the workers' time in which they had a pack


def simulate(packs: Iterable[Pack], workers: int, done: Collection[str] = frozenset()) -> Schedule:
    """Return the schedule of some packs on equal workers, in the order in which `Frontier` hands them out."""
    frontier = Frontier(packs, done)
    started: list[Pack] = []
    running: list[tuple[float, int, Pack]] = []  # a heap of (end, number, pack)
    seconds = 0.0
    while not frontier.over:
        while len(running) < workers and (pack := frontier.next()) is not None:
            started.append(pack)
            heapq.heappush(running, (seconds + pack.seconds, len(started), pack))
        seconds, _, pack = heapq.heappop(running)
        frontier.finish(pack.id, done=pack.tasks)
    busy = sum(pack.seconds for pack in started) / (workers * seconds) if started else 1.0
    return Schedule(seconds, tuple(started), frozenset(frontier.done), busy)


def lower_bound(packs: Collection[Pack], workers: int) -> float:
    """Return the seconds that no order can beat: the longest path of packs, or all work divided among the workers."""
    return max(longest_path(packs), sum(pack.seconds for pack in packs) / workers)


def longest_path(packs: Collection[Pack]) -> float:
    """Return the seconds of the longest path of packs, each of which needs a model of the one before it."""
    trainings = {task: pack for pack in packs if isinstance(pack, TrainPack) for task in pack.tasks}
    ends: dict[str, float] = {}

    def end(pack: Pack) -> float:
        if pack.id not in ends:
            inputs = (trainings[model] for model in pack.inputs if model in trainings)
            ends[pack.id] = pack.seconds + max(map(end, inputs), default=0.0)
        return ends[pack.id]

    return max(map(end, packs), default=0.0)
