"""Tests of the scheduler that keeps idle worker processes, with Tune's own cache of them."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.utils.object_cache import _ObjectCache
from support.toys import toy_sweep

from sweeper.engine.faults import Budgets
from sweeper.engine.pack_scheduler import PackScheduler
from sweeper.engine.placement import Shape
from sweeper.engine.worker_keeper import KEPT_SECONDS, WorkerKeeper
from sweeper.plan.plan import Plan

SHAPE = Shape(1.0, 0.0)
SLOTS = 3


class Tune:
    """A simulated Tune with its real cache, and the keeper of its idle processes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        packs = list(Plan.of(toy_sweep()).packs())
        self.scheduler = PackScheduler(packs, models=(), weights={}, tasks=84, done=0, budgets=Budgets(0))
        pool: Any = SimpleNamespace(slots={SHAPE: SLOTS})
        self._actor_cache = _ObjectCache(may_keep_one=True)
        self.trials: list[Any] = []
        self.keeper = WorkerKeeper(self.scheduler, pool, clock=lambda: self.seconds)

    def get_trials(self) -> list[Any]:
        """Return the trials, as Tune does."""
        return self.trials

    def end_trial(self, process: str) -> bool:
        """Let a trial end and return True if its process is kept."""
        trial: Any = SimpleNamespace(config={"shape": SHAPE.name}, placement_group_factory="request", status="RUNNING")
        self.keeper.on_trial_complete(self, trial, {})
        return self._actor_cache.cache_object("request", process)

    def evict(self) -> list[str]:
        """Return the processes that Tune ends after a step."""
        self.keeper.choose_trial_to_run(self)
        return list(self._actor_cache.flush_cached_objects())


def test_idle_processes_are_kept_while_packs_are_to_come():
    tune = Tune()
    assert [tune.end_trial(process) for process in "abc"] == [True] * SLOTS
    assert not tune.end_trial("d"), "more than there are slots"
    assert tune.evict() == []


def test_idle_processes_end_when_no_pack_ends_for_a_while():
    tune = Tune()
    assert all(tune.end_trial(process) for process in "abc")
    tune.seconds = KEPT_SECONDS + 1
    assert tune.evict() == ["a", "b", "c"]
    assert tune.end_trial("d"), "and from the next end of a pack, they are kept again"
    assert tune.evict() == []


def test_no_more_processes_are_kept_than_packs_are_left():
    tune = Tune()
    assert all(tune.end_trial(process) for process in "abc")
    while order := tune.scheduler.next():
        tune.scheduler.frontier.finish(order.pack.id, done=order.pack.tasks)
        tune.scheduler.weights.update(dict.fromkeys(order.pack.tasks, "w"))
    assert tune.evict() == ["a", "b", "c"]


@pytest.mark.parametrize("statuses", [["RUNNING", "PENDING", "RUNNING", "PENDING"], ["PENDING"]])
def test_a_process_that_has_become_idle_performs_the_newest_trial(statuses):
    tune = Tune()
    tune.trials = [SimpleNamespace(status=getattr(Trial, status)) for status in statuses]
    assert tune.keeper.choose_trial_to_run(tune) is tune.trials[-1]


@pytest.mark.parametrize("statuses", [["PENDING", "RUNNING"], []])
def test_trials_whose_processes_are_starting_are_left_to_tune(statuses):
    tune = Tune()
    tune.trials = [SimpleNamespace(status=getattr(Trial, status)) for status in statuses]
    assert tune.keeper.choose_trial_to_run(tune) is None
