"""Tests of what `--as-of` names, and of stores as of a time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.compaction import all_views, compact
from support.store_rows import AT, model, stitch

from sweeper.errors import StoreError, UsageError
from sweeper.store.query import gather
from sweeper.store.store import Store
from sweeper.store.versions.moment import parse_moment

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0123456789abcdef", "0123456789abcdef"),
        (" 20260102 ", "20260102"),
        ("ABCDEF", "abcdef"),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T03:04", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        ("2026-01-02 03:04:05.5+02:00", datetime(2026, 1, 2, 1, 4, 5, 500_000, tzinfo=UTC)),
        ("2026-01-02T03:04Z", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
    ],
)
def test_digests_and_times_are_told_apart(text: str, moment: object):
    assert parse_moment(text) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "abcde", "0123456789abcdefg", "2026-13-01", "12:30"])
def test_anything_else_is_refused_with_examples(text: str):
    with pytest.raises(UsageError, match=r"give the digest of a version .* or a time such as 2026-03-01T14:30"):
        parse_moment(text)


def test_a_time_to_come_is_refused():
    with pytest.raises(UsageError, match="has not come yet"):
        parse_moment((datetime.now(UTC) + HOUR).isoformat())


@pytest.mark.parametrize("url", ["folder", "bucket"])
def test_a_store_as_of_a_time_has_the_rows_made_by_then(
    url: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gather, "MOST_SINGLE_PARTS", 2)
    url = request.getfixturevalue("bucket").url if url == "bucket" else str(tmp_path / "store")
    store = Store.open(url, create=True)
    expected = {}
    for hour in range(5):
        at = AT + hour * HOUR
        rows = [model(f"m{hour}", at=at), stitch(f"m{hour}", "m0", at=at), stitch("m0", "m1", at=at, attempt=9 - hour)]
        store.commit(rows, run=f"r{hour}", worker="w")
        expected[at] = all_views(store)
    compact(store)
    store.commit([model("late", at=AT + 9 * HOUR)], run="late", worker="w")
    for at, rows in expected.items():
        assert all_views(store.as_of(at.isoformat())) == rows
        assert all_views(store.as_of((at + HOUR / 2).isoformat())) == rows
    digest = store.as_of((AT + HOUR).isoformat()).keep_version()
    assert all_views(store.as_of(digest)) == expected[AT + HOUR]
    with pytest.raises(StoreError, match=r"no results as of 2026-01-02 03:04:05 UTC; its first .* 2026-01-02 03:04:05"):
        store.as_of((AT - timedelta(microseconds=1)).isoformat())


def test_an_empty_store_has_nothing_as_of_any_time(store: Store):
    with pytest.raises(StoreError, match="it has none yet"):
        store.as_of("2026-01-02")
