"""The short form of tables."""

from dataclasses import replace

import pytest
from support.planted_store import MEAN, Planted, analysis_table

from sweeper.report.short import MOST_ROWS, MOST_ROWS_ALONE, short_form
from sweeper.report.tables import tables
from sweeper.report.terminal import short_tables_as_text


def cells(table, most: int) -> list[tuple[str, ...]]:
    """Return the rows that the short form shows."""
    return [row for section in short_form(table, most).grid.sections for row in section.rows]


def test_all_tables_fit_on_two_screens_of_100_columns(demo):
    text = short_tables_as_text(tables(demo), 200)
    assert len(text.splitlines()) <= 100
    assert max(map(len, text.splitlines())) <= 100
    assert "Read it as" not in text


def test_a_single_table_fits_on_one_screen(demo_tables):
    for table in demo_tables.values():
        assert len(short_tables_as_text([table], 120).splitlines()) <= 50


@pytest.mark.parametrize("most", [1, 3, MOST_ROWS, 12, MOST_ROWS_ALONE, 1000])
def test_rows_are_shown_or_counted(demo_tables, most):
    for table in demo_tables.values():
        short = short_form(table, most)
        shown = sum(len(section.rows) for section in short.grid.sections)
        assert shown <= most
        assert shown + short.hidden == table.rows.num_rows


def test_cuts_stand_beneath_their_headline_or_are_left_out(planted: Planted):
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: 6.0, control=0.0, cuts=["block6", "block7"])
    planted.stitches(weak, weak, lambda depth: 0.0, cuts=["block6", "block7"])
    table = analysis_table(planted.commit(), "more_data")
    assert [row[0] for row in cells(table, 6)] == [MEAN, "block6", "block7"] * 2
    assert [row[0] for row in cells(table, 5)] == [MEAN, "block6", "block7", MEAN]
    assert [row[0] for row in cells(table, 3)] == ["A samples 1200 → B samples 100", "A samples 100 → B samples 100"]
    assert [row[-1] for row in cells(table, 3)] == ["better", "control"]
    assert cells(table, 1) == []


def test_decisions_with_caveats_are_marked(planted: Planted):
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: 6.0, control=0.0, drift=1.5)
    planted.stitches(weak, weak, lambda depth: 0.0, drift=1.5)
    table = analysis_table(planted.commit(), "more_data")
    assert [row[-1] for row in cells(table, 2)] == ["better *", "control"]
    assert "caveats of verdicts with *: sweeper tables more_data --full" in short_tables_as_text([table], 100)


def test_a_wide_comparison_is_folded(demo_tables):
    table = demo_tables["more_data"]
    samples = table.rows.column_names.index("a_samples")
    long = [f"{value} {'images ' * 20}" for value in table.rows["a_samples"].to_pylist()]
    wide = replace(table, rows=table.rows.set_column(samples, "a_samples", [long]))
    assert max(map(len, short_tables_as_text([wide, wide], 100).splitlines())) <= 100


def test_remarks_on_the_store_are_given_once(demo_tables):
    some = [replace(table, remarks=("3 task(s) failed.",)) for table in demo_tables.values()]
    assert short_tables_as_text(some, 100).count("Note: 3 task(s) failed.") == 1


def test_several_tables_without_rows_share_a_line(empty):
    some = [replace(table, remarks=()) for table in tables(empty, ["zoo", "more_data", "failed"])]
    assert short_tables_as_text(some, 100) == "No rows yet: zoo, more_data\n"


def test_the_command_for_more_rows_is_not_divided(demo_tables):
    table = demo_tables["penalty_by_cut"]
    short = replace(table, remarks=(), question=replace(table.question, in_all="{rows} rows", shown=()))
    command = "100 rows: sweeper tables penalty_by_cut --full"
    room = len("100 rows. ") + len(command)
    assert short_tables_as_text([short], room).splitlines()[-2:] == [f"100 rows. {command}", ""]
    assert short_tables_as_text([short], room - 1).splitlines()[-3:] == ["100 rows.", f"  {command}", ""]


def test_a_table_without_rows_is_one_line(empty):
    (table,) = tables(empty, ["zoo"])
    text = short_tables_as_text([replace(table, remarks=())], 100)
    assert text.startswith("zoo: no rows yet. ")
    assert text.count("\n") == 1
