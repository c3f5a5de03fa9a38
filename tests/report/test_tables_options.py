"""Options of tables: parameters, folders with more analysis files, the tasks of a job; and the remarks."""

from pathlib import Path

import pytest
from support.planted_store import MEAN, PlantedOutcomes, analysis_table, late_only, rows_of

from sweeper.errors import QueryError, UsageError
from sweeper.report.tables import NESTED, tables
from sweeper.store.query import limits


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"images": "sample"}, "not one of: sampled, fixed"),
        ({"images": 1}, "not one of"),
        ({"margin": "one"}, "not a number"),
    ],
)
def test_an_invalid_parameter_is_refused(empty, parameters, message):
    with pytest.raises(UsageError, match=message):
        analysis_table(empty, "more_data", parameters=parameters)


def test_a_sql_file_in_an_analysis_folder_is_a_table(demo, tmp_path):
    (tmp_path / "seeds.sql").write_text(
        "-- question: How many seeds are there?\n-- one row per: width\n-- read it as: a count\n"
        "SELECT width, count(DISTINCT seed) AS seeds FROM models GROUP BY ALL ORDER BY ALL\n"
    )
    (table,) = tables(demo, ["seeds"], [tmp_path])
    assert table.rows.to_pylist() == [{"width": 8, "seeds": 5}, {"width": 16, "seeds": 20}]
    assert tables(demo, analysis=[tmp_path])[-1].name == "seeds"


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT nothing FROM models", QueryError),
        ("COPY models TO 'out.csv'", QueryError),
        ("CREATE TABLE t AS SELECT 1", QueryError),
        ("SELECT 1; SELECT 2", QueryError),
    ],
)
def test_sql_that_is_not_one_select_is_refused(demo, tmp_path, monkeypatch, sql, error):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.sql"
    path.write_text(f"-- question: ?\n-- one row per: x\n-- read it as: y\n{sql}\n")
    with pytest.raises(error, match=r"bad\.sql"):
        tables(demo, ["bad"], [tmp_path])
    assert not Path("out.csv").exists()


def test_a_column_named_in_the_header_must_be_there(demo, tmp_path):
    path = tmp_path / "bad.sql"
    path.write_text("-- question: ?\n-- one row per: x\n-- read it as: y\n-- settings: z\nSELECT 1 AS x\n")
    with pytest.raises(UsageError, match="a column 'z'"):
        tables(demo, ["bad"], [tmp_path])


def test_an_unknown_table_gets_a_suggestion(empty):
    with pytest.raises(UsageError, match="did you mean 'more_data'"):
        tables(empty, ["moredata"])


def test_only_restricts_tables_to_the_tasks_of_a_job(planted):
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    planted.stitches(strong, weak, late_only)
    store = planted.commit()
    assert analysis_table(store, "zoo", only=[row.task for row in weak]).rows["seeds"].to_pylist() == [3]
    assert analysis_table(store, "more_data", only=[row.task for row in weak]).rows.num_rows == 0


def test_a_remark_counts_stitches_of_earlier_weights(planted):
    weak, strong = planted.models(2), planted.models(2, seed=10, samples=1200)
    planted.stitches(strong, weak, late_only, cuts=["pool"])
    planted.stitch(strong[0], weak[0], "block1", 0.0, a_weights="e" * 64)
    (table,) = tables(planted.commit(), ["more_data"])
    assert table.remarks[1:] == ("1 stitch(es) used earlier weights of a model that was trained again since.",)


def test_a_remark_counts_damaged_parts(planted):
    planted.models(2)
    store = planted.commit()
    (part,) = (Path(store.url) / "rows" / "models").glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    (table,) = tables(store, ["zoo"])
    assert table.rows.num_rows == 0
    assert table.remarks[1:] == ("1 damaged part(s) of the store are left out of all numbers here.",)


def test_an_out_of_memory_error_suggests_fixed_images(planted, monkeypatch):
    """Let DuckDB itself run out of memory, on a store whose bitmaps don't fit."""
    outcomes = PlantedOutcomes(planted, images=16_000_000)
    weak, strong = outcomes.models(3, 0.5), outcomes.models(3, 1.2, samples=1200)
    outcomes.stitches(strong, weak, "block7", 1.0)
    store = planted.commit()
    monkeypatch.setenv(limits.MEMORY, "45MB")
    with pytest.raises(QueryError, match="--set images=fixed"):
        analysis_table(store, "more_data")
    assert rows_of(analysis_table(store, "more_data", parameters={"images": "fixed"}), cut=MEAN)[0]["pairs"] == 9


def test_nested_subsets_are_noted_in_tables_with_intervals(planted):
    for nested in (False, True):
        weak, strong = (planted.models(3, samples=samples, nested=nested) for samples in (100, 1200))
        planted.stitches(strong, weak, late_only, random_seed=int(nested))
        store = planted.commit()
        for name in ("more_data", "penalty_by_cut"):
            assert (NESTED in analysis_table(store, name).notes) == nested
    assert NESTED not in analysis_table(store, "zoo").notes
