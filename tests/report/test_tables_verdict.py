"""Intervals and verdicts of tables, in stores with known effects."""

import numpy as np
import pytest
from support.planted_store import PlantedOutcomes, analysis_table, rows_of

from sweeper.report.tables import FIXED_IMAGES, SAMPLED_IMAGES


def test_intervals_cover_the_truth_of_other_models(planted):
    """Plant forty settings of 3 A and 3 B, in which the 95 % intervals of the mean should rarely miss the true gain.

    Intervals that treated the nine stitches as independent observations would miss it often.
    """
    random = np.random.default_rng(1)
    weak_samples = 100
    for level in range(40):
        weak = planted.models(3, samples=weak_samples + level)
        strong = planted.models(3, seed=10, samples=5000 + level)
        planted.stitches(strong, weak, lambda depth: 2.0, cuts=["block7"], random_seed=int(random.integers(1 << 30)))
    rows = rows_of(analysis_table(planted.commit(), "more_data"), cut="block7")
    misses = sum(not row["gain_low"] <= 2.0 <= row["gain_high"] for row in rows)
    assert len(rows) == 40
    assert misses <= 5


def test_intervals_also_cover_other_images_unless_images_are_fixed(planted):
    outcomes = PlantedOutcomes(planted)
    weak, strong = outcomes.models(8, 0.5, spread=0), outcomes.models(8, 1.2, spread=0, samples=1200)
    outcomes.stitches(strong, weak, "block7", 1.0)
    outcomes.self_stitches(weak, "block7", 0.6)
    store = planted.commit()
    sampled, fixed = (analysis_table(store, "more_data", parameters={"images": how}) for how in ("sampled", "fixed"))
    (wide,), (narrow,) = rows_of(sampled, cut="block7"), rows_of(fixed, cut="block7")
    for name in ("net_gain", "gain"):
        assert wide[name] == narrow[name]
        widths = [row[f"{name}_high"] - row[f"{name}_low"] for row in (wide, narrow)]
        assert widths[0] > 1.03 * widths[1]
    assert (wide["test_images"], narrow["test_images"]) == (450, None)
    assert sampled.notes == (SAMPLED_IMAGES.format(images=450),)
    assert fixed.notes == (FIXED_IMAGES,)
    (a_alone,) = rows_of(sampled, cut="(A alone)")
    assert a_alone["test_images"] == 450
    interval = store.sql("SELECT ci(a, b, gain, correct, b_correct) AS gain FROM stitches WHERE a <> b")[
        "gain"
    ].to_pylist()[0]
    assert (wide["gain_low"], wide["gain_high"]) == pytest.approx((interval["lo"], interval["hi"]))
    assert "test_images" not in sampled.columns


def test_rows_without_outcomes_on_single_images_are_counted(planted):
    outcomes = PlantedOutcomes(planted)
    weak, strong = outcomes.models(3, 0.5), outcomes.models(3, 1.2, samples=1200)
    outcomes.stitches(strong, weak, "block7", 1.0)
    outcomes.self_stitches(weak, "block7", 0.6)
    planted.stitches(strong, weak, lambda depth: 3.0, cuts=["block3"], control=0.0)  # without outcomes
    table = analysis_table(planted.commit(), "more_data")
    assert [row["cut"] for row in table.rows.to_pylist() if row["net_gain_low"] and not row["test_images"]] == [
        "block3"
    ]
    assert table.notes == (
        SAMPLED_IMAGES.format(images=450),
        "1 of 4 rows hold the test images fixed: outcomes on single images are not known for all of their stitches.",
    )
