"""Charts against similarities: the numbers and signs of the table, and intervals both ways."""

import pytest

from sweeper.report.charts.by_similarity import charts_by_similarity
from sweeper.report.charts.choose import charts
from sweeper.report.tables import tables


def values(chart, quantity: str) -> list[dict]:
    return [datum for datum in chart.content["data"]["values"] if datum["quantity"] == quantity]


@pytest.mark.parametrize("quantity", ["net penalty", "penalty"])
def test_each_row_is_a_point_with_the_tables_numbers_and_intervals(demo_tables, quantity):
    table = demo_tables["stitching_and_cka"]
    (chart,) = charts_by_similarity(table)
    column = quantity.replace(" ", "_")
    rows = table.rows.to_pylist()
    data = values(chart, quantity)
    assert len(data) == len(rows) == 20
    for datum, row in zip(data, rows, strict=True):
        assert datum["cut"].startswith(f"{row['cut']}, depth ")
        assert (datum["similarity"], datum["mean"]) == (row["similarity"], row[column])
        assert (datum["similarity_low"], datum["similarity_high"]) == (row["similarity_low"], row["similarity_high"])
        assert (datum["low"], datum["high"]) == (row[f"{column}_low"], row[f"{column}_high"])
        assert datum["similarity_low"] < datum["similarity"] < datum["similarity_high"]
        assert datum["low"] < datum["mean"] < datum["high"]


def test_a_reader_sees_everything_over_a_point_and_lines_are_told_by_the_measure(demo_tables):
    (chart,) = charts_by_similarity(demo_tables["stitching_and_cka"])
    data = values(chart, "net penalty")
    assert {datum["line"] for datum in data} == {
        "measure linear_cka debiased:false",
        "measure linear_cka debiased:true",
    }
    pool = next(datum for datum in data if datum["cut"].startswith("pool"))
    assert pool["value"].startswith("net penalty -9.1 [-10.4, ")
    assert pool["alike"].startswith("similarity 0.4")
    assert pool["n"] == "25 pairs"
    assert "samples 1200" in pool["settings"]
    assert chart.description.startswith("Net penalty against the similarity of the same activations")


def test_it_takes_the_place_of_the_chart_by_depth_in_which_measures_would_lie_on_each_other(demo_tables):
    (chart,) = charts(demo_tables["stitching_and_cka"])
    (layers,) = [chart.content["layer"]]
    assert any(layer["encoding"].get("x", {}).get("field") == "similarity" for layer in layers)


def test_rows_without_interval_are_points_without_bars(planted):
    (a,), (b,) = planted.models(1, samples=1200), planted.models(1)
    planted.stitches([a], [b], lambda depth: 1.0, cuts=["pool"])
    planted.similarity(a, b, "pool", 0.5)
    (table,) = tables(planted.commit(), ["stitching_and_cka"])
    (chart,) = charts_by_similarity(table)
    (datum,) = values(chart, "penalty")
    assert datum["similarity_low"] == datum["similarity"] == datum["similarity_high"] == 0.5
    assert datum["low"] == datum["mean"] == datum["high"]


def test_tables_without_similarities_have_no_such_chart(demo_tables, empty):
    assert charts_by_similarity(demo_tables["more_data"]) == []
    (table,) = tables(empty, ["stitching_and_cka"])
    assert charts_by_similarity(table) == []
