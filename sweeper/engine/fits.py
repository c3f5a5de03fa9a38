"""The fits of a run: Tune performs the packs of a scheduler, in one fit after the other.

A fit ends when no pack is left, after 5000 packs (because Tune's memory grows with each), or when Ray raises an error.
The next fit continues with the same frontier.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ray import tune

from .dispatch import Dispatch, Settings
from .interrupt import Interrupt, Overdue
from .pack_scheduler import PackScheduler
from .placement import Shape, possible_shapes
from .searcher import PackCallback, PackSearcher, handle_tune_error
from .worker import Worker
from .worker_keeper import WorkerKeeper
from .worker_pool import WorkerPool

# The number of packs of one fit. Each trial costs Tune's driver 42 KB of memory and 11 KB of state that it rewrites.
PACKS_PER_FIT = 5000
# The number of errors that Tune may raise before a run stops. Each kill by Ray's memory monitor is such an error, and
# isolating one task in a pack of a thousand takes about ten of them.
MAX_TUNE_ERRORS = 30
# Seconds between two looks at the nodes while no worker fits on them.
WAIT_SECONDS = 0.1


class Fits:
    """The fits of a run.

    Args:
        settings: What the workers need to know.
        interrupt: Of the run.
        pool: The workers.
        on_step: Called about ten times a second.
        on_end: Called at the end of each fit.
    """

    def __init__(
        self,
        settings: Settings,
        interrupt: Interrupt,
        pool: WorkerPool,
        on_step: Callable[[PackScheduler, Dispatch], None],
        on_end: Callable[[PackScheduler], None],
    ):
        self._settings, self._interrupt, self._pool = settings, interrupt, pool
        self._on_step, self._on_end = on_step, on_end

    def run(self, scheduler: PackScheduler) -> None:
        """Run one fit after the other until the scheduler has no more packs to send out."""
        tune_errors = 0
        while not self._is_over(scheduler):
            # Started before a node joins: it needs no CPU, and its process would delay the first task by seconds.
            dispatch = Dispatch(self._settings, self._interrupt.raise_if_lost, self._interrupt.raise_if_ending)
            try:
                if self._wait_for_nodes(scheduler, dispatch):
                    tune_errors += self._is_ended_by_error(scheduler, dispatch, is_last=tune_errors == MAX_TUNE_ERRORS)
            finally:
                dispatch.close()
                self._pool.release_all()
                scheduler.recall()
                self._on_end(scheduler)

    def _is_ended_by_error(self, scheduler: PackScheduler, dispatch: Dispatch, is_last: bool) -> bool:
        """Run one fit; return True if an error of Tune ended it, or raise that error if it is the last one allowed."""
        try:
            self._fit(scheduler, dispatch)
        except Overdue:
            pass  # the running tasks end when their workers are killed
        except Exception as error:
            if self._pool.starved():
                return False
            handle_tune_error(scheduler, dispatch, error)
            if is_last:
                raise
            return True
        return False

    def _is_over(self, scheduler: PackScheduler) -> bool:
        return scheduler.over or scheduler.stuck or self._interrupt.end_requested

    def _wait_for_nodes(self, scheduler: PackScheduler, dispatch: Dispatch) -> bool:
        """Wait until a worker fits on a node; return False if the run must end before."""
        while not any(self._pool.slots.values()):
            self._on_step(scheduler, dispatch)
            self._interrupt.raise_if_lost()
            if self._interrupt.end_requested:
                return False
            time.sleep(WAIT_SECONDS)
        return True

    def _fit(self, scheduler: PackScheduler, dispatch: Dispatch) -> None:
        interrupt, pool = self._interrupt, self._pool
        on_step = partial(self._on_step, scheduler, dispatch)
        requests = {shape.name: _request(shape) for shape in possible_shapes(self._settings.engine)}

        with tempfile.TemporaryDirectory(prefix="sweeper-", ignore_cleanup_errors=True) as scratch:
            tune.Tuner(
                tune.with_resources(Worker, lambda config: requests[config["shape"]]),
                param_space={"dispatch": dispatch.name},
                tune_config=tune.TuneConfig(
                    search_alg=PackSearcher(scheduler, dispatch, interrupt, pool, PACKS_PER_FIT),
                    scheduler=WorkerKeeper(scheduler, pool),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_name_creator=lambda trial: trial.trial_id,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    name="fit",
                    storage_path=str(Path(scratch).absolute()),
                    callbacks=[PackCallback(scheduler, dispatch, interrupt, pool, on_step)],
                    failure_config=tune.FailureConfig(max_failures=0),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False, checkpoint_frequency=0),
                    verbose=0,
                ),
            ).fit()


def _request(shape: Shape) -> tune.PlacementGroupFactory:
    """Return Tune's request for a worker of a shape."""
    if not shape.selector:
        return tune.PlacementGroupFactory([shape.bundle])
    return tune.PlacementGroupFactory([shape.bundle], bundle_label_selector=[dict(shape.selector)])
