"""The chart of test errors."""

from support.planted_store import analysis_table

from sweeper.report.charts.errors import charts_of_errors


def test_untrained_models_do_not_squeeze_the_axis(demo_tables):
    (chart,) = charts_of_errors(demo_tables["zoo"])
    errors = [datum["error"] for datum in chart.content["data"]["values"]]
    assert sorted(errors) == [6.0, 9.0, 12.0, 15.0, 22.0]
    assert "Models that were not trained are in the table alone (errors up to 90.0 %)." in chart.description


def test_untrained_models_are_drawn_if_there_are_no_others(planted):
    planted.models(2, steps=0, error=90.0)
    (chart,) = charts_of_errors(analysis_table(planted.commit(), "zoo"))
    assert [datum["error"] for datum in chart.content["data"]["values"]] == [90.0]
    assert "not trained" not in chart.description


def test_a_reader_sees_seeds_and_settings(demo_tables):
    (chart,) = charts_of_errors(demo_tables["zoo"])
    datum = chart.content["data"]["values"][0]
    assert (datum["model"], datum["seeds"]) == ("resnet18k, width 8, samples 1200, steps 200, schedule steps 200", 5)
    assert datum["text"] == "9.00 % (from 9.00 to 9.00)"
    assert "momentum 0.9" in datum["settings"]


def test_other_tables_and_empty_ones_have_no_such_chart(demo_tables, empty):
    assert charts_of_errors(demo_tables["more_data"]) == []
    assert charts_of_errors(analysis_table(empty, "zoo")) == []
