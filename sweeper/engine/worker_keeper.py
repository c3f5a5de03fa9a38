"""A scheduler of Tune's trials that keeps worker processes for later packs; a new process takes seconds to start.

By itself Tune ends every idle process but one, as soon as two wait for models that are being trained. It also gives a
process that has become idle to the trial that waits longest. If a process is starting for that trial, it is ended, and
the next trial starts another: where packs end more often than a process takes to start, none ever finishes its start.
"""

import time
from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from .pack_scheduler import PackScheduler
from .searcher import PickledEmpty
from .worker_pool import WorkerPool

# Seconds without the end of a pack after which idle processes are no longer kept: the next packs seem to be far away,
# and a cluster's autoscaler can remove only nodes without processes.
KEPT_SECONDS = 60.0


class WorkerKeeper(PickledEmpty, FIFOScheduler):
    """A scheduler that keeps as many idle processes as there are packs to come, and starts the newest trial first.

    A trial is made only when a worker is free, so the newest trial is the one for the process that has become idle.
    """

    def __init__(self, scheduler: PackScheduler, pool: WorkerPool, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self._scheduler, self._pool, self._clock = scheduler, pool, clock
        self._cache: Any = None  # of idle processes, by Tune
        self._requests: dict[str, Any] = {}  # Tune's request for a worker, by the name of its shape
        self._kept: dict[str, int] = {}  # by which the cache was made larger, by the name of the shape
        self._pack_ended_at = clock()

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the newest trial if it has not begun; Tune starts the others by itself."""
        self._keep()
        trials = tune_controller.get_trials()
        return trials[-1] if trials and trials[-1].status == Trial.PENDING else None

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict) -> None:
        """Note the end of a pack; Tune then asks its cache whether the process of the trial is kept."""
        self._cache = tune_controller._actor_cache
        self._requests[trial.config["shape"]] = trial.placement_group_factory
        self._pack_ended_at = self._clock()
        self._keep()

    def _keep(self) -> None:
        """Set the number of idle processes that Tune keeps in addition to those that it keeps by itself."""
        counts = self._scheduler.frontier.counts()
        packs_to_come = counts.waiting + counts.ready
        if self._clock() - self._pack_ended_at > KEPT_SECONDS or self._scheduler.over:
            packs_to_come = 0
        for shape, slots in self._pool.slots.items():
            if shape.name in self._requests:
                kept = min(slots, packs_to_come)
                self._cache.increase_max(self._requests[shape.name], kept - self._kept.get(shape.name, 0))
                self._kept[shape.name] = kept
