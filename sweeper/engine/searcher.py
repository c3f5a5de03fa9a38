"""The foreman dressed for Tune: a searcher that hands out packs, and a callback that takes their reports.

Tune pickles both with its own state, which Sweeper never reads again: they pickle as empty shells, so that no handle
is held in a pickle and a million packs are not written to disk.
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

from .dispatch import Dispatch
from .faults import Fault, classify, hog
from .foreman import Foreman
from .interrupt import Interrupt
from .worker import from_plain


class _Shell:
    """Pickles without its content."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class PackSearcher(_Shell, Searcher):
    """Suggests packs whose inputs exist, None while it waits for some, FINISHED when the fit is to end."""

    def __init__(self, foreman: Foreman, dispatch: Dispatch, interrupt: Interrupt, rotation: int):
        super().__init__()
        self._foreman, self._dispatch, self._interrupt = foreman, dispatch, interrupt
        self._rotation = rotation

    def suggest(self, trial_id: str) -> Any:
        foreman = self._foreman
        if foreman.over or foreman.stuck or self._interrupt.asked or self._rotation <= 0:
            return Searcher.FINISHED
        order = foreman.next()
        if order is None:
            return None
        self._rotation -= 1
        self._dispatch.offer(order)
        return {"pack": order.pack.id}

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """Reports come through the callback, which sees the trial."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the store is what a run resumes from."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing, as above."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as above."""


class PackCallback(_Shell, Callback):
    """Tells the foreman what became of packs, and the workers when the run is ending. `each_step` is done at every
    step of Tune's loop, about ten times a second."""

    def __init__(self, foreman: Foreman, dispatch: Dispatch, interrupt: Interrupt, *each_step: Callable[[], None]):
        self._foreman, self._dispatch, self._interrupt = foreman, dispatch, interrupt
        self._each_step = each_step
        self._told_to_end = False

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: dict, **info: Any) -> None:
        report = from_plain(result["report"])
        self._foreman.told(result["pack"], report)
        if report.over:
            self._dispatch.withdraw(result["pack"])

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The worker is gone. Where its watchdog left a word, that says more than Ray does."""
        pack_id = trial.config["pack"]
        word = self._dispatch.word(pack_id)
        if word is not None:
            self._foreman.told(pack_id, word)
        else:
            error = _error_of(trial)
            self._foreman.ended(pack_id, classify(error), _first_line(error))
        self._dispatch.withdraw(pack_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        for act in self._each_step:
            act()
        if self._interrupt.asked and not self._told_to_end:
            self._told_to_end = True
            self._dispatch.end()
        self._interrupt.raise_if_overdue()


def escaped(foreman: Foreman, dispatch: Dispatch, error: Exception) -> None:
    """An error escaped from Tune: all workers are gone. When a machine ran out of memory the pack whose worker held
    the most is to blame; the others were bystanders."""
    fault, blame = classify(error), None
    if fault is Fault.MEMORY:
        with suppress(RayError):  # the desk may be gone with all the rest
            blame = dispatch.to_blame(hog(error))
    foreman.recall(blame, fault, _first_line(error))


def _error_of(trial: Trial) -> BaseException | None:
    """What ended a trial, from the driver's own disk: Tune's accessor looks where the file would be synced to later."""
    file = trial.pickled_error_file
    if not file or not Path(file).exists():
        return None
    return cloudpickle.loads(Path(file).read_bytes())


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().split("\n", 1)[0] if error else ""
