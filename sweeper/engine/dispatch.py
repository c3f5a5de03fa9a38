"""The pack broker: a small named Ray actor between driver and workers that holds the running packs.

A pack's Tune config is its id alone, because Tune keeps and rewrites every config; the pack itself travels through the
broker. The workers' watchdogs call the broker every few seconds to ask whether the run is ending, and store a last
report there before they end their process.

A watchdog is a thread, which can't run in a worker that is stopped (SIGSTOP) or whose interpreter is held by a call.
The broker therefore keeps the time at which each worker must have made progress, and kills those that have not.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, OutOfMemoryError, RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeper.spec.job.sweep import Engine
from sweeper.spec.records.task import Data

from .death import WorkerPlace
from .faults import Fault
from .interrupt import RayLost
from .node_use import BusyWorker
from .pack_scheduler import Order, Report

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a run that every worker needs."""

    run: str
    store: str  # URL
    opener: str  # "module:class" of the store
    performer: str  # "module:function"
    numerics: dict[str, str | bool]  # keyword arguments of the performer: precision, deterministic, compile
    data: Data  # the data set of the job, with its folder
    engine: Engine


# Seconds after a time limit in which a watchdog may end its worker in order: it notices the limit within 2 s, waits up
# to 5 s for the worker's lock, and tries for 7 s to store what is finished. Ray then takes up to 6 s to kill a worker.
ORDERLY_SECONDS = 18.0
# Seconds that a worker's first pack may take until its work begins: torch is imported and the store opened.
SETUP_SECONDS = 300.0
LOOK_SECONDS = 2.0  # between two looks for workers that are overdue
COUNT_SECONDS = 0.5  # between two questions for the workers that have a pack
LONGEST_GAP = 10.0  # seconds between two looks; a longer one means that the driver did not run
# Seconds for which a worker without a pack may be silent.
IDLE_SECONDS = 60.0


@dataclass(slots=True)
class KnownWorker:
    """A worker process that has fetched a pack."""

    actor: Any  # Ray's handle, by which it can be killed
    node: str  # Ray's id of its node
    pack_id: str | None
    since: float  # when it fetched the pack, in seconds of the broker's clock
    kill_at: float  # in seconds of the broker's clock; later, if it makes progress
    began: bool = False  # False: it is being set up, and has not begun with the pack
    waiting: str = ""  # what it waits for, if the store can't be reached


class PackBroker:
    """The class of the broker's actor.

    Its methods are short and never block, so one thread serves thousands of workers.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        kill: Callable[[Any], None] = ray.kill,
    ):
        self._settings, self._clock, self._kill = settings, clock, kill
        self._orders: dict[str, Order] = {}
        self._memory: dict[str, int] = {}
        self._workers: dict[tuple[str, int], KnownWorker] = {}  # by (node address, process id)
        self._places: dict[str, WorkerPlace] = {}  # of the worker that has a pack, by pack id
        self._last_reports: dict[str, Report] = {}
        self._ending = False
        self._looked_at = clock()

    def settings(self) -> Settings:
        """Return the settings of the run."""
        return self._settings

    def offer(self, order: Order) -> None:
        """Hold a pack until a worker fetches it. An earlier last report on the pack is dropped."""
        self._orders[order.pack.id] = order
        self._last_reports.pop(order.pack.id, None)

    def fetch(
        self, pack_id: str, worker: tuple[str, int], actor: Any = None, place: WorkerPlace | None = None
    ) -> Order | None:
        """Return a pack; None if it was withdrawn.

        Args:
            pack_id: The pack.
            worker: The worker's node address and process id.
            actor: At the first pack of a worker, which must be set up before it can begin: Ray's handle of it.
            place: The worker's node, and where its log is.
        """
        order = self._orders.get(pack_id)
        kill_at = self._clock() + self._patience(order) + (0.0 if actor is None else SETUP_SECONDS)
        actor = actor or self._workers[worker].actor
        node = place.node if place else ""
        self._workers[worker] = KnownWorker(actor, node, pack_id if order else None, self._clock(), kill_at)
        if place:
            self._places[pack_id] = place
        return order

    def withdraw(self, pack_id: str) -> None:
        """Forget a pack that has ended. Its worker has no pack now, but should still be heard from."""
        for worker in self._workers.values():
            if worker.pack_id == pack_id:
                worker.pack_id, worker.kill_at = None, self._clock() + IDLE_SECONDS
        self._orders.pop(pack_id, None)
        self._memory.pop(pack_id, None)
        self._places.pop(pack_id, None)

    def end(self) -> None:
        """Let every later `pulse` return True, so that the workers stop."""
        self._ending = True

    def pulse(self, worker: tuple[str, int], pack_id: str | None, memory: int, idle: float, waiting: str = "") -> bool:
        """Record a living worker; return True if it should stop after its current task.

        Args:
            worker: Its node address and process id.
            pack_id: Its pack, if it has one.
            memory: The bytes that it holds.
            idle: The seconds since a task of the pack ended.
            waiting: What the worker waits for, if the store can't be reached.
        """
        if pack_id in self._orders:
            self._memory[pack_id] = memory
        known_worker = self._workers.get(worker)
        if known_worker and known_worker.pack_id == pack_id:
            order = None if pack_id is None else self._orders.get(pack_id)
            known_worker.kill_at = self._clock() + self._patience(order) - idle
            known_worker.began, known_worker.waiting = True, waiting
        return self._ending

    def busy_workers(self) -> list[BusyWorker]:
        """Return the workers that have a pack."""
        return [
            BusyWorker(worker.pack_id, worker.node, self._clock() - worker.since, worker.began, worker.waiting)
            for worker in self._workers.values()
            if worker.pack_id in self._orders
        ]

    def kill_overdue(self) -> None:
        """Kill the workers that should have made progress by now, and store the last reports on their packs.

        The driver calls this every few seconds. A long time without a call, in which the driver or the whole machine
        was suspended, does not count.
        """
        gap = self._clock() - self._looked_at
        self._looked_at = self._clock()
        if gap > LONGEST_GAP:
            for known_worker in self._workers.values():
                known_worker.kill_at += gap
        for worker, known_worker in list(self._workers.items()):
            if self._clock() < known_worker.kill_at:
                continue
            del self._workers[worker]
            pack_id = known_worker.pack_id
            if pack_id is not None and pack_id not in self._last_reports:
                limit = self._orders[pack_id].time_limit
                text = f"no task ended within {limit}, and the worker did not respond, so it was killed"
                self._last_reports[pack_id] = Report(fault=Fault.TIMEOUT, error=text, over=True, signal="SIGKILL")
            self._kill(known_worker.actor)

    def _patience(self, order: Order | None) -> float:
        """Return the seconds in which a worker must make progress or, without a pack, be heard from.

        For a pack this is its time limit, with the seconds of an orderly end of the worker.
        """
        return IDLE_SECONDS if order is None else order.time_limit.seconds + ORDERLY_SECONDS

    def store_last_report(self, pack_id: str, report: Report) -> None:
        """Store the last report of a worker that is about to end its process."""
        self._last_reports[pack_id] = report

    def last_report(self, pack_id: str) -> Report | None:
        """Return the last report on a pack whose watchdog ended the worker, else None."""
        return self._last_reports.get(pack_id)

    def place(self, pack_id: str) -> WorkerPlace | None:
        """Return the place of the worker that has a pack; None if none has fetched it."""
        return self._places.get(pack_id)

    def pack_to_blame(self, worker: tuple[str, int] | None) -> str | None:
        """Return the pack of this worker; if the worker is unknown, the pack whose worker reported the most memory."""
        if worker in self._workers:
            return self._workers[worker].pack_id
        return max(self._memory, key=self._memory.__getitem__, default=None)


# Seconds that a call of the broker may take. It answers within milliseconds unless Ray is in trouble or
# the machine is overloaded; without a limit a call to a dead node would wait for ever.
ANSWER_SECONDS = 60.0
START_SECONDS = 120.0  # that Ray may take to start the broker's process; on an idle machine it takes two
STARTS = 5  # times that a broker is started which dies at once
RESTART_SECONDS = 2.0  # before the next start, in which a killed worker's memory becomes free


def wait(answer: Any, timeout: float = ANSWER_SECONDS) -> Any:
    """Return the answer to a call of an actor, typed as Any: Ray's own types declare a list.

    Raises:
        GetTimeoutError: There is no answer after `timeout` seconds.
    """
    return ray.get(answer, timeout=timeout)


def wait_or_stop(answer: Any, check: Callable[[], None], timeout: float = ANSWER_SECONDS) -> Any:
    """Return the answer to a call of an actor, as `wait` does; `check` is called twice a second and may raise."""
    end = time.monotonic() + timeout
    while time.monotonic() < end and not ray.wait([answer], timeout=0.5)[0]:
        check()
    return ray.get(answer, timeout=0)


def _started(settings: Settings, check: Callable[[], None]) -> tuple[str, Any]:
    """Return the name of a broker and the broker, which answers; one that dies at its start is started again.

    Where a machine's memory runs out, Ray kills its newest process. After it killed a worker, that is the next broker.
    Each start has a name of its own, because Ray keeps that of a dead actor for a moment.
    """
    on_this_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(PackBroker)
    reason = ""
    for start in range(STARTS):
        name = f"sweeper-{settings.run}-{start}"
        broker = actor.options(name=name, num_cpus=0, scheduling_strategy=on_this_node).remote(settings)
        try:
            wait_or_stop(broker.settings.remote(), check, START_SECONDS)
        except GetTimeoutError:
            raise RayLost(f"Ray has not started a process for the pack broker within {START_SECONDS:g} s") from None
        except (OutOfMemoryError, RayActorError) as error:
            reason = str(error).strip().splitlines()[0]
            _log.warning("the pack broker died at its start; it is started again: %s", reason)
            time.sleep(RESTART_SECONDS)
        else:
            return name, broker
    raise RayLost(f"the pack broker died {STARTS} times at its start, at last with: {reason}")


class Dispatch:
    """The driver's handle of the broker.

    Its methods wait for the actor's answer (except `withdraw`), because a worker may fetch its pack immediately. While
    they wait they call `check`, or `start_check` while the actor starts, which raise an exception if the run must end.
    """

    def __init__(
        self,
        settings: Settings,
        check: Callable[[], None] = lambda: None,
        start_check: Callable[[], None] = lambda: None,
    ):
        self._check = check
        self._next_look = self._next_count = 0.0
        self._busy_workers: list[BusyWorker] = []
        self._count: Any = None  # the answer to the last question for them
        self.name, self._broker = _started(settings, start_check)

    def offer(self, order: Order) -> None:
        """Put a pack into the broker."""
        self._wait(self._broker.offer.remote(order))

    def withdraw(self, pack_id: str) -> None:
        """Remove an ended pack from the broker, without waiting for the answer."""
        self._broker.withdraw.remote(pack_id)

    def end(self) -> None:
        """Tell the workers, at their next pulse, to stop after their current task."""
        self._wait(self._broker.end.remote())

    def kill_overdue(self) -> None:
        """Let the broker kill overdue workers, without waiting for the answer; done at most every `LOOK_SECONDS`."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_SECONDS
            self._broker.kill_overdue.remote()

    def busy_workers(self) -> list[BusyWorker]:
        """Return the workers that had a pack when the broker last told; nothing is waited for.

        The broker is asked at most every `COUNT_SECONDS`.
        """
        if self._count is None and time.monotonic() >= self._next_count:
            self._next_count = time.monotonic() + COUNT_SECONDS
            self._count = self._broker.busy_workers.remote()
        if self._count is not None and ray.wait([self._count], timeout=0)[0]:
            with suppress(RayError):  # the broker is gone: the calls that matter raise, this one is for display
                self._busy_workers = ray.get(self._count, timeout=0)
            self._count = None
        return self._busy_workers

    def last_report(self, pack_id: str) -> Report | None:
        """Return the report that a watchdog stored before it ended its worker, else None."""
        return self._wait(self._broker.last_report.remote(pack_id))

    def place(self, pack_id: str) -> WorkerPlace | None:
        """Return the place of the worker that has a pack; None if none has fetched it."""
        return self._wait(self._broker.place.remote(pack_id))

    def pack_to_blame(self, worker: tuple[str, int] | None) -> str | None:
        """Return the id of the pack that most likely exhausted a machine's memory (see `PackBroker`)."""
        return self._wait(self._broker.pack_to_blame.remote(worker))

    def close(self) -> None:
        """End the actor; nothing is waited for, as Ray may be lost."""
        ray.kill(self._broker)

    def _wait(self, answer: Any) -> Any:
        return wait_or_stop(answer, self._check)
