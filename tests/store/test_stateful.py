"""A store against a perfect one: commits, retries, damage, repair and reopening in any order."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.store_rows import failure, model, stitch

from sweeper.spec.records import ident
from sweeper.spec.records.rows import Row
from sweeper.store.parts import store_paths
from sweeper.store.query import gather
from sweeper.store.store import Store

MODELS = [f"m{i}" for i in range(4)]
TASKS = [*MODELS, *(f"{a}>{b}@block1" for a in MODELS for b in MODELS)]


class StoreMachine(RuleBasedStateMachine):
    """The model: what each part that was published holds, and which weights are there."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.parts: dict[str, list[Row]] = {}
        self.bad: set[str] = set()
        self.weights: set[str] = set()
        self.number = 0
        self.many, gather.MANY = gather.MANY, 2  # so that parts are gathered often

    @initialize()
    def create(self):
        self.store = Store.open(self.folder.name + "/store", create=True)

    @rule(data=st.data(), again=st.booleans())
    def commit(self, data: st.DataObject, again: bool):
        """Receipts of tasks that may have some already, in a run of its own or a later attempt."""
        self.number += 1
        run = f"r{data.draw(st.integers(0, 9))}"
        tasks = data.draw(st.lists(st.sampled_from(TASKS), min_size=1, max_size=6, unique=True))
        rows = [self._row(task, run, data.draw(st.integers(0, 2))) for task in tasks]
        paths = self.store.commit(rows, run=run, worker="w")
        if again:
            assert self.store.commit(rows, run=run, worker="w") == paths
        for path in paths:
            self.parts[path] = [row for row in rows if row.kind == store_paths.kind_of(path)]

    @rule(task=st.sampled_from(TASKS))
    def fail(self, task: str):
        (path,) = self.store.commit([failure(task)], run="f", worker="w")
        self.parts[path] = []

    @rule(task=st.sampled_from(MODELS), version=st.integers(0, 1))
    def put_weights(self, task: str, version: int):
        self.weights.add(self.store.put_weights(f"{task} {version}".encode()))

    @precondition(lambda self: self._whole())
    @rule(data=st.data())
    def damage(self, data: st.DataObject):
        path = data.draw(st.sampled_from(sorted(self._whole())))
        file = Path(self.store.url) / path
        content = bytearray(file.read_bytes())
        how = data.draw(st.sampled_from(["flip", "truncate", "empty"]))
        if how == "flip":
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(content if how == "flip" else content[:-1] if how == "truncate" else b"")
        self.bad.add(path)

    @precondition(lambda self: self._whole())
    @rule(data=st.data())
    def lose(self, data: st.DataObject):
        path = data.draw(st.sampled_from(sorted(self._whole())))
        (Path(self.store.url) / path).unlink()
        del self.parts[path]

    @precondition(lambda self: self.weights)
    @rule(data=st.data())
    def lose_weights(self, data: st.DataObject):
        digest = data.draw(st.sampled_from(sorted(self.weights)))
        (Path(self.store.url) / store_paths.weights(digest)).unlink()
        self.weights.remove(digest)

    @rule()
    def set_aside(self):
        assert {damage.part for damage in self.store.set_aside()} == self.bad
        for path in self.bad:
            del self.parts[path]
        self.bad.clear()

    @rule()
    def reopen(self):
        self.store = Store.open(self.store.url)

    @invariant()
    def same_tasks(self):
        models, stitches = self._shown("models"), self._shown("stitches")
        present = {task: row.weights for task, row in models.items() if row.weights in self.weights}
        assert self.store.weights() == present
        assert self.store.done() == present.keys() | stitches.keys()
        assert {damage.part for damage in self.store.damage} == self.bad

    @invariant()
    def same_rows(self):
        with self.store.connect() as con:
            stitches = con.sql("SELECT task, gain FROM stitches").fetchall()
            models = con.sql("SELECT task, weights, test_error FROM models").fetchall()
        assert sorted(stitches) == sorted((row.task, row.gain) for row in self._shown("stitches").values())
        assert sorted(models) == sorted((r.task, r.weights, r.test_error) for r in self._shown("models").values())

    def teardown(self):
        gather.MANY = self.many
        self.folder.cleanup()

    def _row(self, task: str, run: str, attempt: int) -> Row:
        """A row that no other one equals."""
        self.number += 1
        common = {"run": run, "attempt": attempt, "task": task}
        if task in MODELS:
            weights = ident.digest(f"{task} {self.number % 2}".encode())
            return model(**common, weights=weights, test_error=float(self.number))
        return stitch(*task.removesuffix("@block1").split(">"), **common, gain=float(self.number))

    def _whole(self) -> set[str]:
        return self.parts.keys() - self.bad

    def _shown(self, kind: str) -> dict[str, Row]:
        """The lowest (weights gone, attempt, part) of each task."""
        rows = [
            (kind == "models" and row.weights not in self.weights, row.attempt, path, number, row)
            for path in self._whole()
            if store_paths.kind_of(path) == kind
            for number, row in enumerate(self.parts[path])
        ]
        shown: dict[str, Row] = {}
        for *_, row in sorted(rows, key=lambda entry: entry[:4]):
            shown.setdefault(row.task, row)
        return shown


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=6, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.slow
class TestStoreMachineForLonger(StoreMachine.TestCase):
    settings = settings(TestStoreMachine.settings, max_examples=40, stateful_step_count=30)
