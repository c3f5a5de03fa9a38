"""The SQL files of the package and of the analyses parse, and DuckDB can plan each on a store."""

from pathlib import Path

import pytest
import sqlglot

from sweeper.report import question
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.records.rows import RECEIPTS
from sweeper.store.query import views
from sweeper.store.store import Store

ROOT = Path(__file__).parents[2]
PACKAGE_FILES = sorted((ROOT / "sweeper").rglob("*.sql"))
ANALYSIS_FILES = sorted((ROOT / "analysis").rglob("*.sql"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [*PACKAGE_FILES, *ANALYSIS_FILES], ids=_name)
def test_a_file_holds_one_statement(path: Path):
    statements = sqlglot.parse(path.read_text(), dialect="duckdb", error_level=sqlglot.ErrorLevel.RAISE)
    assert len(statements) == 1
    assert path.read_text().startswith("-- "), "a file begins with a comment that explains it"


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=_name)
def test_every_file_of_the_package_is_created_on_a_connection(store: Store, path: Path):
    with store.connect() as connection:
        relations = "SELECT table_name FROM information_schema.tables"
        functions = "SELECT function_name FROM duckdb_functions() WHERE function_type IN ('macro', 'table_macro')"
        names = {name for (name,) in connection.sql(f"{relations} UNION {functions}").fetchall()}
    assert path.stem in names


@pytest.mark.parametrize("view", views.VIEWS, ids=lambda view: view.name)
def test_a_view_can_be_planned(store: Store, view: views.View):
    with store.connect() as connection:
        assert connection.sql(f"EXPLAIN FROM {view.name}").fetchall()
        text = next(path for path in PACKAGE_FILES if path.stem == view.name).read_text()
        assert connection.sql(f"EXPLAIN {text}").fetchall(), "the file itself can be pasted"


@pytest.mark.parametrize("path", ANALYSIS_FILES, ids=_name)
def test_an_analysis_can_be_planned(store: Store, path: Path):
    analysis = question.read(path)
    with store.connect() as connection:
        rows = connection.execute(f"EXPLAIN {analysis.sql}", analysis.arguments() or None).fetchall()
    assert rows


def test_old_names_and_their_replacements_are_equal(store: Store):
    for view in (*RECEIPTS, "curves", "attempts", "failures"):
        assert store.sql(f'SELECT "at", finished_at FROM {view}').num_columns == 2
    assert store.sql('SELECT "of", kind FROM failures').num_columns == 2


def test_calibrated_is_defined_for_the_measures_that_are_1_for_equal_representations():
    (case,) = sqlglot.parse_one(
        (ROOT / "sweeper/store/query/sql/similarities.sql").read_text(), dialect="duckdb"
    ).find_all(sqlglot.exp.In)
    names = {literal.name for literal in case.expressions}
    assert names == {card.name for card in MEASURES.values() if card.range[1] == 1}
