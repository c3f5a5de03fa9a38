"""Tests of the causes of failures."""

from datetime import UTC, datetime

from support import store_rows

from sweeper.store.failure_causes import FailureCause, failure_causes
from sweeper.store.store import Store


def test_failures_are_grouped_by_kind_error_and_place_and_the_most_frequent_cause_is_first(tmp_path):
    store = Store.open(str(tmp_path / "store"), create=True)
    fields = {"traceback": "", "final": True, "run": "r1", "at": datetime.now(UTC)}
    failures = [
        ("t1", "stitches", "ValueError", "f.py:1", "one"),
        ("t2", "stitches", "ValueError", "f.py:1", "x" * 9_000),
        ("t3", "stitches", "ValueError", "f.py:2", "three"),
        ("t4", "models", "worker killed", None, "four"),
        ("t0", "models", "worker killed", None, "of another job"),
    ]
    rows = [
        store_rows.failure(task, of=kind, error=error, place=place, message=message, **fields)
        for task, kind, error, place, message in failures
    ]
    store.commit(rows, run="r1", worker="w1")
    first, *others = failure_causes(store, ["t1", "t2", "t3", "t4"])
    assert first == FailureCause("stitches", "ValueError at f.py:1", 2, "t1", "one")
    assert others == [
        FailureCause("models", "worker killed", 1, "t4", "four"),
        FailureCause("stitches", "ValueError at f.py:2", 1, "t3", "three"),
    ]
    (long,) = failure_causes(store, ["t2"])
    assert long.message == "x" * 500
    assert failure_causes(store, []) == ()
