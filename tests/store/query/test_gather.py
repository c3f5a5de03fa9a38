"""Many small parts as one file: the same answers, whatever becomes of the file or of the parts."""

import shutil
from pathlib import Path

import pytest
from support.store_rows import model, stitch

from sweeper.spec.records.rows import RECEIPTS
from sweeper.store.parts.verify import VerifiedPart
from sweeper.store.query import gather
from sweeper.store.store import Store

EVERYTHING = "SELECT * FROM stitches ORDER BY task"


@pytest.fixture
def many(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store of twelve parts of stitches, some with tasks of others, of which more than four are many."""
    monkeypatch.setattr(gather, "MANY", 4)
    for i in range(12):
        repeated = stitch("m0", "m0", run=f"r{i:02}", gain=float(i))
        store.commit([stitch(f"m{i}", "m1", run=f"r{i:02}"), repeated], run=f"r{i:02}", worker="w")
    return store


def scanned(store: Store) -> list[VerifiedPart]:
    return store._checked().good


def files(store: Store) -> list[Path]:
    return sorted((Path(store.url) / "rows" / "stitches").iterdir())


def test_the_answers_are_the_same(many: Store, monkeypatch: pytest.MonkeyPatch):
    (gathered,) = scanned(many)
    assert gathered.gathered
    together = many.sql(EVERYTHING).to_pylist(), many.done(), many.sql("SELECT * FROM attempts ORDER BY ALL")
    monkeypatch.setattr(gather, "MANY", 100)
    assert len(scanned(many)) == 12
    assert (many.sql(EVERYTHING).to_pylist(), many.done(), many.sql("SELECT * FROM attempts ORDER BY ALL")) == together
    assert {row["gain"] for row in together[0] if row["task"] == "m0>m0@block1"} == {0.0}


def test_it_is_written_once_and_new_parts_are_read_beside_it(many: Store):
    (before,) = scanned(many)
    assert scanned(Store.open(many.url)) == [before]
    many.commit([stitch("new", "m1")], run="r", worker="w")
    assert [part.gathered for part in scanned(many)] == [True, False]
    assert scanned(many)[0] == before
    assert "new>m1@block1" in many.done()


def test_many_new_parts_are_gathered_with_the_old(many: Store):
    scanned(many)
    for i in range(6):
        many.commit([stitch(f"new{i}", "m1")], run="r", worker=f"w{i}")
    (after,) = scanned(many)
    assert after.gathered
    assert len(many.done()) == 12 + 1 + 6


def test_what_it_holds_of_a_bad_or_lost_part_is_not_shown(many: Store):
    assert "m3>m1@block1" in many.done()
    lost, bad = files(many)[3:5]
    lost.unlink()
    bad.write_bytes(bad.read_bytes()[:-1])
    assert not {"m3>m1@block1", "m4>m1@block1"} & many.done()
    assert len(many.damage) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_spoilt_index_is_written_again(many: Store, cache: Path, content: bytes):
    right = many.sql(EVERYTHING)
    (index,) = cache.rglob("stitches.json")
    index.write_bytes(content)
    assert Store.open(many.url).sql(EVERYTHING) == right


def test_a_spoilt_file_is_not_believed(many: Store, cache: Path):
    right = many.sql(EVERYTHING)
    (file,) = cache.rglob("gathered/*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert many.sql(EVERYTHING) == right


def test_without_a_cache_parts_are_read_one_by_one(many: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SWEEPER_CACHE", "/proc/nowhere")
    elsewhere = Store.open(many.url)
    assert len(scanned(elsewhere)) == 12
    assert elsewhere.done() == many.done()


def test_large_parts_are_scanned_as_they_are(many: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gather, "SMALL", 10)
    assert len(scanned(many)) == 12


def test_kinds_are_gathered_by_themselves(many: Store):
    for i in range(6):
        many.commit([model(f"m{i}")], run="r", worker=f"w{i}")
    assert [part.name.kind for part in scanned(many)] == ["models", "stitches"]
    assert many.sql("SELECT count(*) AS n FROM stitches WHERE a_arch = 'x'").to_pylist() == [{"n": 7}]


def test_parts_from_before_a_column_came_are_gathered_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = str(shutil.copytree(Path(__file__).parents[2] / "fixtures" / "store-v1", tmp_path / "v1"))
    apart = {kind: Store.open(url).sql(f"SELECT * FROM {kind} ORDER BY ALL").to_pylist() for kind in RECEIPTS}
    monkeypatch.setattr(gather, "MANY", 0)
    assert all(part.gathered for part in scanned(Store.open(url)))
    together = {kind: Store.open(url).sql(f"SELECT * FROM {kind} ORDER BY ALL").to_pylist() for kind in RECEIPTS}
    assert together == apart
    assert {row["stop"] for row in together["stitches"]} == {"held_out"}
