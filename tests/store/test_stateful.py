"""A store compared with a simple model of it, after commits, retries, damage, repair and reopening in any order."""

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
    """A store, and as its model the rows of each published part and the digests of the stored weights."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.parts: dict[str, list[Row]] = {}
        self.damaged: set[str] = set()
        self.weights: set[str] = set()
        self.number = 0
        self.original_most_single_parts = gather.MOST_SINGLE_PARTS
        gather.MOST_SINGLE_PARTS = 2  # so that few parts are already gathered

    @initialize()
    def create(self):
        """Create an empty store."""
        self.store = Store.open(self.folder.name + "/store", create=True)

    @rule(data=st.data(), repeat=st.booleans())
    def commit(self, data: st.DataObject, repeat: bool):
        """Commit receipts of tasks, of which some may have receipts of other runs or attempts."""
        self.number += 1
        run = f"r{data.draw(st.integers(0, 9))}"
        tasks = data.draw(st.lists(st.sampled_from(TASKS), min_size=1, max_size=6, unique=True))
        rows = [self._row(task, run, data.draw(st.integers(0, 2))) for task in tasks]
        paths = self.store.commit(rows, run=run, worker="w")
        if repeat:
            assert self.store.commit(rows, run=run, worker="w") == paths
        for path in paths:
            self.parts[path] = [row for row in rows if row.kind == store_paths.kind_of(path)]

    @rule(task=st.sampled_from(TASKS))
    def fail(self, task: str):
        """Commit a failure."""
        (path,) = self.store.commit([failure(task)], run="f", worker="w")
        self.parts[path] = []

    @rule(task=st.sampled_from(MODELS), version=st.integers(0, 1))
    def put_weights(self, task: str, version: int):
        """Store one of two versions of the weights of a model."""
        self.weights.add(self.store.put_weights(f"{task} {version}".encode()))

    @precondition(lambda self: self._undamaged())
    @rule(data=st.data())
    def damage(self, data: st.DataObject):
        """Change the content of a part."""
        path = data.draw(st.sampled_from(sorted(self._undamaged())))
        file = Path(self.store.url) / path
        content = bytearray(file.read_bytes())
        change = data.draw(st.sampled_from(["flip", "truncate", "empty"]))
        if change == "flip":
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(content if change == "flip" else content[:-1] if change == "truncate" else b"")
        self.damaged.add(path)

    @precondition(lambda self: self._undamaged())
    @rule(data=st.data())
    def delete_part(self, data: st.DataObject):
        """Delete a part."""
        path = data.draw(st.sampled_from(sorted(self._undamaged())))
        (Path(self.store.url) / path).unlink()
        del self.parts[path]

    @precondition(lambda self: self.weights)
    @rule(data=st.data())
    def delete_weights(self, data: st.DataObject):
        """Delete weights."""
        digest = data.draw(st.sampled_from(sorted(self.weights)))
        (Path(self.store.url) / store_paths.weights(digest)).unlink()
        self.weights.remove(digest)

    @rule()
    def set_aside(self):
        """Move damaged parts away."""
        assert {damage.path for damage in self.store.set_aside()} == self.damaged
        for path in self.damaged:
            del self.parts[path]
        self.damaged.clear()

    @rule()
    def reopen(self):
        """Open the store again."""
        self.store = Store.open(self.store.url)

    @invariant()
    def has_the_same_tasks(self):
        """Compare done tasks, weights and damage with the model."""
        models, stitches = self._shown("models"), self._shown("stitches")
        weights_by_model = {task: row.weights for task, row in models.items() if row.weights in self.weights}
        assert self.store.weights() == weights_by_model
        assert self.store.done() == weights_by_model.keys() | stitches.keys()
        assert {damage.path for damage in self.store.damage} == self.damaged

    @invariant()
    def has_the_same_rows(self):
        """Compare the rows of the views with the model."""
        with self.store.connect() as con:
            stitches = con.sql("SELECT task, gain FROM stitches").fetchall()
            models = con.sql("SELECT task, weights, test_error FROM models").fetchall()
        assert sorted(stitches) == sorted((row.task, row.gain) for row in self._shown("stitches").values())
        assert sorted(models) == sorted((r.task, r.weights, r.test_error) for r in self._shown("models").values())

    def teardown(self):
        """Delete the store."""
        gather.MOST_SINGLE_PARTS = self.original_most_single_parts
        self.folder.cleanup()

    def _row(self, task: str, run: str, attempt: int) -> Row:
        """Build a receipt that differs from all others."""
        self.number += 1
        common = {"run": run, "attempt": attempt, "task": task}
        if task in MODELS:
            weights = ident.digest(f"{task} {self.number % 2}".encode())
            return model(**common, weights=weights, test_error=float(self.number))
        return stitch(*task.removesuffix("@block1").split(">"), **common, gain=float(self.number))

    def _undamaged(self) -> set[str]:
        """Return the paths of the parts that are not damaged."""
        return self.parts.keys() - self.damaged

    def _shown(self, kind: str) -> dict[str, Row]:
        """Return the row of each task that its view must show: the first by missing weights, attempt and part."""
        rows = [
            (kind == "models" and row.weights not in self.weights, row.attempt, path, number, row)
            for path in self._undamaged()
            if store_paths.kind_of(path) == kind
            for number, row in enumerate(self.parts[path])
        ]
        row_by_task: dict[str, Row] = {}
        for *_, row in sorted(rows, key=lambda entry: entry[:4]):
            row_by_task.setdefault(row.task, row)
        return row_by_task


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=6, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.slow
class TestStoreMachineForLonger(StoreMachine.TestCase):
    """The same test with more and longer sequences."""

    settings = settings(TestStoreMachine.settings, max_examples=40, stateful_step_count=30)
