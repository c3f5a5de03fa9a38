"""The desk between driver and workers: a small named actor that holds the packs that are out.

A pack's Tune config is its id alone, since Tune keeps and rewrites every config; the pack itself goes through here.
The workers' watchdogs call in every few seconds: they learn whether the run is ending, and leave a last word when
they must take their process down.
"""

from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeper.spec.records.task import Data

from .foreman import Order, Report


@dataclass(frozen=True, slots=True)
class Settings:
    """What every worker of a run must know."""

    run: str
    store: str  # URL
    opener: str  # "module:class" of the store
    performer: str  # "module:function"
    numerics: dict[str, str | bool]  # the performer's keywords: `engine`'s precision, deterministic and compile
    data: Data | None  # as resolved, with the folder it lies in
    threads: int
    timeout: float  # seconds a task may take
    neighbours: int  # workers that share a machine's memory


class Desk:
    """The actor's body. Its calls are short and never block, so one thread serves thousands of workers."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._orders: dict[str, Order] = {}
        self._memory: dict[str, int] = {}
        self._workers: dict[tuple[str, int], str] = {}  # (node address, process): the pack it has
        self._words: dict[str, Report] = {}
        self._ending = False

    def settings(self) -> Settings:
        return self._settings

    def offer(self, order: Order) -> None:
        self._orders[order.pack.id] = order
        self._words.pop(order.pack.id, None)

    def fetch(self, pack_id: str, worker: tuple[str, int]) -> Order | None:
        """The pack, for the worker at this (node address, process); None where it was taken back."""
        self._workers[worker] = pack_id
        return self._orders.get(pack_id)

    def withdraw(self, pack_id: str) -> None:
        self._orders.pop(pack_id, None)
        self._memory.pop(pack_id, None)

    def end(self) -> None:
        self._ending = True

    def pulse(self, pack_id: str, memory: int) -> bool:
        """A worker lives and holds so many bytes; it is told whether to stop after its current task."""
        if pack_id in self._orders:
            self._memory[pack_id] = memory
        return self._ending

    def leave_word(self, pack_id: str, report: Report) -> None:
        """The last report of a worker that is about to take its process down."""
        self._words[pack_id] = report

    def word(self, pack_id: str) -> Report | None:
        return self._words.get(pack_id)

    def to_blame(self, worker: tuple[str, int] | None) -> str | None:
        """The pack of this worker; where it isn't known, of the one that said it holds the most memory."""
        if worker in self._workers:
            return self._workers[worker]
        return max(self._memory, key=self._memory.__getitem__, default=None)


def wait(answer: Any, timeout: float | None = None) -> Any:
    """The answer to a call of an actor (Ray's own types make a list of it)."""
    return ray.get(answer, timeout=timeout)


class Dispatch:
    """The driver's side. Every call is waited for: a worker may ask for its pack at once."""

    def __init__(self, settings: Settings):
        self.name = f"sweeper-{settings.run}"
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        options = {"name": self.name, "num_cpus": 0, "scheduling_strategy": here}
        actor: Any = ray.remote(Desk)
        self._desk = actor.options(**options).remote(settings)
        wait(self._desk.settings.remote())

    def offer(self, order: Order) -> None:
        wait(self._desk.offer.remote(order))

    def withdraw(self, pack_id: str) -> None:
        self._desk.withdraw.remote(pack_id)

    def end(self) -> None:
        wait(self._desk.end.remote())

    def word(self, pack_id: str) -> Report | None:
        return wait(self._desk.word.remote(pack_id))

    def to_blame(self, worker: tuple[str, int] | None) -> str | None:
        return wait(self._desk.to_blame.remote(worker))

    def close(self) -> None:
        ray.kill(self._desk)
