"""A store compared with a simple model of it, after operations in any order.

They are commits, retries, kills, compactions, checks, repairs, merges, second drivers, damage and reopening.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support.compaction import compact
from support.killed_operations import KilledOperations
from support.store_rows import failure, model, stitch

from sweeper.errors import StoreBusy
from sweeper.spec.records import ident
from sweeper.spec.records.rows import Row
from sweeper.store.care.full_check import check_all_files
from sweeper.store.care.merge import merge_stores
from sweeper.store.care.repair import repair_store
from sweeper.store.parts import store_paths
from sweeper.store.query import gather
from sweeper.store.store import Store

MODELS = [f"m{i}" for i in range(4)]
TASKS = [*MODELS, *(f"{a}>{b}@block1" for a in MODELS for b in MODELS)]
RARELY = st.integers(0, 4).map(lambda number: number == 0)  # for what takes a tenth of a second
FILE_OPERATIONS = 40  # more than a commit or a compaction of these stores has

killer: KilledOperations


@pytest.fixture(scope="module", autouse=True)
def killed_operations() -> Iterator[None]:
    """Start the process that forks those that are killed, and let three parts be gathered already."""
    global killer
    with KilledOperations() as killer, pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather, "MOST_SINGLE_PARTS", 2)
        yield


class StoreMachine(RuleBasedStateMachine):
    """A store, and as its model the rows of each original part, which files have them, and the stored weights."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.rows: dict[str, list[Row]] = {}  # of original parts that were ever published
        self.files: dict[str, set[str]] = {}  # of the parts in the store: the original parts that each has
        self.damaged: set[str] = set()  # of these files
        self.commits: list[tuple[list[Row], str]] = []
        self.weights: set[str] = set()
        self.number = 0

    @initialize()
    def create(self):
        """Create an empty store, another one to merge, and one that tells the paths of parts."""
        self.store = Store.open(self.folder.name + "/store", create=True)
        self.other = Store.open(self.folder.name + "/other", create=True)
        self.shadow = Store.open(self.folder.name + "/shadow", create=True)

    @rule(data=st.data(), killed=st.booleans())
    def commit(self, data: st.DataObject, killed: bool):
        """Commit rows of tasks, of which some may have rows of other runs or attempts, or be killed while doing so."""
        rows, run = self._draw_commit(data)
        if killed:
            killer.commit(self.store.url, rows, run, data.draw(st.integers(0, FILE_OPERATIONS)))
            present = [path in self._listed() for path in self.shadow.commit(rows, run=run, worker="w")]
            assert present == sorted(present, reverse=True), "parts are published in their order"
        else:
            self.store.commit(rows, run=run, worker="w")
        self._add_commit(rows, run)

    @precondition(lambda self: self.commits)
    @rule(data=st.data())
    def retry(self, data: st.DataObject):
        """Commit again what was committed before, as a worker does whose first try was not acknowledged."""
        rows, run = data.draw(st.sampled_from(self.commits))
        assert self.store.commit(rows, run=run, worker="w") == self.shadow.commit(rows, run=run, worker="w")
        self._add_commit(rows, run)
        assert self.damaged.isdisjoint(self.shadow.commit(rows, run=run, worker="w")), "damaged ones are replaced"

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
        del self.files[path]

    @precondition(lambda self: self.weights)
    @rule(data=st.data())
    def delete_weights(self, data: st.DataObject):
        """Delete weights."""
        digest = data.draw(st.sampled_from(sorted(self.weights)))
        (Path(self.store.url) / store_paths.weights(digest)).unlink()
        self.weights.remove(digest)

    @rule(data=st.data(), grace=st.sampled_from([0.0, 1000.0]), killed=st.booleans(), wanted=RARELY)
    def compact(self, data: st.DataObject, grace: float, killed: bool, wanted: bool):
        """Compact the store, or be killed while doing so; no row comes or goes."""
        if not wanted:
            return
        readable = self._readable()
        if killed:
            killer.compact(self.store.url, data.draw(st.integers(0, FILE_OPERATIONS)))
        else:
            compact(self.store, grace)
        self._read_files()
        assert self._readable() == readable

    @rule(repairs=st.booleans(), wanted=RARELY)
    def verify(self, repairs: bool, wanted: bool):
        """Check all files, and move the damaged ones away."""
        if wanted:
            expected = self._damage_shown()
            check = repair_store(self.store).check if repairs else check_all_files(self.store)
            assert {damage.path for damage in check.damaged} == expected
            if repairs:
                self._forget_damage(expected)

    @rule()
    def set_aside(self):
        """Move damaged parts away."""
        expected = self._damage_shown()
        assert {damage.path for damage in self.store.set_aside()} == expected
        self._forget_damage(expected)

    @rule(data=st.data(), is_compacted=st.booleans(), wanted=RARELY)
    def merge(self, data: st.DataObject, is_compacted: bool, wanted: bool):
        """Add the parts of another store, which has some rows of its own and some of this store."""
        if not wanted:
            return
        shared = data.draw(st.lists(st.sampled_from(self.commits), max_size=2)) if self.commits else []
        for rows, run in [self._draw_commit(data), *shared]:
            for path in self.other.commit(rows, run=run, worker="w"):
                self.rows[path] = [row for row in rows if row.kind == store_paths.kind_of(path)]
        if is_compacted:
            compact(self.other)
        expected = self._damage_shown()
        merge = merge_stores(self.store, self.other)
        assert merge.damaged == []
        self._read_files()
        healed = expected & {info.path for info in self.other.objects.list("rows/")}
        assert (set(merge.healed), self.damaged & healed) == (healed, set())

    @rule()
    def second_driver(self):
        """Refuse a second driver while there is one."""
        with self.store.lease() as lease:
            with pytest.raises(StoreBusy):
                Store.open(self.store.url).lease().__enter__()
            assert lease.is_held()
        assert self.store.driver() is None

    @rule()
    def reopen(self):
        """Open the store again."""
        self.store = Store.open(self.store.url)

    @rule(wanted=RARELY)
    def look(self, wanted: bool):
        """Compare everything that the store shows with the model."""
        if wanted:
            self._compare()

    def teardown(self):
        """Compare once more, and delete the store."""
        if hasattr(self, "store"):
            self._compare()
        self.folder.cleanup()

    def _compare(self) -> None:
        models, stitches = self._shown("models"), self._shown("stitches")
        weights_by_model = {task: row.weights for task, row in models.items() if row.weights in self.weights}
        assert self.store.weights() == weights_by_model
        assert self.store.done() == weights_by_model.keys() | stitches.keys()
        assert {damage.path for damage in self.store.damage} == self._damage_shown()
        with self.store.connect() as con:
            shown_stitches = con.sql("SELECT task, gain FROM stitches").fetchall()
            shown_models = con.sql("SELECT task, weights, test_error FROM models").fetchall()
        assert sorted(shown_stitches) == sorted((row.task, row.gain) for row in stitches.values())
        assert sorted(shown_models) == sorted((r.task, r.weights, r.test_error) for r in models.values())

    def _draw_commit(self, data: st.DataObject) -> tuple[list[Row], str]:
        """Return rows that differ from all others, and their run."""
        self.number += 1
        run = f"r{data.draw(st.integers(0, 9))}"
        tasks = data.draw(st.lists(st.sampled_from(TASKS), min_size=1, max_size=6, unique=True))
        rows = [self._row(task, run, data.draw(st.integers(0, 2))) for task in tasks]
        return [*rows, *([failure(tasks[0], run=run)] if data.draw(st.booleans()) else [])], run

    def _row(self, task: str, run: str, attempt: int) -> Row:
        self.number += 1
        common = {"run": run, "attempt": attempt, "task": task}
        if task in MODELS:
            weights = ident.digest(f"{task} {self.number % 2}".encode())
            return model(**common, weights=weights, test_error=float(self.number))
        return stitch(*task.removesuffix("@block1").split(">"), **common, gain=float(self.number))

    def _add_commit(self, rows: list[Row], run: str) -> None:
        """Add those parts of a commit to the model that are in the store."""
        self.commits.append((rows, run))
        for path in self.shadow.commit(rows, run=run, worker="w"):
            self.rows[path] = [row for row in rows if row.kind == store_paths.kind_of(path)]
        self._read_files()

    def _read_files(self) -> None:
        """Compare the files of the model with those in the store, of which some have come or gone."""
        listed = self._listed()
        self.files = {path: originals for path, originals in self.files.items() if path in listed}
        self.damaged = {path for path in self.damaged & listed if not self._has_its_digest(path)}
        for path in listed - self.files.keys():
            columns = pq.read_schema(Path(self.store.url, path)).names
            paths = pq.read_table(Path(self.store.url, path), columns=["part"])["part"] if "part" in columns else [path]
            self.files[path] = {str(original) for original in paths}

    def _has_its_digest(self, path: str) -> bool:
        return f"-{ident.digest(Path(self.store.url, path).read_bytes())[:16]}.parquet" in path

    def _listed(self) -> set[str]:
        return {info.path for info in self.store.objects.list(store_paths.ROWS)}

    def _undamaged(self) -> set[str]:
        """Return the paths of the parts that are not damaged."""
        return self.files.keys() - self.damaged

    def _readable(self) -> set[str]:
        """Return the original parts whose rows a sound part has."""
        return {original for path in self._undamaged() for original in self.files[path]}

    def _damage_shown(self) -> set[str]:
        """Return the damaged parts without the original ones whose rows a compacted part has."""
        readable = self._readable()
        return {path for path in self.damaged if path not in readable}

    def _forget_damage(self, moved: set[str]) -> None:
        for path in moved:
            del self.files[path]
        self.damaged -= moved

    def _shown(self, kind: str) -> dict[str, Row]:
        """Return the row of each task that its view must show: the first by missing weights, attempt and part."""
        rows = [
            (kind == "models" and row.weights not in self.weights, row.attempt, path, number, row)
            for path in self._readable()
            if store_paths.kind_of(path) == kind
            for number, row in enumerate(self.rows[path])
        ]
        row_by_task: dict[str, Row] = {}
        for *_, row in sorted(rows, key=lambda entry: entry[:4]):
            row_by_task.setdefault(row.task, row)
        return row_by_task


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=6, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.slow
@pytest.mark.timeout(14400)
class TestStoreMachineForLonger(StoreMachine.TestCase):
    """The same test with 100,000 steps."""

    settings = settings(TestStoreMachine.settings, max_examples=2000, stateful_step_count=50)
