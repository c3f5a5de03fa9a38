"""Trends below the axis tables, in stores with known trends."""

import pytest
from support.planted_store import MEAN, analysis_table, late_only, rows_of

from sweeper.report.format import caption


@pytest.mark.parametrize(("slope", "tendency"), [(2.0, "rising"), (-2.0, "falling"), (0.0, "undecided")])
def test_the_trend_of_planted_gains_is_estimated(planted, slope, tendency):
    weak = planted.models(5, samples=100)
    for doublings in (1, 3, 5):
        strong = planted.models(5, samples=100 * 2**doublings)
        planted.stitches(strong, weak, lambda _, d=doublings: slope * d, random_seed=doublings, spread=0.5, control=0.0)
    planted.stitches(weak, weak, lambda depth: 0.0, spread=0.5)
    table = analysis_table(planted.commit(), "more_data")
    rows_with_trend = [row for row in table.rows.to_pylist() if row["trend_per_doubling"] is not None]
    assert [(row["a_samples"], row["cut"]) for row in rows_with_trend] == [(n, MEAN) for n in (3200, 800, 200, 100)]
    assert len({row["trend_per_doubling"] for row in rows_with_trend}) == 1
    assert rows_with_trend[0]["trend_per_doubling_low"] < slope < rows_with_trend[0]["trend_per_doubling_high"]
    assert rows_with_trend[0]["tendency"] == tendency
    (line,) = (line for line in caption(table) if line.startswith("Trend per doubling: "))
    assert line.startswith("Trend per doubling: B samples 100: ")
    assert line.endswith(f", {tendency}")
    assert not {"trend_per_doubling", "tendency"} & set(table.columns)


def test_each_level_of_b_has_its_own_trend(planted):
    strong = [planted.models(3, samples=samples) for samples in (400, 800)]
    for top, slope in ((100, 1.0), (200, 5.0)):
        weak = planted.models(3, samples=top)
        for doublings, bottoms in enumerate(strong):
            planted.stitches(bottoms, weak, lambda _, g=slope * doublings: g, spread=0.01, noise=0.01, control=0.0)
    (line,) = (line for line in caption(analysis_table(planted.commit(), "more_data")) if line.startswith("Trend"))
    first, second = line.removeprefix("Trend per doubling: ").split("; ")
    assert first.startswith("B samples 100: +1.0")
    assert second.startswith("B samples 200: +5.0")


def test_one_level_of_a_has_no_trend(planted):
    planted.stitches(planted.models(3, samples=800), planted.models(3), late_only, control=0.0)
    table = analysis_table(planted.commit(), "more_data")
    assert set(table.rows["trend_per_doubling"].to_pylist()) == {None}
    assert not [line for line in caption(table) if line.startswith("Trend")]


def test_the_training_trend_follows_one_schedule(planted):
    """Plant snapshots at 100, 200 and 400 of 400 steps, 3 points per doubling, and schedules of 100 and 800 steps."""
    runs = [f"{i:032x}" for i in range(5)]
    models_by_age = [
        [planted.model(training=run, steps=steps, schedule_steps=400) for run in runs] for steps in (100, 200, 400)
    ]
    for doublings, bottoms in enumerate(models_by_age):
        for i, a in enumerate(bottoms):
            for j, b in enumerate(models_by_age[0]):
                if a.task != b.task:
                    gain = 99.0 if i == j else 3.0 * doublings + 0.1 * (i - 2) * (doublings + 1)
                    planted.stitch(a, b, "block7", gain)
    for steps, gain in ((100, 0.0), (800, -6.0)):
        planted.stitches(
            planted.models(3, steps=steps),
            models_by_age[0],
            lambda _, g=gain: g,
            cuts=["block7"],
            spread=0.01,
            control=0.0,
        )
    rows = rows_of(analysis_table(planted.commit(), "more_training"), cut=MEAN)
    assert {row["a_schedule_steps"]: round(row["trend_per_doubling"], 1) for row in rows} == {
        400: 3.0,
        100: -2.0,
        800: -2.0,
    }
    assert {row["tendency"] for row in rows if row["a_schedule_steps"] == 400} == {"rising"}
