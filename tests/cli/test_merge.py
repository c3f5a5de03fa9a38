"""Tests of `sweeper merge`: what it prints and its exit codes."""

import json
from pathlib import Path

from support.damage import flipped
from support.store_rows import stitch

from sweeper.store.store import Store


def test_a_merge_says_what_it_added(sweeper, complete_store, tmp_path):
    other = Store.open(str(tmp_path / "other"), create=True)
    other.commit([stitch("m1", "m2")], run="r", worker="w")
    result = sweeper("merge", complete_store.url, other.url)
    assert result.returncode == 0
    assert result.stdout.startswith("added 1 parts and 0 files of weights, ")
    assert "1 tasks are done there that were not before" in result.stdout
    assert json.loads(sweeper("merge", complete_store.url, other.url, "--json").stdout)["tasks"] == 0


def test_damaged_files_are_named_and_give_exit_code_1(sweeper, complete_store, tmp_path):
    other = Store.open(str(tmp_path / "other"), create=True)
    (path,) = other.commit([stitch("m1", "m2")], run="r", worker="w")
    file = Path(other.url, path)
    file.write_bytes(flipped(file.read_bytes(), 300))
    result = sweeper("merge", complete_store.url, other.url)
    assert result.returncode == 1
    assert f"{path}: its content has another digest than its name" in result.stdout


def test_two_stores_are_needed(sweeper, complete_store):
    same = sweeper("merge", complete_store.url, complete_store.url)
    assert (same.returncode, same.stdout) == (2, "")
    assert "can't be merged into itself" in same.stderr
    assert sweeper("merge", complete_store.url, "nowhere").returncode == 2
