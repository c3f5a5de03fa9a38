"""The matrix of cuts of A and B: numbers and signs of the table, its order, and the best cuts."""

import itertools

import pytest
from support.planted_store import CUTS

from sweeper.report.charts.fitting_cuts import charts_of_fit
from sweeper.report.tables import Table, tables

NAMES = ["block2", "block6", "pool"]  # by depth


@pytest.fixture
def crossed(planted) -> Table:
    """Return a table with each pair of three cuts, which fit the better the nearer they are."""
    depths = {name: depth for name, _, depth in CUTS}
    weak, strong = planted.models(2), planted.models(2, seed=10, samples=1200)
    for number, (a, b) in enumerate(itertools.product(strong, weak)):
        for cut_a, cut_b in itertools.product(reversed(NAMES), NAMES):
            gain = 2.0 - 40 * abs(depths[cut_a] - depths[cut_b]) + 0.1 * number
            planted.stitch(a, b, cut_b, gain, cut_a=cut_a)
    planted.stitches(strong, weak, lambda depth: 1.0, cuts=["pool"], stitcher="conv")  # has no pair of different cuts
    (table,) = tables(planted.commit(), ["penalty_by_cut"])
    return table


def test_each_pair_of_cuts_is_a_cell_with_the_tables_number_sign_and_interval(crossed):
    (chart,) = charts_of_fit(crossed)
    cells = {(d["cut_a"], d["cut_b"]): d for d in chart.content["data"]["values"]}
    assert set(cells) == set(itertools.product(NAMES, NAMES))
    rows = {row["cut"]: row for row in crossed.rows.to_pylist() if row["stitcher"] == "conv1x1"}
    for (cut_a, cut_b), cell in cells.items():
        row = rows[cut_a if cut_a == cut_b else f"{cut_a} → {cut_b}"]
        assert (cell["mean"], cell["low"], cell["high"]) == (row["penalty"], row["penalty_low"], row["penalty_high"])
        assert cell["better"] == -cell["mean"]
        assert cell["text"] == f"{row['penalty']:+.1f}"
        assert cell["half"] == f"±{(row['penalty_high'] - row['penalty_low']) / 2:.1f}"
    assert cells["block6", "pool"]["pair"] == "A up to block6, B after pool"
    assert cells["block6", "pool"]["value"].startswith("penalty +")


def test_rows_and_columns_are_in_the_order_of_depth_and_the_best_of_a_column_is_framed(crossed):
    (chart,) = charts_of_fit(crossed)
    encoding = chart.content["encoding"]
    assert (encoding["x"]["title"], encoding["y"]["title"]) == ("cut of B", "cut of A")
    assert (encoding["x"]["sort"], encoding["y"]["sort"]) == (NAMES, NAMES)
    best = {(d["cut_a"], d["cut_b"]) for d in chart.content["data"]["values"] if d["best"]}
    assert best == {(name, name) for name in NAMES}


def test_columns_of_both_cuts_are_read_whatever_the_table_is_called(crossed, planted, tmp_path):
    (tmp_path / "pairs.sql").write_text(
        "-- question: Which cuts fit?\n-- one row per: pair of cuts\n-- read it as: a gain\n"
        "SELECT cut_a, cut_b, depth_a, depth_b, count(*) AS pairs, avg(gain) AS gain, min(gain) AS gain_low, "
        "max(gain) AS gain_high FROM stitches WHERE stitcher = 'conv1x1' GROUP BY ALL ORDER BY ALL\n"
    )
    (table,) = tables(planted.store, ["pairs"], [tmp_path])
    (chart,) = charts_of_fit(table)
    data = chart.content["data"]["values"]
    assert len(data) == 9
    assert all(datum["better"] == datum["mean"] for datum in data)
    assert chart.description.startswith("Gain of each pair of cuts")


def test_tables_without_pairs_of_different_cuts_have_no_matrix(demo_tables):
    assert [name for name, table in demo_tables.items() if charts_of_fit(table)] == []
