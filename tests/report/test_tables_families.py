"""Families of verdicts: which verdicts are corrected together, and that each is read off the interval in its row."""

import pytest
from support.planted_store import CUTS, LATE, MEAN, Planted, analysis_table, rows_of

from sweeper.report.tables import CONTROL, Table
from sweeper.store.statistics.looks import level_at

TABLES = ("more_data", "more_width", "more_training", "random_control", "connected")


def claims(table: Table) -> dict[tuple, tuple]:
    """Return (verdict, bounds, confidence) of each row with a verdict, by the row's settings and cut."""
    value = "net_gain" if "net_gain" in table.rows.column_names else "net_penalty"
    settings = [name for name in (*table.question.sections, *table.question.settings, "cut") if name != "arch"]
    return {
        tuple(row[name] for name in settings): (
            row["verdict"], row[f"{value}_low"], row[f"{value}_high"], row["confidence"], row.get("tendency"),
        )
        for row in rows_of(table)
        if row["verdict"] is not None
    }  # fmt: skip


def read_off(row: dict, value: str, margin: float) -> str:
    """Return the verdict that the interval of a row gives."""
    low, high = row[f"{value}_low"], row[f"{value}_high"]
    if low is None or high is None:
        return "undecided"
    if value == "net_penalty" and "trained_pairs" not in row:
        return "connected" if high <= margin else "not connected" if low > margin else "undecided"
    if value == "net_penalty":
        low, high = -high, -low
    return (
        "better" if low > margin else "worse" if high < -margin
        else "as good" if -margin <= low <= high <= margin else "undecided"
    )  # fmt: skip


def effects_of_every_kind(planted: Planted) -> None:
    """Plant gains that are clear at some cuts only, on all axes."""
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    wide, old = planted.models(4, seed=20, width=32), planted.models(4, seed=30, steps=400)
    planted.stitches(strong, weak, lambda depth: 9 * depth - 2, control=0.0)
    planted.stitches(weak, weak, lambda depth: 0.0, spread=0.2)
    planted.stitches(wide, weak, lambda depth: -4 * depth)
    planted.stitches(old, weak, lambda depth: 1.0, spread=0.8)
    planted.stitches(planted.models(3, seed=40, steps=0), weak, lambda depth: -9 * depth**3)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("margin", [0.2, 1.0, 3.0])
def test_every_verdict_is_read_off_the_interval_in_its_row(planted: Planted, name, margin):
    effects_of_every_kind(planted)
    table = analysis_table(planted.commit(), name, parameters={"margin": margin})
    value = "net_gain" if name.startswith("more") else "net_penalty"
    rows = [row for row in rows_of(table) if row["verdict"] not in (None, "not tested", CONTROL)]
    assert rows
    assert [row["verdict"] for row in rows] == [read_off(row, value, margin) for row in rows]
    assert all(row["confidence"] >= 95 for row in rows)


@pytest.mark.parametrize("name", TABLES)
def test_an_unrelated_job_changes_no_verdict(planted: Planted, name):
    """Neither another data set, stitcher, architecture, axis nor more cuts of another contrast change one."""
    effects_of_every_kind(planted)
    before = claims(analysis_table(planted.commit(), name))
    assert len(before) > 5
    for number, other in enumerate(({"dataset": "cifar10"}, {"arch": "myrtle"}, {"lr": 0.2}, {"label_noise": 0.5})):
        weak = planted.models(3, seed=100 * number, **other)
        for seed, level in enumerate(({}, {"samples": 1200}, {"width": 32}, {"steps": 400}, {"steps": 0})):
            bottoms = planted.models(3, seed=100 * number + 10 * seed + 10, **{**other, **level})
            planted.stitches(bottoms, weak, lambda depth: 3 * depth, cuts=["block1", *LATE[:2]], spread=3.0, noise=2.0)
        planted.self_stitches(weak)
    weak = planted.models(3, seed=900)
    for fields in ({"stitcher": "low_rank"}, {"data": "top"}, {"batch": 64}):
        strong = planted.models(3, seed=910, samples=1200)
        planted.stitches(strong, weak, lambda depth: 0.0, cuts=LATE[:2], control=0.0, **fields)
    after = claims(analysis_table(planted.commit(), name))
    assert len(after) > len(before)
    assert {key: after[key] for key in before} == before


def test_the_means_of_a_setting_hold_together_and_so_do_the_cuts_of_a_mean(planted: Planted):
    weak = planted.models(4)
    for level in (200, 400, 800):
        planted.stitches(planted.models(4, seed=level, samples=level), weak, lambda depth: 6.0, control=0.0)
    rows = rows_of(analysis_table(planted.commit(), "more_data"))
    confidence = {
        kind: {round(row["confidence"], 2) for row in rows if row["verdict"] and (row["cut"] == MEAN) == kind}
        for kind in (True, False)
    }
    assert confidence == {True: {_percent(3)}, False: {_percent(len(CUTS))}}


def _percent(count: int) -> float:
    """Return the level of each of a family at the first look, in percent, as a rounded number."""
    return round(100 * level_at(count, 1), 2)


def test_cuts_are_not_tested_if_their_mean_is_undecided(planted: Planted):
    """At one late cut A is much better, at another much worse, so that the mean is undecided."""
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    for cut, gain in zip(LATE[:2], (30.0, -28.0), strict=True):
        planted.stitches(strong, weak, lambda depth, gain=gain: gain, cuts=[cut], control=0.0)
    mean, *cuts = rows_of(analysis_table(planted.commit(), "more_data"))
    assert mean["verdict"] == "undecided"
    shown = {row["cut"]: row for row in cuts}
    assert {shown[cut]["verdict"] for cut in LATE[:2]} == {"not tested"}
    assert shown[LATE[0]]["net_gain_low"] > 20


def test_cuts_without_a_mean_are_a_family_of_their_own(planted: Planted):
    weak = planted.models(4)
    for level in (200, 400):
        strong = planted.models(4, seed=level, samples=level)
        planted.stitches(strong, weak, lambda depth: 9.0, cuts=["block1", "block2"], control=0.0)
    rows = [row for row in rows_of(analysis_table(planted.commit(), "more_data")) if row["verdict"]]
    assert {(row["cut"], row["verdict"], round(row["confidence"], 2)) for row in rows} == {
        ("block1", "better", _percent(4)), ("block2", "better", _percent(4)),
    }  # fmt: skip


def test_every_cut_shows_the_interval_of_the_largest_net_penalty(planted: Planted):
    models = planted.models(6)
    planted.stitches(models, models, lambda depth: -4.0 if depth > 0.8 else 0.0, spread=0.3, control=0.0)
    first, *cuts = rows_of(analysis_table(planted.commit(), "connected"))
    assert (first["cut"], first["verdict"]) == ("(every cut)", "not connected")
    assert first["net_penalty"] == max(row["net_penalty"] for row in cuts)
    assert first["net_penalty_low"] == max(row["net_penalty_low"] for row in cuts)
    assert {row["verdict"] for row in cuts} == {"connected", "not connected"}


def test_if_every_cut_is_connected_each_cut_is_by_its_own_interval(planted: Planted):
    models = planted.models(6)
    planted.stitches(models, models, lambda depth: 0.0, spread=0.5, control=0.0)
    store = planted.commit()
    loose = rows_of(analysis_table(store, "connected", parameters={"margin": 50.0}))
    edge = loose[0]["net_penalty_high"]
    assert edge == max(row["net_penalty_high"] for row in loose[1:])
    assert {round(row["confidence"], 2) for row in loose} == {_percent(1)}
    just_above, just_below = (
        rows_of(analysis_table(store, "connected", parameters={"margin": edge * factor})) for factor in (1.01, 0.99)
    )
    assert {row["verdict"] for row in just_above} == {"connected"}
    assert [row["verdict"] for row in just_below] == ["undecided", *["not tested"] * len(CUTS)]


def test_one_run_at_a_cut_leaves_every_cut_undecided(planted: Planted):
    models = planted.models(5)
    planted.stitches(models, models, lambda depth: 0.0, spread=0.2, cuts=LATE[:2], control=0.0)
    planted.stitch(models[0], models[1], "block1", 0.0)
    planted.stitch(models[1], models[1], "block1", 0.0)
    rows = rows_of(analysis_table(planted.commit(), "connected"))
    assert rows[0]["verdict"] == "undecided"
    assert rows[0]["net_penalty_high"] is None


def test_models_with_one_seed_on_both_sides_are_not_independent(planted: Planted):
    """If A and B of a seed share what chance gave them, the interval is as wide as with one set of seeds."""
    effect = {0: -2.0, 1: 0.0, 2: 1.0, 3: 1.0}
    widths = []
    for first_seed in (0, 10):
        weak = planted.models(4, lr=0.1 + first_seed)
        strong = planted.models(4, seed=first_seed, samples=1200, lr=0.1 + first_seed)
        for a, b in ((a, b) for a in strong for b in weak):
            planted.stitch(a, b, "block7", effect[a.seed - first_seed] + effect[b.seed])
        for b in weak:
            planted.stitch(b, b, "block7", 0.0)
    for row in rows_of(analysis_table(planted.commit(), "more_data"), cut=MEAN):
        widths.append(row["net_gain_high"] - row["net_gain_low"])
        assert row["pairs"] == 16
    shared, separate = widths
    assert shared > 1.1 * separate
