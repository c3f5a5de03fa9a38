"""Adapters of the pack scheduler for Tune: a searcher that suggests packs, and a callback that takes in their reports.

Tune pickles both with its own state, which Sweeper never reads. They are pickled without their content, so that
handles need not be pickled and the packs are not written to disk.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.exceptions import RayError
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from sweeper.spec.records.text import error_text

from .death import Death, death_of
from .dispatch import Dispatch
from .faults import Fault, classify, largest_worker
from .interrupt import Interrupt
from .pack_scheduler import PackScheduler
from .remote_log import read_log
from .worker import from_plain
from .worker_pool import WorkerPool


class NodesLostError(Exception):
    """All packs wait for workers whose nodes are gone; Tune can't take them back, so a new fit must send them out."""


class PickledEmpty:
    """An object that is pickled without its content."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class PackSearcher(PickledEmpty, Searcher):
    """A Tune searcher that suggests packs whose inputs exist.

    Its constructor's `max_packs` is the number of packs after which the fit ends. The fit also ends when no node with a
    place for a worker is left.
    """

    def __init__(
        self, scheduler: PackScheduler, dispatch: Dispatch, interrupt: Interrupt, pool: WorkerPool, max_packs: int
    ):
        super().__init__()
        self._scheduler, self._dispatch, self._interrupt, self._pool = scheduler, dispatch, interrupt, pool
        self._packs_left = max_packs

    def suggest(self, trial_id: str) -> Any:
        """Return the config of a new trial, None if no pack may start at present, FINISHED if the fit must end."""
        scheduler = self._scheduler
        if scheduler.over or scheduler.stuck or self._interrupt.end_requested or self._packs_left <= 0:
            return Searcher.FINISHED
        shape = self._pool.free_shape()
        if shape is None:
            # If Tune has no trial, it asks again and again and calls no callback meanwhile.
            return Searcher.FINISHED if self._pool.idle else None
        order = scheduler.next(shape.gpus)
        if order is None:
            return None
        self._packs_left -= 1
        self._dispatch.offer(order)
        self._pool.take(order.pack.id, shape)
        return {"pack": order.pack.id, "shape": shape.name}

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """Do nothing: `PackCallback` takes in the reports, because Tune passes it the trial."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Do nothing: a run resumes from the store."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a run resumes from the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: a run resumes from the store."""


class PackCallback(PickledEmpty, Callback):
    """A Tune callback that passes reports to the scheduler, and the end of the run to the workers.

    The functions in `on_step` are called at every step of Tune's loop, about ten times a second.
    """

    def __init__(
        self,
        scheduler: PackScheduler,
        dispatch: Dispatch,
        interrupt: Interrupt,
        pool: WorkerPool,
        *on_step: Callable[[], None],
    ):
        self._scheduler, self._dispatch, self._interrupt, self._pool = scheduler, dispatch, interrupt, pool
        self._on_step = on_step
        self._workers_informed = False

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record that a worker has begun with a pack."""
        self._pool.start(trial.config["pack"])

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: dict, **info: Any) -> None:
        """Take in a worker's report."""
        report = from_plain(result["report"])
        self._scheduler.on_report(result["pack"], report)
        if report.over:
            self._pool.release(result["pack"])
            self._dispatch.withdraw(result["pack"])

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Take in the end of a worker process: its watchdog's last report, or Ray's error if there is none."""
        pack_id = trial.config["pack"]
        self._pool.release(pack_id)
        last_report = self._dispatch.last_report(pack_id)
        place = self._dispatch.place(pack_id)
        log = read_log(place)
        if last_report is not None:
            host = place.host if place else None
            # The watchdog ends its process with the exit code 1.
            signal, exit_code = (last_report.signal, None) if last_report.signal else (None, 1)
            self._scheduler.on_report(pack_id, last_report, Death(host, signal, exit_code, log))
        else:
            error = _error_of(trial)
            fault, message = classify(error), _first_line(error)
            death = death_of(place, log, fault, str(error))
            self._scheduler.on_pack_end(pack_id, fault, message, death=death)
        self._dispatch.withdraw(pack_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Call the functions in `on_step`; if the end of the run was requested, tell the workers once.

        Raises:
            Overdue: The grace period is over.
            NodesLostError: Packs wait for workers whose nodes are gone.
        """
        for function in self._on_step:
            function()
        self._dispatch.kill_overdue()
        if self._interrupt.end_requested and not self._workers_informed:
            self._workers_informed = True
            self._dispatch.end()
        self._interrupt.raise_if_overdue()
        if self._pool.starved():
            raise NodesLostError


def handle_tune_error(scheduler: PackScheduler, dispatch: Dispatch, error: Exception) -> None:
    """Take in an error that Tune's `fit` raised, after which all workers are gone.

    If a machine ran out of memory, only the pack whose worker held the most memory is to blame.
    """
    fault, blame, death = classify(error), None, None
    if fault is Fault.MEMORY:
        with suppress(RayError):  # the broker may be gone with the workers
            blame = dispatch.pack_to_blame(largest_worker(error))
            place = dispatch.place(blame) if blame else None
            death = death_of(place, read_log(place), fault)
    scheduler.recall(blame, fault, _first_line(error), death)


def _error_of(trial: Trial) -> BaseException | None:
    """Return the error that ended a trial, read from the driver's disk.

    Tune's own accessor reads the copy in the storage folder, which Tune makes only later.
    """
    file = trial.pickled_error_file
    if not file or not Path(file).exists():
        return None
    return cloudpickle.loads(Path(file).read_bytes())


def _first_line(error: BaseException | None) -> str:
    return error_text(error).strip().split("\n", 1)[0] if error else ""
