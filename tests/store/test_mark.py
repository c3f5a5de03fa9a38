"""The mark of a store: a damaged one is refused and written again by the repair, a later format is not."""

import json
import random
from pathlib import Path

import pytest
from support.damage import flipped
from support.store_rows import stitch

from sweeper import distribution
from sweeper.errors import StoreError
from sweeper.spec.records import ident
from sweeper.store.mark import repair_mark
from sweeper.store.parts.objects import Folder
from sweeper.store.store import Store


@pytest.fixture
def mark(store: Store) -> Path:
    """Return the mark of a store with a part."""
    store.commit([stitch("m1", "m2")], run="r", worker="w")
    return Path(store.url, "sweeper.json")


@pytest.mark.parametrize("count", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_any_flipped_bit_of_a_mark_is_named_and_repaired_or_harmless(mark: Path, count: int):
    content, objects = mark.read_bytes(), Folder(mark.parent)
    refused = 0
    for bit in random.Random(0).sample(range(8 * len(content)), count):
        mark.write_bytes(flipped(content, bit))
        message = problem(objects.url)
        refused += bool(message)
        assert not message or "sweeper.json can't be read: " in message
        assert repair_mark(objects) == bool(message)
        assert problem(objects.url) == ""
    assert refused > 0.9 * count
    assert (mark.parent / "damaged" / "sweeper.json").exists()


def problem(url: str) -> str:
    """Return why a store can't be opened; "" if it can."""
    try:
        Store.open(url)
    except StoreError as error:
        return str(error)
    return ""


def test_a_missing_mark_is_written_again_where_parts_are(mark: Path):
    mark.unlink()
    assert repair_mark(Folder(mark.parent))
    assert Store.open(str(mark.parent)).done() == {"m1>m2@block1"}


def test_a_place_without_parts_gets_no_mark(tmp_path: Path):
    (tmp_path / "sweeper.json").write_text("{")
    assert not repair_mark(Folder(tmp_path))
    assert (tmp_path / "sweeper.json").read_text() == "{"
    assert not repair_mark(Folder(tmp_path / "nowhere"))


def test_a_mark_of_a_later_format_is_not_repaired(mark: Path):
    mark.write_text(json.dumps({"format": 9}))
    assert not repair_mark(Folder(mark.parent))
    with pytest.raises(StoreError, match=r"format 9, but this version .* up to 1; install a later version of Sweeper"):
        Store.open(str(mark.parent))


def test_a_later_format_is_refused_with_the_version_that_it_needs(mark: Path):
    content = json.loads(mark.read_text())
    assert content["sweeper"] == distribution.version()
    del content["digest"]
    later = {**content, "format": 9, "sweeper": "9.1.0"}
    mark.write_text(json.dumps({**later, "digest": ident.digest(json.dumps(later, sort_keys=True).encode())}))
    needed = r"install Sweeper 9\.1\.0 or later: pip install 'sweeper-stitching>=9\.1\.0'"
    with pytest.raises(StoreError, match=rf"store format 9, .* up to 1; {needed}"):
        Store.open(str(mark.parent))


def test_a_mark_of_the_first_version_names_no_version_and_opens(mark: Path):
    mark.write_text('{"format": 1, "made": "2026-01-02T03:04:05+00:00"}')
    assert Store.open(str(mark.parent)).done() == {"m1>m2@block1"}
