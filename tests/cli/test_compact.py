"""Tests of `sweeper compact`: what it prints and changes."""

import json

from support.compaction import all_views, fill_store, part_paths

from sweeper.store.store import Store


def test_a_store_becomes_compact_and_shows_the_same(sweeper, tmp_path):
    store = Store.open(str(tmp_path / "runs" / "one"), create=True)
    fill_store(store)
    expected = all_views(store)
    result = sweeper("compact", "--dry-run")
    assert result.stdout.splitlines()[0] == f"{store.url}: nothing was changed (--dry-run)"
    assert [line.split(",")[0] for line in result.stdout.splitlines()[1:]] == [
        f"  {kind}: 6 parts" for kind in ("models", "stitches", "curves")
    ]
    assert len(part_paths(store)) == 21
    result = sweeper("compact", store.url, "--grace", "0")
    assert (result.returncode, result.stdout) == (0, f"{store.url}: 6 parts, 21 before\n")
    assert all_views(Store.open(store.url)) == expected
    assert sweeper("compact", "--dry-run").stdout == f"{store.url}: nothing to compact\n"
    assert sweeper("compact").stdout == f"{store.url}: 6 parts\n"
    assert json.loads(sweeper("verify", "--json").stdout)["damaged"] == []


def test_replaced_parts_leave_after_the_grace_period(sweeper, tmp_path):
    store = Store.open(str(tmp_path / "runs" / "one"), create=True)
    fill_store(store)
    assert sweeper("compact", "--grace", "2").stdout == f"{store.url}: 6 parts, 21 before\n"


def test_a_store_that_another_process_drives_is_left_alone(sweeper, tmp_path):
    store = Store.open(str(tmp_path / "runs" / "one"), create=True)
    fill_store(store)
    with store.lease():
        result = sweeper("compact")
    assert result.returncode == 4
    assert "is in use by process" in result.stderr
    assert len(part_paths(store)) == 21
