"""The limit of a connection's memory."""

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


def test_a_query_cannot_change_the_limit(filled: Store):
    with pytest.raises(QueryError):
        filled.sql("SET memory_limit = '1TB'")
