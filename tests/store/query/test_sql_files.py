"""The SQL files of the package and of the analyses parse, and DuckDB can plan each on a store."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlglot
from support.lint_sql import problems
from support.planted_store import Planted, demo_store
from support.store_rows import AT, curve, failure, model, similarity, stitch

from sweeper.report import question
from sweeper.report.audit.select import create_macros
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.records.rows import RECEIPTS
from sweeper.store.query import views
from sweeper.store.store import Store

ROOT = Path(__file__).parents[3]
PACKAGE_FILES = sorted((ROOT / "sweeper").rglob("*.sql"))
ANALYSIS_FILES = sorted((ROOT / "analysis").rglob("*.sql"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Make a store with models, stitches and similarities."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield demo_store(Planted(Store.open(str(tmp_path_factory.mktemp("demo") / "store"), create=True)))


@pytest.mark.parametrize("path", [*PACKAGE_FILES, *ANALYSIS_FILES], ids=_name)
def test_a_file_is_one_statement_that_begins_with_a_comment(path: Path):
    assert not list(problems(path))


@pytest.mark.parametrize(
    "text", ["SELECT 1", "-- Two.\nSELECT 1; SELECT 2", "-- Wrong.\nSELECT FROM WHERE (", "-- A string.\nSELECT 'x"]
)
def test_the_check_of_sql_files_reports_mistakes(tmp_path: Path, text: str):
    path = tmp_path / "wrong.sql"
    path.write_text(text)
    assert list(problems(path))


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=_name)
def test_every_file_of_the_package_is_created_on_a_connection(small_store: Store, path: Path):
    with small_store.connect() as connection:
        create_macros(connection)
        relations = "SELECT table_name FROM information_schema.tables"
        functions = "SELECT function_name FROM duckdb_functions() WHERE function_type IN ('macro', 'table_macro')"
        names = {name for (name,) in connection.sql(f"{relations} UNION {functions}").fetchall()}
    assert path.stem in names


@pytest.mark.parametrize("view", views.VIEWS, ids=lambda view: view.name)
def test_a_view_can_be_planned(small_store: Store, view: views.View):
    with small_store.connect() as connection:
        assert connection.sql(f"EXPLAIN FROM {view.name}").fetchall()
        text = next(path for path in PACKAGE_FILES if path.stem == view.name).read_text()
        assert connection.sql(f"EXPLAIN {text}").fetchall(), "the file itself can be pasted"


@pytest.mark.parametrize("path", ANALYSIS_FILES, ids=_name)
def test_an_analysis_can_be_planned(small_store: Store, path: Path):
    analysis = question.read_question(path)
    with small_store.connect() as connection:
        rows = connection.execute(f"EXPLAIN {analysis.sql}", analysis.arguments() or None).fetchall()
    assert rows


def test_columns_with_an_older_name_have_the_same_values_under_both_names(store: Store):
    rows = [model("m1"), stitch("m1", "m2"), similarity("m1", "m2"), curve("m1", 1), failure("m3", of="models")]
    times = [AT + timedelta(minutes=i) for i in range(len(rows))]
    store.commit([replace(row, at=time) for row, time in zip(rows, times, strict=True)], run="r", worker="w")
    views_with_times = {kind: [time] for kind, time in zip((*RECEIPTS, "curves", "failures"), times, strict=True)}
    views_with_times["attempts"] = [*times[:3], times[4]]
    for view, expected in views_with_times.items():
        columns = store.sql(f'SELECT "at", finished_at FROM {view} ORDER BY "at"')
        assert columns["at"].to_pylist() == columns["finished_at"].to_pylist() == expected
    assert store.sql('SELECT "of", kind FROM failures').to_pylist() == [{"of": "models", "kind": "models"}]


def test_calibrated_is_defined_for_the_measures_that_are_1_for_equal_representations():
    (in_list,) = sqlglot.parse_one(
        (ROOT / "sweeper/store/query/sql/similarities.sql").read_text(), dialect="duckdb"
    ).find_all(sqlglot.exp.In)
    names = {literal.name for literal in in_list.expressions}
    assert names == {card.name for card in MEASURES.values() if card.range[1] == 1}


def test_a_query_can_compare_along_an_axis_with_the_table_macro(small_store: Store):
    rows = small_store.sql(
        """
        WITH networks AS (
            SELECT
                task, training, samples AS axis, {samples: samples} AS level, NULL AS course,
                {arch: arch, width: width, steps: steps} AS recipe
            FROM models
            WHERE steps > 0
        )
        SELECT a_level.samples AS a_samples, b_level.samples AS b_samples, cut, pairs, gain, verdict
        FROM compare_along_axis('networks', 1.0, 'sampled')
        WHERE place = 0
        ORDER BY ALL
        """
    ).to_pylist()
    (row,) = [row for row in rows if (row["a_samples"], row["b_samples"]) == (1200, 100)]
    assert (row["pairs"], row["verdict"]) == (25, "better")
