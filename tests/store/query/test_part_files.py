"""The file system of parts: it serves only verified parts, verifies what it reads, and never writes."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest
from support.store_rows import stitch

from sweeper.errors import PartChangedError, QueryError, StoreError
from sweeper.store.parts.pieces import BLOCK, piece_table
from sweeper.store.parts.store_paths import PartName
from sweeper.store.parts.verify import VerifiedPart
from sweeper.store.query.part_files import PartFiles, ServedParts
from sweeper.store.query.verified_file import store_error_in
from sweeper.store.store import Store


@pytest.fixture
def part(tmp_path: Path) -> VerifiedPart:
    """Make a file of several blocks, the last of which is not full."""
    file = tmp_path / "part"
    content = random.Random(0).randbytes(5 * BLOCK + 100)
    file.write_bytes(content)
    return VerifiedPart(PartName("rows/a.parquet", "stitches", len(content), ""), file, piece_table(content), ())


def test_any_range_is_read_as_it_is(part: VerifiedPart):
    file, content = PartFiles(ServedParts([part])).open("part://rows/a.parquet"), part.file.read_bytes()
    rng = random.Random(1)
    for _ in range(200):
        start, size = rng.randrange(len(content) + 10), rng.choice([0, 1, 10, BLOCK, 3 * BLOCK, -1])
        assert file.seek(start) == start
        expected = content[start:] if size < 0 else content[start : start + size]
        assert file.read(size) == expected
        assert file.tell() == start + len(expected)
    file.seek(-8, 2)
    assert file.read() == content[-8:]


def test_a_read_fails_if_and_only_if_it_covers_a_block_that_has_changed(part: VerifiedPart):
    content = bytearray(part.file.read_bytes())
    content[3 * BLOCK] ^= 1
    part.file.write_bytes(content)
    file = PartFiles(ServedParts([part])).open("rows/a.parquet")
    assert file.read(3 * BLOCK) == content[: 3 * BLOCK]
    file.seek(4 * BLOCK)
    assert file.read() == content[4 * BLOCK :]
    for start in (3 * BLOCK - 1, 3 * BLOCK, 4 * BLOCK - 1):
        file.seek(start)
        with pytest.raises(OSError, match="its content has changed"):
            file.read(2)


def test_a_file_that_became_shorter_is_damaged(part: VerifiedPart):
    file = PartFiles(ServedParts([part])).open("rows/a.parquet")
    part.file.write_bytes(part.file.read_bytes()[:-1])
    file.seek(5 * BLOCK)
    with pytest.raises(OSError, match="its content has changed"):
        file.read(1)


def test_threads_that_share_a_file_do_not_disturb_each_other(part: VerifiedPart):
    file, content, wrong = PartFiles(ServedParts([part])).open("rows/a.parquet"), part.file.read_bytes(), []

    def read(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(300):
            start = rng.randrange(len(content))
            file.seek(start)
            if file.read(50) != content[start : start + 50]:
                wrong.append(start)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(4)))
    assert wrong == []


def test_other_files_and_writing_are_refused(part: VerifiedPart, tmp_path: Path):
    files = PartFiles(ServedParts([part]))
    assert files.exists("part://rows/a.parquet")
    assert not files.exists(str(part.file))
    assert files.glob("part://rows/*") == []
    with pytest.raises(FileNotFoundError):
        files.open(str(part.file))
    with pytest.raises(PermissionError, match="queries only read"):
        files.open("rows/a.parquet", "wb")


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO 'part://{path}'",
        "COPY (SELECT 1) TO 'part://rows/stitches/new.parquet'",
        "FROM read_text('part://rows/other.parquet')",
        "FROM glob('part://**')",
        "FROM read_parquet('part://rows/stitches/*.parquet')",
    ],
)
def test_a_query_can_neither_write_a_part_nor_find_other_files(store: Store, query: str):
    (path,) = store.commit([stitch("m1", "m2")], run="r", worker="w")
    content = (Path(store.url) / path).read_bytes()
    try:
        result = store.sql(query.format(path=path)).to_pylist()
    except (QueryError, StoreError):
        result = []
    assert result == []
    assert (Path(store.url) / path).read_bytes() == content
    assert len(list((Path(store.url) / "rows" / "stitches").iterdir())) == 1


@pytest.mark.parametrize("query", ["SELECT Arrow FROM stitches", "SELECT error('Arrow stream registered as [0123]')"])
def test_a_mistake_in_a_query_is_no_damage_whatever_its_text(store: Store, query: str):
    store.commit([stitch("m1", "m2")], run="r", worker="w")
    with pytest.raises(QueryError):
        store.sql(query)


def test_a_part_that_is_moved_away_after_the_check_is_named(store: Store):
    (path,) = store.commit([stitch("m1", "m2")], run="r", worker="w")
    with store.connect() as con:
        (Path(store.url) / path).unlink()
        with pytest.raises(duckdb.Error) as caught:
            con.sql("SELECT gain FROM stitches").fetchall()
    error = store_error_in(caught.value)
    assert isinstance(error, PartChangedError)
    assert f"{path}: No such file or directory" in str(error)
