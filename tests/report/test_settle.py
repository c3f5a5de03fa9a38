"""What would settle an undecided verdict, from the rows of planted stores."""

import pytest
from support.planted_store import MEAN, Planted, PlantedOutcomes, analysis_table, rows_of

from sweeper.report.answers import short_answer
from sweeper.report.settle import settlements


def plant(planted: Planted, effect: float, runs: int = 4, spread: float = 2.0) -> None:
    weak, strong = planted.models(runs), planted.models(runs, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: effect, spread=spread, control=0.0)


def test_an_undecided_mean_has_a_number_of_runs(planted: Planted):
    plant(planted, 3.0)
    table = analysis_table(planted.commit(), "more_data")
    (row,) = rows_of(table, cut=MEAN)
    (settlement,) = settlements(table)
    assert (settlement.runs_a, settlement.runs_b) == (4, 4)
    assert settlement.half_width == pytest.approx((row["net_gain_high"] - row["net_gain_low"]) / 2)
    assert settlement.target == pytest.approx(abs(abs(row["net_gain"]) - 1))
    assert settlement.more
    assert settlement.expected < settlement.target < settlement.half_width
    assert f"{settlement.more} more runs a side would be expected to settle it." in short_answer(table)[0]


def test_a_decided_mean_has_none(planted: Planted):
    plant(planted, 20.0)
    table = analysis_table(planted.commit(), "more_data")
    assert list(settlements(table)) == []
    assert "settle" not in short_answer(table)[0]


def test_the_variance_of_test_images_is_a_part_of_its_own(planted: Planted):
    outcomes = PlantedOutcomes(planted, images=100)
    weak, strong = (outcomes.models(4, 0.5, samples=samples) for samples in (100, 1200))
    outcomes.stitches(strong, weak, "block6", 0.5)
    outcomes.self_stitches(weak, "block6", 0.5)
    table = analysis_table(planted.commit(), "more_data", parameters={"margin": 5.0})
    (row,) = rows_of(table, cut=MEAN)
    assert (row["test_images"], row["net_degrees"]) == (100, [3.0, 3.0, 99.0])
    (settlement,) = settlements(table)
    assert settlement.expected < settlement.target


def test_a_table_without_parts_of_a_variance_has_none(planted: Planted):
    plant(planted, 1.0)
    store = planted.commit()
    for name in ("zoo", "connected", "controls"):
        assert list(settlements(analysis_table(store, name))) == []


def test_the_parts_are_not_shown(planted: Planted):
    plant(planted, 1.0)
    table = analysis_table(planted.commit(), "more_data")
    assert "net_variances" in table.rows.column_names
    assert "net_variances" not in table.columns
