"""The limits of a connection: its memory, and a scratch folder that no query can read."""

from pathlib import Path

import pytest
from support.store_rows import stitch

from sweeper.errors import QueryError, SetupError
from sweeper.machine import machine_memory
from sweeper.store.query import limits
from sweeper.store.store import Store


@pytest.fixture
def filled(store: Store) -> Store:
    """Fill a store with a stitch."""
    store.commit([stitch("m1", "m2")], run="r", worker="w")
    return store


def test_the_default_is_half_of_the_machines_memory(filled: Store):
    (text,) = filled.sql("SELECT current_setting('memory_limit') AS limit")["limit"].to_pylist()
    number, unit = text.split()
    size = float(number) * {"GiB": 2**30, "TiB": 2**40}[unit]
    assert size == pytest.approx(machine_memory()[1] / 2, rel=0.06)


def test_the_environment_sets_the_limit(filled: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(limits.MEMORY, "512MiB")
    assert filled.sql("SELECT current_setting('memory_limit') AS limit")["limit"].to_pylist() == ["512.0 MiB"]
    monkeypatch.setenv(limits.MEMORY, "lots")
    with pytest.raises(SetupError, match="SWEEPER_QUERY_MEMORY=lots is not a size"):
        filled.sql("SELECT 1")


def test_a_query_can_neither_read_the_scratch_folder_nor_change_the_limit(filled: Store):
    (folder,) = filled.sql("SELECT current_setting('temp_directory') AS folder")["folder"].to_pylist()
    assert Path(folder).is_dir()
    (Path(folder) / "spilled.csv").write_text("a\n1\n")
    for query in (f"FROM '{folder}/spilled.csv'", f"FROM glob('{folder}/*')", "SET memory_limit = '1TB'"):
        with pytest.raises(QueryError):
            filled.sql(query)


def test_the_scratch_folder_is_deleted_and_made_again(filled: Store):
    query = "SELECT current_setting('temp_directory') AS folder"
    (first,) = filled.sql(query)["folder"].to_pylist()
    limits.delete_scratch()
    assert not Path(first).exists()
    (second,) = filled.sql(query)["folder"].to_pylist()
    assert second != first
    assert Path(second).is_dir()
