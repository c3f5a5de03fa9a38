"""The compaction of a store by the driver: while parts come, at the end of a run, and not after an interruption."""

import threading
import time
from collections.abc import Callable

import pytest
from support.compaction import all_views, fill_store, part_paths, parts_read
from support.store_rows import similarity
from support.toy_run import Toys

from sweeper.engine import compaction
from sweeper.engine.compaction import Compaction
from sweeper.store.compaction.compactor import Compactor, PartGroup
from sweeper.store.store import Store


@pytest.fixture
def store(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a store of six parts of some kinds, which is compacted from four on and has no grace period."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compaction, "PARTS_WHILE_RUNNING", 4)
    monkeypatch.setattr(compaction, "PARTS_AT_END", 4)
    store = Store.open(str(tmp_path / "store"), create=True)
    fill_store(store)
    return store


def no() -> bool:
    """Return False."""
    return False


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; fail after a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_parts_are_compacted_while_they_come_and_replaced_ones_leave(store: Store, monkeypatch: pytest.MonkeyPatch):
    expected = all_views(store)
    make, committing = Store.compactor, threading.Lock()

    def compactor(store: Store) -> Compactor:
        """Return a compactor that looks at the store before or after four commits, not between them."""
        made = make(store, grace=0)
        groups = made.groups

        def groups_between_commits(at_least: int = 0) -> list[PartGroup]:
            with committing:
                return groups(at_least)

        monkeypatch.setattr(made, "groups", groups_between_commits)
        return made

    monkeypatch.setattr(Store, "compactor", compactor)
    with store.lease() as lease, Compaction(store, lease.is_held, no, period=0.05):
        wait_for(lambda: len(part_paths(store)) == 6)
        assert all_views(Store.open(store.url)) == expected
        with committing:
            for i in range(4):
                store.commit([similarity(f"m{i}", "m5")], run="r", worker="w")
        wait_for(lambda: len(part_paths(store, "similarities")) == 1)
    assert len(store.sql("FROM similarities")) == 5


def test_a_run_that_ends_leaves_a_compact_store(store: Store):
    expected = all_views(store)
    with store.lease() as lease, Compaction(store, lease.is_held, no):
        pass
    assert [len(parts_read(store, kind)) for kind in ("models", "stitches", "curves", "runs")] == [1] * 4
    assert all_views(store) == expected


def test_a_store_of_few_parts_is_left_as_it_is(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compaction, "PARTS_AT_END", 64)
    before = part_paths(store)
    with store.lease() as lease, Compaction(store, lease.is_held, no):
        pass
    assert part_paths(store) == before


def test_after_an_exception_or_a_signal_the_store_is_left_as_it_is(store: Store):
    before = part_paths(store)
    with store.lease() as lease:
        with pytest.raises(ValueError, match="x"), Compaction(store, lease.is_held, no):
            raise ValueError("x")
        with Compaction(store, lease.is_held, lambda: True):
            pass
    assert part_paths(store) == before


def test_a_signal_ends_the_compaction_at_the_end_of_a_run(store: Store, monkeypatch: pytest.MonkeyPatch):
    requested, over = threading.Event(), threading.Event()

    def publish(*_: object) -> list[str]:
        requested.set()
        over.wait()
        return []

    monkeypatch.setattr(Compactor, "publish", publish)
    with store.lease() as lease, Compaction(store, lease.is_held, requested.is_set):
        pass
    assert requested.is_set()
    over.set()


def test_without_the_lease_nothing_is_done_and_the_reason_is_logged(store: Store, caplog: pytest.LogCaptureFixture):
    before = part_paths(store)
    with Compaction(store, no, no):
        pass
    assert part_paths(store) == before
    assert "another process took over the store" in caplog.text


def test_a_whole_run_leaves_a_compact_store(toys: Toys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compaction, "PARTS_AT_END", 2)
    assert toys.run().outcome == "complete"
    assert len(parts_read(toys.store, "stitches")) == 1
    assert Store.open(toys.store.url).done() == set(toys.plan.ids())
