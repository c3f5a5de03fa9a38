"""Stores for the report's tests: an empty one, one that a test fills, and one like that of the demo."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.planted_store import Planted, demo_store

from sweeper.report import page
from sweeper.report.tables import Table, tables
from sweeper.store.store import Store


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planted:
    """Return an empty store with methods that write rows with chosen effects."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Planted(Store.open(str(tmp_path / "store"), create=True))


@pytest.fixture
def empty(planted: Planted) -> Store:
    """Return a store without rows."""
    return planted.store


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Return a store with the three axes, a random control, self-stitches and similarities, like that of the demo."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield demo_store(Planted(Store.open(str(tmp_path_factory.mktemp("demo") / "store"), create=True)))


@pytest.fixture(scope="session")
def demo_tables(demo: Store) -> dict[str, Table]:
    """Return all tables of the demo store by name."""
    return {table.name: table for table in tables(demo)}


@pytest.fixture(scope="session")
def filled_tables(demo_tables: dict[str, Table]) -> dict[str, Table]:
    """Return the tables of the demo store that have rows, by name."""
    return {name: table for name, table in demo_tables.items() if table.rows.num_rows}


@pytest.fixture(scope="session")
def page_path(demo: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of the demo store."""
    return page.write_page(demo, tables(demo), tmp_path_factory.mktemp("page") / "sub" / "report.html")
