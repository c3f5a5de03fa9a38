"""Random damage to a store and to its cache: no wrong number, no traceback, and a store that opens again and heals.

Each round damages some files at once, compares what the store then shows with what its sound files hold, repairs the
store, commits again what is missing, as a run would, and compares it with the store before the damage. In some rounds
the store is compacted first. What is sound is not asked of the store: each file is compared with its first content.
"""

import os
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.compaction import compact
from support.damage import flipped
from support.saved_states import state_of
from support.store_rows import curve, failure, model, start, stitch, weights_of

from sweeper.errors import StoreError
from sweeper.spec.records.rows import Row
from sweeper.store.care.repair import repair_store
from sweeper.store.mark import repair_mark
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Folder
from sweeper.store.query import gather
from sweeper.store.store import Store

MODELS = ("m1", "m2", "m3")
DAMAGES = ("flip", "flip", "truncate", "delete", "swap", "other content", "pipe", "loop")
MOST_AT_ONCE = 15

QUERIES = {
    "models": "SELECT task, weights, test_error, hex(correct) FROM models ORDER BY ALL",
    "stitches": "SELECT task, gain, hex(correct) FROM stitches ORDER BY ALL",
    "curves": "SELECT task, step, loss FROM curves ORDER BY ALL",
    "failures": "SELECT task, error FROM failures ORDER BY ALL",
    "runs": "SELECT run, job FROM runs ORDER BY ALL",
}


class DamagedStore:
    """A store that is damaged at random, with what each of its files held at first."""

    def __init__(self, folder: Path, cache: Path, seed: int):
        self.root, self.cache, self.chance = folder / "store", cache, random.Random(seed)
        self.commits: list[tuple[list[Row], str]] = [
            ([start("r", job="x"), failure("f"), *(model(name) for name in MODELS)], "w"),
            *([(self._rows(a, b), f"{a}{b}") for a in MODELS for b in MODELS]),
        ]
        self.rows_by_path: dict[str, list[Row]] = {}  # of original parts
        self.content_by_path: dict[str, bytes] = {}  # of parts and weights
        self.originals_by_path: dict[str, set[str]] = {}  # of all parts: the original parts whose rows each has
        store = Store.open(str(self.root), create=True)
        self._put_everything(store)
        self.first_numbers = read(store)

    def _rows(self, a: str, b: str) -> list[Row]:
        task = f"{a}>{b}@block1"
        return [stitch(a, b, gain=self.chance.random()), curve(task, 1, loss=self.chance.random())]

    def _put_everything(self, store: Store) -> None:
        """Store what a run would make again, under the same names."""
        for name in MODELS:
            path = store_paths.weights(store.put_weights(weights_of(name)))
            self.content_by_path[path] = weights_of(name)
        for rows, worker in self.commits:
            for path in store.commit(rows, run="r", worker=worker):
                self.rows_by_path[path] = [row for row in rows if row.kind == store_paths.kind_of(path)]
                self._remember(path, {path})
        state = state_of(["open"])
        store.objects.create(store_paths.saved_state("0" * 64, state), state)
        store.objects.create(store_paths.progress_object("r", 1), b"{}")

    def _remember(self, path: str, originals: set[str] | None = None) -> None:
        """Remember the content of a part when it is first published; it is the same each time."""
        if path not in self.content_by_path:
            file = self.root / path
            self.content_by_path[path] = file.read_bytes()
            self.originals_by_path[path] = originals or set(pq.read_table(file, columns=["part"])["part"].to_pylist())

    def compact(self) -> None:
        """Compact the store; the parts that compacted ones replace may stay, as within the grace period."""
        compact(Store.open(str(self.root)), grace=self.chance.choice([0.0, 60.0]))
        for file in self.root.glob("rows/*/compacted-*"):
            self._remember(str(file.relative_to(self.root)))

    def _files(self) -> list[Path]:
        """Return the files of the store and of the cache that may be damaged.

        Lease objects are left out: one that names a living process in place of none is believed until it is silent for
        two minutes (`test_lease.py`).
        """
        folders = [self.root / name for name in ("rows", "weights", "scratch", "progress")]
        files = [file for folder in (*folders, self.cache) for file in folder.rglob("*")]
        return sorted(file for file in [*files, self.root / store_paths.MARK] if file.is_file())

    def damage(self) -> str:
        """Damage one file, or two that are swapped, and return what was done."""
        file, other = self.chance.sample(self._files(), 2)
        kind = self.chance.choice(DAMAGES)
        content = file.read_bytes()
        match kind:
            case "flip" if content:
                file.write_bytes(flipped(content, self.chance.randrange(8 * len(content))))
            case "truncate":
                file.write_bytes(content[: self.chance.randrange(len(content) + 1)])
            case "swap":
                file.write_bytes(other.read_bytes())
                other.write_bytes(content)
            case "other content":
                file.write_bytes(other.read_bytes())
            case "pipe" if self.cache not in file.parents:
                file.unlink()
                os.mkfifo(file)
            case "loop":
                file.unlink()
                file.symlink_to(file)
            case _:
                file.unlink()
        return f"{kind} of {file}"

    def open(self) -> Store:
        """Open the store; if its mark is damaged, that is said in a sentence, and the repair writes it again."""
        try:
            return Store.open(str(self.root))
        except StoreError:
            assert repair_mark(Folder(self.root))
            return Store.open(str(self.root))

    def check(self, damages: Sequence[str]) -> None:
        """Compare what the store shows with what its sound files hold."""
        sound = {path for path, content in self.content_by_path.items() if has_content(self.root / path, content)}
        readable = {original for path in sound for original in self.originals_by_path.get(path, ())}
        store = self.open()
        assert read(store) == self._expected(readable, sound), damages
        left_out = {damage.path for damage in store.damage}
        unsound = {path for path in self.content_by_path.keys() - sound if os.path.lexists(self.root / path)}
        lost = {path for path in unsound if not self.originals_by_path.get(path, {path}) <= readable}
        assert lost <= left_out <= unsound, damages

    def _expected(self, readable: set[str], sound: set[str]) -> Mapping[str, object]:
        """Return what `read` gives.

        Args:
            readable: The original parts that a sound part has the rows of.
            sound: The sound files of parts and weights.
        """
        tasks = {kind: set[str]() for kind in QUERIES}
        for path in readable:
            tasks[store_paths.kind_of(path)].update(row.task for row in self.rows_by_path[path])
        tasks["curves"] &= tasks["stitches"]  # the view shows the curves of tasks that are done
        expected: dict[str, object] = {
            kind: [row for row in rows if row["run" if kind == "runs" else "task"] in tasks[kind]]
            for kind, rows in self.first_numbers.items()
            if isinstance(rows, list)
        }
        models = {name for name in tasks["models"] if store_paths.weights(model(name).weights) in sound}
        return expected | {"done": models | tasks["stitches"]}

    def heal(self, damages: Sequence[str]) -> None:
        """Repair the store, perform what is missing, and check that everything is as it was."""
        store = self.open()
        repair_store(store)
        self._put_everything(store)
        store = Store.open(str(self.root))
        assert read(store) == self.first_numbers, damages
        assert not store.damage, damages
        shutil.rmtree(self.root / store_paths.DAMAGED, ignore_errors=True)


def read(store: Store) -> dict[str, object]:
    """Return every number that a store shows, and the tasks that are done."""

    def numbers() -> dict[str, object]:
        with store.connect() as con:
            return {kind: con.sql(query).to_arrow_table().to_pylist() for kind, query in QUERIES.items()}

    return store.retried(numbers) | {"done": store.done()}


def has_content(file: Path, content: bytes) -> bool:
    """Return True if there is a regular file with this content."""
    return file.is_file() and file.read_bytes() == content


@pytest.fixture
def few_parts_are_gathered() -> Iterator[None]:
    """Let three parts be gathered already, so that gathered files are damaged, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather, "MOST_SINGLE_PARTS", 2)
        yield


@pytest.mark.usefixtures("few_parts_are_gathered")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("seed", "total"), [(0, 40), *(pytest.param(seed, 500, marks=pytest.mark.slow) for seed in range(1, 21))]
)
def test_no_damage_gives_a_wrong_number_or_lasts(tmp_path: Path, cache: Path, seed: int, total: int):
    damaged_store = DamagedStore(tmp_path, cache, seed)
    count = 0
    while count < total:
        if damaged_store.chance.random() < 0.3:
            damaged_store.compact()
        damages = [damaged_store.damage() for _ in range(damaged_store.chance.randint(1, MOST_AT_ONCE))]
        damaged_store.check(damages)
        damaged_store.heal(damages)
        count += len(damages)
