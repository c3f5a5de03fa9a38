"""Charts by depth: what a reader can switch, read and filter, and how many lines share a chart."""

from support.planted_store import analysis_table

from sweeper.report.charts.by_depth import charts_by_depth
from sweeper.report.charts.chart import LINES


def values(chart) -> list[dict]:
    return chart.content["data"]["values"]


def switches(chart) -> dict[str, list]:
    return {param["name"]: param["bind"]["options"] for param in chart.content["params"] if "bind" in param}


def test_a_reader_sees_the_value_its_interval_and_its_counts(demo_tables):
    (chart,) = charts_by_depth(demo_tables["more_data"])
    (datum,) = [
        d for d in values(chart) if d["cut"].startswith("pool") and d["quantity"] == "net gain" and d["mean"] > 5
    ]
    assert datum["line"] == "A samples 1200 → B samples 100"
    assert datum["value"] == "net gain +9.1 [6.0, 12.1]"
    assert (datum["verdict"], datum["n"]) == ("better", "25 pairs of 5 x 5 runs")
    (start, *_) = [d for d in values(chart) if d["depth"] == 0]
    assert start["low"] == start["mean"] == start["high"] == 0


def test_the_chart_says_what_it_shows_with_the_tables_sign(demo_tables):
    texts = {name: charts_by_depth(demo_tables[name])[0].description for name in ("more_data", "connected", "controls")}
    assert texts["more_data"].startswith("Net gain by depth of the cut, compared with B stitched to itself: above 0")
    assert texts["connected"].startswith("Net penalty by depth of the cut, compared with B stitched to itself: below 0")
    assert texts["controls"].startswith("Gain by depth of the cut, compared with B alone")


def test_quantity_protocol_and_stitcher_can_be_switched_where_rows_have_several(planted):
    weak, strong = planted.models(2), planted.models(2, seed=10, samples=1200)
    for protocol in ("strict", "paper"):
        planted.stitches(strong, weak, lambda depth: 1.0, control=0.0, protocol=protocol)
    (chart,) = charts_by_depth(analysis_table(planted.commit(), "more_data"))
    assert switches(chart) == {"quantity": ["net gain", "gain"], "protocol": [None, "paper", "strict"]}
    assert {d["protocol"] for d in values(chart)} == {"strict", "paper"}


def test_more_lines_than_colours_are_drawn_in_several_charts(planted):
    weak = planted.models(1)
    for level in range(LINES + 1):
        planted.stitches(planted.models(1, samples=1000 + level), weak, lambda depth: 1.0, cuts=["pool"])
    charts = charts_by_depth(analysis_table(planted.commit(), "more_data"))
    lines = [{datum["line"] for datum in values(chart)} for chart in charts]
    assert [len(lines_of_chart) for lines_of_chart in lines] == [LINES, 1]
    assert len(set.union(*lines)) == LINES + 1
    assert [chart.title for chart in charts] == ["B samples 100", "A samples 1000 → B samples 100"]


def test_the_random_bottom_has_a_line_beside_the_trained_one_whatever_is_measured(demo_tables):
    (chart,) = charts_by_depth(demo_tables["random_control"])
    assert switches(chart) == {"quantity": ["net penalty", "penalty"]}
    assert {(d["quantity"], d["line"]) for d in values(chart)} == {
        (quantity, line) for quantity in ("net penalty", "penalty") for line in ("random bottom", "trained bottom")
    }


def test_tables_without_depth_have_no_such_chart(demo_tables):
    assert charts_by_depth(demo_tables["zoo"]) == []
