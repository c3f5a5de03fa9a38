"""The temporary files of queries: DuckDB uses them, no query reads or writes them, and none is left."""

import io
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.store_rows import stitch

from sweeper.errors import QueryError, StoreError
from sweeper.store.query import limits, scratch_files
from sweeper.store.query.query import run_query
from sweeper.store.query.scratch_files import URL, ScratchFiles
from sweeper.store.store import Store

NAME = f"{URL}/duckdb_temp_1_0_storage_DEFAULT-0.tmp"
BLOCK = f"{URL}/duckdb_temp_1_0_block-4611686018427388194.block"
LARGE = "SELECT count(*) AS n FROM (SELECT DISTINCT md5(range::VARCHAR) FROM range(2000000))"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set the folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def filled(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Fill a store with a stitch, and limit the memory of queries."""
    store.commit([stitch("m1", "m2")], run="r", worker="w")
    monkeypatch.setenv(limits.MEMORY, "80MB")
    return store


def scratch_folders(folder: Path) -> list[Path]:
    """Return the folders of temporary files."""
    return list(folder.glob("sweeper-query-*"))


def test_a_large_query_uses_files_and_leaves_none(filled: Store, folder: Path):
    with filled.connect() as con:
        assert scratch_folders(folder) == []
        assert run_query(con, LARGE).to_pylist() == [{"n": 2_000_000}]
        (scratch,) = scratch_folders(folder)
    del con
    scratch_files.delete_all()
    assert not scratch.exists()


@pytest.mark.parametrize(
    "query",
    [
        f"FROM read_blob('{NAME}')",
        f"FROM read_blob('{BLOCK}')",
        f"FROM read_blob('{URL}/*')",
        f"FROM glob('{URL}/**')",
        f"FROM read_csv('{URL}/a.csv')",
        f"COPY (SELECT 1) TO '{NAME}'",
        f"COPY (SELECT 1) TO '{BLOCK}'",
        f"COPY (SELECT 1) TO '{URL}/a.csv'",
        f"ATTACH '{URL}/a.duckdb'",
        f"ATTACH '{NAME}' AS other",
        f"EXPORT DATABASE '{URL}'",
        "FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/a.csv'",
    ],
)
def test_no_query_reads_or_writes_a_file(filled: Store, folder: Path, query: str):
    with filled.connect() as con:
        run_query(con, LARGE)
        (scratch,) = scratch_folders(folder)
        before = {file: file.stat().st_size for file in scratch.iterdir()}
        try:
            result = run_query(con, query).to_pylist()
        except (QueryError, StoreError):
            result = []
        assert result == []
        assert {file: file.stat().st_size for file in scratch.iterdir()} == before


def test_a_single_block_is_written_and_read_back_but_not_shown(folder: Path):
    files = ScratchFiles()
    with files.open(BLOCK, "wb") as file:
        file.write(b"block")
    with files.open(BLOCK, "rb") as file:
        assert file.read() == b"block"
    assert not files.exists(BLOCK)
    assert files.glob(BLOCK) == []
    files.rm(BLOCK)
    with pytest.raises(FileNotFoundError):
        files.open(BLOCK, "rb")


@pytest.mark.parametrize(
    ("path", "mode"), [(NAME, "rb"), (NAME, "wb"), (BLOCK, "rb+"), (f"{URL}/a.csv", "wb"), (BLOCK, "ab")]
)
def test_a_file_is_opened_only_as_the_buffer_manager_does(folder: Path, path: str, mode: str):
    with pytest.raises(PermissionError, match="queries only read the store"):
        ScratchFiles().open(path, mode)


def test_a_file_is_written_and_read_at_any_position_by_many_threads(folder: Path):
    files = ScratchFiles()
    file, wrong = files.open(NAME, "rb+"), []

    def use(number: int) -> None:
        content = bytes([number]) * 1000
        for place in range(50):
            file.seek(1000 * (4 * place + number))
            file.write(content)
            file.seek(1000 * (4 * place + number))
            if file.read(1000) != content:
                wrong.append(place)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert wrong == []
    assert file.seek(0, io.SEEK_END) == 200_000
    file.truncate(500)
    file.seek(0)
    assert file.read() == bytes(500)
    assert files.isfile(NAME)
    files.rm(NAME)
    assert not files.exists(NAME)
    scratch_files.delete_all()
    assert scratch_folders(folder) == []
