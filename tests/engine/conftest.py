"""Toy sweeps, and one Ray for the whole room: each start costs seconds."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from toys import log, receipt, toy_sweep

from sweeper.engine import cluster
from sweeper.engine.progress import Status
from sweeper.engine.run import Summary, run
from sweeper.plan.plan import Plan
from sweeper.spec.sweep import Engine, Sweep
from sweeper.spec.task import TrainPack
from sweeper.store.store import Store

HERE = Path(__file__).parent


class Toys:
    """A sweep of toys in a store of its own."""

    def __init__(self, folder: Path):
        self.sweep = toy_sweep()
        self.plan = Plan.of(self.sweep)
        self.store = Store.open(str(folder / "store"), create=True)
        self.rules_file = Path(os.environ["TOYS"])
        self.seen: list[Status] = []
        self.rules({})
        Path(f"{self.rules_file}.log").unlink(missing_ok=True)

    def rules(self, rules: dict[str, str]) -> None:
        self.rules_file.write_text(json.dumps(rules))

    def run(self, sweep: Sweep | None = None, performer: str = "toys:perform") -> Summary:
        return run(sweep or self.sweep, self.store, performer=performer, on_progress=self.seen.append)

    def models_done(self) -> None:
        """Puts all models into the store, without Ray."""
        outcomes = [receipt(pack, pack.models[0]) for pack in self.plan.packs() if isinstance(pack, TrainPack)]
        for outcome in outcomes:
            self.store.put_weights(outcome.weights or b"")
        self.store.commit([row for outcome in outcomes for row in outcome.rows], run="before", worker="test")

    def with_engine(self, **settings: object) -> Sweep:
        return self.sweep.model_copy(update={"engine": self.sweep.engine.model_copy(update=settings)})

    @property
    def log(self) -> list[tuple[str, int, float]]:
        return log(self.rules_file)

    def failures(self) -> dict[str, tuple[str, str, bool]]:
        """The last failure of each task that isn't done."""
        rows = self.store.sql("select task, error, message, final from failures").to_pylist()
        return {row["task"]: (row["error"], row["message"], row["final"]) for row in rows}

    def attempts(self, task: str) -> list[tuple[int, str]]:
        rows = self.store.sql(f"select attempt, outcome from attempts where task = '{task}' order by 1").to_pylist()
        return [(row["attempt"], row["outcome"]) for row in rows]


@pytest.fixture(scope="session")
def toy_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Workers, which are other processes, find `toys` and the rules of the test at hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("TOYS", str(tmp_path_factory.mktemp("toys") / "rules.json"))
        yield


@pytest.fixture(scope="module")
def ray_up(toy_environment: None) -> Iterator[None]:
    """A local Ray with two workers' room, as `run` starts it."""
    with cluster.cluster(Engine(workers=2)):
        yield


@pytest.fixture
def toys(ray_up: None, tmp_path: Path) -> Toys:
    return Toys(tmp_path)
