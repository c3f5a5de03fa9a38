"""`Plan`: all tasks of a job, and which of them a store has as done or as failed for good; the others are missing."""

from collections.abc import Collection, Iterator, Sequence
from copy import copy
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.spec.records.task import Data, Measurement, Model, Pack, Recipe, Stitch

from .corrections import NO_CORRECTIONS, Corrections
from .graph import Graph, cut_names, graph
from .pack import packs
from .zoo import Zoo, zoo

KINDS = ("models", "stitches", "similarities")  # the kinds of the rows that these tasks write


class Count(NamedTuple):
    """The tasks of one kind in a job."""

    tasks: int
    done: int
    failed: int = 0

    @property
    def missing(self) -> int:
        """The number of tasks that are neither done nor failed."""
        return self.tasks - self.done - self.failed


class Plan:
    """A job, expanded: models, stitches and measurements, and which of them are done or have failed for good.

    A stitch or measurement is stored as five integers and 16 bytes of id; `tasks` makes the objects. The models are
    those of the job's families.
    """

    def __init__(
        self,
        sweep: ResolvedSweep,
        data: Data,
        catalog: Catalog,
        models: Zoo,
        pairs: Graph,
        done: Collection[str],
        failed: Collection[str],
    ):
        """Store the parts of a plan and mark what is done or failed; `Plan.of` makes these parts from a job."""
        self.sweep = sweep
        self.data = data
        self.catalog = catalog
        self.models = models.models
        self.families = models.families
        self.graph = pairs
        self.left_out = pairs.left_out
        self.corrections = NO_CORRECTIONS
        self._cuts = cut_names(self.models, catalog)
        self.model_done = np.fromiter((model.id in done for model in self.models), bool, len(self.models))
        self.row_done = np.fromiter((task in done for task in self._row_ids()), bool, len(pairs.rows))
        # Where a task is in both, it is done.
        self.model_failed = ~self.model_done & np.fromiter((model.id in failed for model in self.models), bool)
        self.row_failed = np.zeros(len(pairs.rows), bool)
        if failed:
            self.row_failed = ~self.row_done & np.fromiter((task in failed for task in self._row_ids()), bool)

    @classmethod
    def of(
        cls, sweep: ResolvedSweep, done: Collection[str] = frozenset(), failed: Collection[str] = frozenset()
    ) -> "Plan":
        """Return the plan of a resolved job.

        Args:
            sweep: The job, with its data set resolved.
            done: Ids of tasks that a store already holds, of this job or others.
            failed: Ids of tasks that have failed for good; no pack contains them.

        Raises:
            SweeperError: The job's data is not resolved, a network was not probed, or there are more than
                `limits.tasks` tasks.
        """
        if not isinstance(sweep, ResolvedSweep):
            raise SweeperError("the job's data set isn't resolved; call sweeper.spec.job.resolve.resolve(sweep) first")
        catalog = Catalog.of(sweep)
        models = zoo(sweep, sweep.data, catalog)
        return cls(sweep, sweep.data, catalog, models, graph(sweep, sweep.data, models, catalog), done, failed)

    def corrected(self, corrections: Corrections) -> "Plan":
        """Return the same plan with estimates that are corrected by measured times."""
        plan = copy(self)
        plan.corrections = corrections
        return plan

    def ids(self) -> list[str]:
        """Return the ids of all tasks, models first."""
        return [*(model.id for model in self.models), *self._row_ids()]

    @cached_property
    def missing(self) -> frozenset[str]:
        """The ids of all tasks that are neither done nor failed."""
        ended = np.concatenate([self.model_done | self.model_failed, self.row_done | self.row_failed])
        return frozenset(task for task, is_ended in zip(self.ids(), ended, strict=True) if not is_ended)

    @cached_property
    def failed(self) -> frozenset[str]:
        """The ids of all tasks that have failed for good."""
        failed = np.concatenate([self.model_failed, self.row_failed])
        return frozenset(task for task, is_failed in zip(self.ids(), failed, strict=True) if is_failed)

    @property
    def is_stitch(self) -> NDArray[np.bool_]:
        """True for each row of the graph that is a stitch, False for a measurement; shape (rows,)."""
        return self.graph.row_mask(lambda operation: isinstance(operation, Recipe), self.graph.rows)

    def count(self, kind: str) -> Count:
        """Return the numbers of tasks of a kind ("models", "stitches", "similarities")."""
        return self.counts()[kind]

    def counts(self) -> dict[str, Count]:
        """Return the counts of all kinds, by kind, in the order of `KINDS`."""
        stitches = self.is_stitch
        done = (self.model_done, self.row_done[stitches], self.row_done[~stitches])
        failed = (self.model_failed, self.row_failed[stitches], self.row_failed[~stitches])
        return {
            kind: Count(len(done_of_kind), int(done_of_kind.sum()), int(failed_of_kind.sum()))
            for kind, done_of_kind, failed_of_kind in zip(KINDS, done, failed, strict=True)
        }

    def task(self, task: str) -> Model | Stitch | Measurement:
        """Return a task by its id.

        Raises:
            KeyError: The job doesn't name the task.
        """
        for model in self.models:
            if model.id == task:
                return model
        return self.tasks([self._number(task)])[0]

    def ids_that_begin_with(self, prefix: str) -> list[str]:
        """Return the ids of the tasks that begin with some hexadecimal digits, models first."""
        whole, odd = divmod(len(prefix), 2)
        key = np.frombuffer(bytes.fromhex(prefix[: 2 * whole]), np.uint8)
        rows = self.graph.ids[(self.graph.ids[:, :whole] == key).all(1)]
        models = (model.id for model in self.models)
        return [id for id in (*models, *_texts(rows)) if id.startswith(prefix)] if odd or whole else self.ids()

    def tasks(self, numbers: Sequence[int]) -> list[Stitch | Measurement]:
        """Return the tasks at some row numbers of the graph, as objects."""
        ids = self.row_ids(numbers)
        tasks: list[Stitch | Measurement] = []
        for task, (a, b, cut_a, cut_b, position) in zip(ids, self.graph.rows[numbers].tolist(), strict=True):
            operation = self.graph.operations[position]
            models_and_cuts = (self.models[a], self._cuts[a][cut_a], self.models[b], self._cuts[b][cut_b])
            tasks.append(
                Stitch(task, *models_and_cuts, operation)
                if isinstance(operation, Recipe)
                else Measurement(task, *models_and_cuts, *operation)
            )
        return tasks

    def row_ids(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """Return the ids of the tasks at some row numbers of the graph."""
        return tuple(_texts(self.graph.ids[numbers]))

    def packs(self) -> Iterator[Pack]:
        """Return the missing tasks in packs of about `engine.pack_seconds` seconds; training runs come first."""
        return packs(self)

    def _number(self, task: str) -> int:
        """Return the row number of a task in the graph by a linear search, which reads 16 MB for a million tasks."""
        try:
            key = np.frombuffer(bytes.fromhex(task), np.uint8)
            row_numbers = np.flatnonzero((self.graph.ids == key).all(1))
        except ValueError:  # not hexadecimal, or of another length
            raise KeyError(task) from None
        if row_numbers.size == 0:
            raise KeyError(task)
        return int(row_numbers[0])

    def _row_ids(self) -> Iterator[str]:
        return _texts(self.graph.ids)


def _texts(ids: NDArray[np.uint8]) -> Iterator[str]:
    """Return ids of 16 bytes as text."""
    text = ids.tobytes().hex()
    return (text[i : i + 32] for i in range(0, len(text), 32))
