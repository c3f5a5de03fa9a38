"""A sweep of toy tasks on a store, for tests of the engine."""

import json
import os
from pathlib import Path

from support.toys import gate, log, receipt, toy_sweep
from sweeper.engine.progress import Status
from sweeper.engine.run import run, run_resolved
from sweeper.engine.summary import Summary
from sweeper.plan.plan import Plan
from sweeper.spec.job.sweep import Engine, ResolvedSweep
from sweeper.spec.records.task import TrainPack
from sweeper.store.store import Store


class Toys:
    """A sweep of toy tasks (see `support.toys`), its store, and the rules of its tasks."""

    def __init__(self, folder: Path):
        self.sweep = toy_sweep()
        self.plan = Plan.of(self.sweep)
        self.store = Store.open(str(folder / "store"), create=True)
        self.rules_file = Path(os.environ["TOYS"])
        self.statuses: list[Status] = []
        self.set_rules({})
        Path(f"{self.rules_file}.log").unlink(missing_ok=True)
        gate(self.rules_file).unlink(missing_ok=True)

    def set_rules(self, rules: dict[str, str]) -> None:
        """Write the rules that the toy tasks read, by task id."""
        self.rules_file.write_text(json.dumps(rules))

    def run(
        self, sweep: ResolvedSweep | None = None, performer: str = "support.toys:perform", retry_failed: bool = False
    ) -> Summary:
        """Run the sweep, or another one, on the store."""
        show = self.statuses.append
        return run(sweep or self.sweep, self.store, performer=performer, on_progress=show, retry_failed=retry_failed)

    def run_only(self, *tasks: str) -> Summary:
        """Run some tasks of the sweep alone."""
        show = self.statuses.append
        chosen = frozenset(tasks)
        return run_resolved(self.sweep, self.store, performer="support.toys:perform", on_progress=show, only=chosen)

    def open_gate(self) -> None:
        """Let the tasks of the rule "gate" end."""
        gate(self.rules_file).touch()

    def store_models(self) -> None:
        """Store the rows and weights of all models without a run."""
        outcomes = [receipt(pack, pack.models[0]) for pack in self.plan.packs() if isinstance(pack, TrainPack)]
        for outcome in outcomes:
            self.store.put_weights(outcome.weights or b"")
        self.store.commit([row for outcome in outcomes for row in outcome.rows], run="before", worker="test")

    def with_engine(self, **settings: object) -> ResolvedSweep:
        """Return the sweep with other settings of the engine."""
        engine = Engine.model_validate(self.sweep.engine.model_dump(exclude_unset=True) | settings)
        return self.sweep.model_copy(update={"engine": engine})

    @property
    def log(self) -> list[tuple[str, int, float]]:
        """The (task id, process id, time) of every task that has begun, in order."""
        return log(self.rules_file)

    def failures(self) -> dict[str, tuple[str, str, bool]]:
        """Return (error, message, final) of the last failure of each task that isn't done, by task id."""
        rows = self.store.sql("select task, error, message, final from failures").to_pylist()
        return {row["task"]: (row["error"], row["message"], row["final"]) for row in rows}

    def attempts(self, task: str) -> list[tuple[int, str]]:
        """Return (attempt, outcome) of every attempt at a task, in order."""
        rows = self.store.sql(f"select attempt, outcome from attempts where task = '{task}' order by 1").to_pylist()
        return [(row["attempt"], row["outcome"]) for row in rows]
