"""The scheduler of a sweep's packs and the state of all tasks. It uses no Ray, disk or clock.

A pack waits until its inputs exist, is ready, runs, and then each of its tasks is done or failed. A task that is
neither was lost because its worker died: its pack is queued again (`retry`), in two halves (`split`), or marked as
failed (`fail`). A task whose model failed or is blocked is itself blocked and never runs; the other tasks of its pack
run. If a kind of tasks is stopped, or a model withdrawn whose weights are lost, the tasks of this kind or with this
model that have not started are dropped. Each task ends as exactly one of done, failed, blocked, dropped.
"""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import chain
from typing import NamedTuple

from sweeper.spec.records.task import Pack, TrainPack

from . import pack as packing


class Counts(NamedTuple):
    """The number of packs (the first four fields) and of tasks (the last three) in each state."""

    waiting: int  # waiting for an input
    ready: int
    running: int
    lost: int  # ended with tasks that are neither done nor failed, and not yet queued again
    done: int
    failed: int
    blocked: int


class Frontier:
    """A queue that hands out packs in an order that keeps workers busy; each step costs O(log packs). Can be pickled.

    The pack at the head of the longest path of packs comes first: the seconds of a training run include those of the
    longest pack that waits for it, of the pack that waits for that one, and so on. So no long pack is left for the end,
    when other workers have nothing to do. Of equal paths, the pack that most packs wait for comes first, then the one
    that was ready first.

    >>> frontier = Frontier(plan.packs(), done)
    >>> while not frontier.over:
    ...     pack = frontier.next()
    ...     frontier.finish(pack.id, done=perform(pack))
    """

    def __init__(self, packs: Iterable[Pack], done: Collection[str] = frozenset()):
        """Sort packs into ready and waiting ones.

        Args:
            packs: The packs of a plan.
            done: Ids of tasks that were done before; only those of models matter. A model that is neither in `done`
                nor made by one of the packs counts as failed, and the tasks that need it are blocked.
        """
        self.done: set[str] = set()  # ids of the tasks that this frontier's packs finished
        self.failed: dict[str, str] = {}  # the reason of each failed task, by id
        self.blocked: dict[str, str] = {}  # the failed model that a blocked task needs, by the task's id
        self.dropped: set[str] = (
            set()
        )  # ids of the tasks that are not started: their kind was stopped, or a model withdrawn
        self.running: dict[str, Pack] = {}
        self.lost: dict[str, Pack] = {}  # the remaining tasks of packs that ended early
        self._ready: list[tuple[float, int, int, Pack]] = []  # a heap
        self._waiting: dict[int, tuple[Pack, set[str]]] = {}  # a pack and its missing inputs, by the pack's number
        self._waiters: defaultdict[str, list[int]] = defaultdict(list)  # numbers of the waiting packs, by model
        self._number = 0
        self._stopped_kinds: set[str] = set()
        self._withdrawn: set[str] = set()  # ids of models whose weights are lost

        packs = tuple(packs)
        trained = {task for pack in packs if isinstance(pack, TrainPack) for task in pack.tasks}
        trainings: list[Pack] = []
        unavailable: dict[str, None] = {}  # models that are neither done nor made by a pack, in order
        for pack in packs:
            missing_inputs = {model for model in pack.inputs if model not in done}
            if isinstance(pack, TrainPack) and not missing_inputs:
                trainings.append(pack)
                continue
            self._wait(pack, missing_inputs)
            unavailable.update(dict.fromkeys(model for model in pack.inputs if model in missing_inputs - trained))
        for pack in trainings:  # last, because their order depends on how many packs wait for each
            self._push(pack)
        for model in unavailable:
            self._model_failed(model)

    @property
    def over(self) -> bool:
        """True if no pack is ready, running, lost or waiting."""
        return not (self._ready or self.running or self.lost or self._waiting)

    def counts(self) -> Counts:
        """Return the number of packs and tasks in each state."""
        packs = (self._waiting, self._ready, self.running, self.lost)
        tasks = (self.done, self.failed, self.blocked)
        return Counts(*map(len, packs), *map(len, tasks))

    def next(self) -> Pack | None:
        """Return the first ready pack and count it as running; None if no pack is ready now."""
        if not self._ready:
            return None
        *_, pack = heapq.heappop(self._ready)
        self.running[pack.id] = pack
        return pack

    def finish(self, pack_id: str, done: Iterable[str] = (), failed: Iterable[str] = ()) -> tuple[str, ...]:
        """Record the end of a running pack.

        Returns:
            The ids of the tasks that were lost (neither done nor failed, and not of a kind that was stopped). If there
            are any, call `retry`, `split` or `fail` next.

        Raises:
            KeyError: No pack of this id is running.
            ValueError: A task is not in the pack, or is both done and failed.
        """
        pack, done, failed = self.running[pack_id], frozenset(done), frozenset(failed)
        if invalid_tasks := (done | failed) - frozenset(pack.tasks) or done & failed:
            raise ValueError(
                f"tasks not in pack {pack_id}, or reported as both done and failed: {', '.join(sorted(invalid_tasks))}"
            )
        del self.running[pack_id]
        for task in pack.tasks:
            if task in done:
                self._task_done(task)
            elif task in failed:
                self._task_failed(task, "")
        lost_tasks = tuple(task for task in pack.tasks if task not in done and task not in failed)
        lost_tasks = self._drop(pack, lost_tasks)
        if lost_tasks:
            self.lost[pack_id] = packing.keep_tasks(pack, lost_tasks)
        return lost_tasks

    def retry(self, pack_id: str) -> Pack:
        """Queue the remaining tasks of a lost or running pack again, as a new pack."""
        pack = self._take(pack_id)
        self._push(pack)
        return pack

    def split(self, pack_id: str) -> tuple[Pack, Pack]:
        """Queue the remaining tasks of a lost or running pack again in two halves, to find one that kills its worker.

        Raises:
            ValueError: A single task remains.
        """
        halves = packing.split(self._peek(pack_id))
        self._take(pack_id)
        for half in halves:
            self._push(half)
        return halves

    def fail(self, pack_id: str, reason: str) -> tuple[str, ...]:
        """Mark the remaining tasks of a lost or running pack as failed, with a reason."""
        pack = self._take(pack_id)
        for task in pack.tasks:
            self._task_failed(task, reason)
        return pack.tasks

    def stop(self, kind: str) -> int:
        """Drop the tasks of a kind that have not started, and those that need them; return the number of these tasks.

        Running packs may go on; tasks of this kind that they lose are dropped then.
        """
        self._stopped_kinds.add(kind)
        return self._drop_unstarted()

    def withdraw(self, model: str) -> None:
        """Drop the tasks that need a model and have not started, because its weights are lost after it was done.

        Running packs may go on; tasks with this model that they lose are dropped then.
        """
        self._withdrawn.add(model)
        self._drop_unstarted()

    def drop(self, pack_id: str) -> None:
        """Drop the remaining tasks of a lost or running pack."""
        pack = self._take(pack_id)
        self.dropped.update(pack.tasks)
        if isinstance(pack, TrainPack):
            for task in pack.tasks:
                self._model_unavailable(task, is_dropped=True)

    def _drop_unstarted(self) -> int:
        """Drop the tasks that have not started and are not to start; return the number of tasks dropped."""
        dropped_before = len(self.dropped)
        ready, self._ready = self._ready, []
        for path_seconds, waiters, number, pack in ready:
            if rest := self._rest(pack):
                self._ready.append((path_seconds, waiters, number, rest))
        heapq.heapify(self._ready)
        for number in list(self._waiting):
            if number in self._waiting:
                self._drop_waiting(number)
        return len(self.dropped) - dropped_before

    def all_need(self, kind: str, models: Collection[str]) -> bool:
        """Return True if each task of a kind that has not started needs one of some models."""
        packs = chain((entry[-1] for entry in self._ready), (pack for pack, _ in self._waiting.values()))
        return all(
            frozenset().union(*(packing.dependent_tasks(pack, model) for model in models)).issuperset(tasks)
            for pack in packs
            if (tasks := packing.tasks_of_kind(pack, kind))
        )

    def _drop(self, pack: Pack, tasks: tuple[str, ...]) -> tuple[str, ...]:
        """Drop those of a pack's tasks whose kind was stopped or whose model was withdrawn, and return the others."""
        stopped = {task for kind in self._stopped_kinds for task in packing.tasks_of_kind(pack, kind)}
        for model in self._withdrawn.intersection(pack.inputs):
            stopped |= packing.dependent_tasks(pack, model)
        dropped = stopped.intersection(tasks)
        if not dropped:
            return tasks
        self.dropped |= dropped
        if isinstance(pack, TrainPack):
            for task in dropped:
                self._model_unavailable(task, is_dropped=True)
        return tuple(task for task in tasks if task not in dropped)

    def _rest(self, pack: Pack) -> Pack | None:
        """Return a pack without the tasks that are not to start; None if no task is left."""
        tasks = self._drop(pack, pack.tasks)
        if tasks == pack.tasks:
            return pack
        return packing.keep_tasks(pack, tasks) if tasks else None

    def _drop_waiting(self, number: int) -> None:
        """Remove from a waiting pack the tasks that are not to start; the rest waits only for its own inputs."""
        pack, missing_inputs = self._waiting[number]
        rest = self._rest(pack)
        if rest is None:
            del self._waiting[number]
        elif rest is not pack:
            missing_inputs &= set(rest.inputs)
            self._waiting[number] = (rest, missing_inputs)
            if not missing_inputs:
                del self._waiting[number]
                self._push(rest)

    def _peek(self, pack_id: str) -> Pack:
        """Return a lost or running pack."""
        return self.lost[pack_id] if pack_id in self.lost else self.running[pack_id]

    def _take(self, pack_id: str) -> Pack:
        """Return a lost or running pack and stop counting it as such."""
        return self.lost.pop(pack_id) if pack_id in self.lost else self.running.pop(pack_id)

    def _push(self, pack: Pack) -> None:
        """Make a pack ready, in the order of the length of its path, of the packs that wait for it, and of arrival."""
        self._number += 1
        heapq.heappush(self._ready, (-self._path_seconds(pack), -len(self._waiters_for(pack)), self._number, pack))

    def _path_seconds(self, pack: Pack) -> float:
        """Return the seconds of the longest path of packs that begins with a pack."""
        return pack.seconds + max(map(self._path_seconds, self._waiters_for(pack)), default=0.0)

    def _waiters_for(self, pack: Pack) -> list[Pack]:
        """Return the packs that wait for a model of a pack."""
        if not isinstance(pack, TrainPack):
            return []
        numbers = (number for task in pack.tasks for number in self._waiters.get(task, ()))
        return [self._waiting[number][0] for number in numbers if number in self._waiting]

    def _wait(self, pack: Pack, missing_inputs: set[str]) -> None:
        """Let a pack wait for its missing inputs; make it ready if there are none."""
        if not missing_inputs:
            self._push(pack)
            return
        self._number += 1
        self._waiting[self._number] = (pack, missing_inputs)
        for model in missing_inputs:
            self._waiters[model].append(self._number)

    def _task_done(self, task: str) -> None:
        self.done.add(task)
        for number in self._waiters.pop(task, ()):
            if number in self._waiting:
                self._stop_waiting_for(number, task)

    def _task_failed(self, task: str, reason: str) -> None:
        self.failed[task] = reason
        self._model_failed(task)

    def _model_failed(self, model: str) -> None:
        """Block the tasks that need a failed model, and the tasks that need those."""
        self._model_unavailable(model, is_dropped=False)

    def _model_unavailable(self, model: str, *, is_dropped: bool) -> None:
        """Block or drop the tasks that need a model which failed or was dropped, and the tasks that need those.

        The other tasks of each pack continue to wait for their inputs.
        """
        for number in self._waiters.pop(model, ()):
            if number not in self._waiting:
                continue
            pack, missing_inputs = self._waiting[number]
            dependent_tasks = packing.dependent_tasks(pack, model)
            if is_dropped:
                self.dropped |= dependent_tasks
            else:
                self.blocked.update(dict.fromkeys(dependent_tasks, model))
            other_tasks = [task for task in pack.tasks if task not in dependent_tasks]
            if other_tasks:
                self._waiting[number] = (packing.keep_tasks(pack, other_tasks), missing_inputs)
                self._stop_waiting_for(number, model)
            else:
                del self._waiting[number]
            if isinstance(pack, TrainPack):
                for task in dependent_tasks:
                    self._model_unavailable(task, is_dropped=is_dropped)

    def _stop_waiting_for(self, number: int, model: str) -> None:
        """Remove a model from the inputs that a waiting pack waits for; the pack is ready after the last one."""
        pack, missing_inputs = self._waiting[number]
        missing_inputs.discard(model)
        if not missing_inputs:
            del self._waiting[number]
            self._push(pack)
