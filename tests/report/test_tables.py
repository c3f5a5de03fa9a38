"""Tables of real stores with known effects."""

import pytest
from support import planted_store
from support.planted_store import EARLY, LATE, MEAN, analysis_table, late_only, rows_of

from sweeper.errors import UsageError
from sweeper.report.question import find_questions
from sweeper.report.tables import FIXED_IMAGES


@pytest.mark.parametrize("name", find_questions())
def test_every_table_of_an_empty_store_is_empty(empty, name):
    table = analysis_table(empty, name)
    assert table.rows.num_rows == 0
    assert {*table.question.sections, *table.question.settings} <= set(table.rows.column_names)


def test_a_planted_gain_is_found_at_its_cuts(planted):
    weak, strong = planted.models(5, samples=100), planted.models(5, seed=10, samples=1200)
    planted.stitches(strong, weak, late_only, control=0.0)
    table = analysis_table(planted.commit(), "more_data")
    by_cut = {row["cut"]: row for row in table.rows.to_pylist()}
    assert next(iter(by_cut)) == MEAN
    for cut in [*LATE, MEAN]:
        assert by_cut[cut]["verdict"] == "better"
        assert by_cut[cut]["gain_low"] < 5 < by_cut[cut]["gain_high"]
        assert by_cut[cut]["pairs"] == 25
    for cut in EARLY:
        assert by_cut[cut]["verdict"] == "undecided"
        assert by_cut[cut]["gain_low"] < 0 < by_cut[cut]["gain_high"]
    assert FIXED_IMAGES in table.notes


@pytest.mark.parametrize("name", ["more_data", "connected", "penalty_by_cut", "controls"])
def test_cuts_of_one_depth_are_in_the_order_of_their_names(planted, name, monkeypatch: pytest.MonkeyPatch):
    cuts = ["d", "b", "e", "a", "c"]
    monkeypatch.setattr(planted_store, "CUTS", [(cut, 3, 0.6) for cut in cuts])
    weak, strong = planted.models(3, samples=100), planted.models(3, seed=10, samples=1200)
    for bottoms in (weak, strong):
        planted.stitches(bottoms, weak, lambda depth: 1.0, cuts=cuts, control=0.0)
    rows = analysis_table(planted.commit(), name).rows.to_pylist()
    shown = [row["cut"] for row in rows if row["cut"] in cuts]
    in_order = sorted(dict.fromkeys(shown))
    assert list(dict.fromkeys(shown)) == in_order == sorted(cuts)


def test_the_end_points_are_b_alone_and_a_alone(planted):
    weak, strong = planted.models(3, error=20.0), planted.models(3, seed=10, samples=1200, error=8.0)
    planted.stitches(strong, weak, late_only)
    rows = {row["cut"]: row for row in analysis_table(planted.commit(), "more_data").rows.to_pylist()}
    assert (rows["(B alone)"]["depth"], rows["(B alone)"]["gain"], rows["(B alone)"]["gain_low"]) == (0, 0, None)
    assert (rows["(A alone)"]["depth"], rows["(A alone)"]["gain"]) == (1, 12)
    assert rows["(A alone)"]["verdict"] is rows["(B alone)"]["verdict"] is None


def test_stitch_seeds_do_not_narrow_an_interval(planted):
    """Compare five stitches per pair with one: more seeds of the stitcher are not more models."""
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    for seed in range(5):
        planted.stitches(strong, weak, late_only, noise=0.0, seed=seed)
    row_of_five_seeds = rows_of(analysis_table(planted.commit(), "more_data"), cut="block6")[0]
    stitches_of_seed_0 = planted.store.sql("SELECT task FROM stitches WHERE seed = 0")["task"].to_pylist()
    tasks_of_seed_0 = {*stitches_of_seed_0, *(row.task for row in (*weak, *strong))}
    row_of_one_seed = rows_of(analysis_table(planted.store, "more_data", only=tasks_of_seed_0), cut="block6")[0]
    assert row_of_five_seeds["pairs"] == row_of_one_seed["pairs"] == 16
    widths = [row["gain_high"] - row["gain_low"] for row in (row_of_five_seeds, row_of_one_seed)]
    assert widths[0] == pytest.approx(widths[1])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("protocol", ("strict", "paper")),
        ("stitcher", ("conv1x1", "identity")),
        ("options", ("{}", '{"rank":4}')),
        ("data", ("full", "top")),
        ("max_steps", (300, 3000)),
        ("batch", (128, 256)),
        ("lr", (1e-3, 1e-4)),
        ("augment", ("none", "crop_flip")),
    ],
)
@pytest.mark.parametrize("table", ["more_data", "penalty_by_cut"])
def test_stitches_of_different_settings_are_not_averaged(planted, table, name, values):
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    for value, gain in zip(values, (1.0, 3.0), strict=True):
        planted.stitches(
            strong, weak, lambda depth, gain=gain: gain, cuts=["block7"], spread=0, noise=0, **{name: value}
        )
    rows = rows_of(analysis_table(planted.commit(), table), cut="block7")
    column = "stitcher_options" if name == "options" else name
    measured = {row[column]: abs(row["gain"] if "gain" in row else row["penalty"]) for row in rows}
    assert measured == pytest.approx(dict(zip(values, (1.0, 3.0), strict=True)))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dataset", ("digits", "mnist")),
        ("data_digest", ("d" * 64, "e" * 64)),
        ("arch", ("resnet18k", "myrtle")),
        ("width", (8, 16)),
        ("nested", (False, True)),
        ("label_noise", (0.0, 0.5)),
        ("steps", (200, 400)),
        ("schedule_steps", (200, 800)),
        ("batch", (64, 128)),
        ("lr", (0.05, 0.1)),
        ("momentum", (0.0, 0.9)),
        ("weight_decay", (0.0, 1e-4)),
        ("schedule", ("step", "cosine")),
        ("augment", ("none", "crop_flip")),
    ],
)
def test_models_of_different_settings_are_not_averaged(planted, name, values):
    """Plant two groups: `more_data` has a row for each and none for pairs that also differ in another setting."""
    groups = []
    for value, gain in zip(values, (1.0, 3.0), strict=True):
        weak = planted.models(3, **{name: value})
        strong = planted.models(3, seed=10, samples=1200, **{name: value})
        planted.stitches(strong, weak, lambda depth, gain=gain: gain, cuts=["block7"], spread=0, noise=0)
        groups.append((weak, strong))
    planted.stitches(groups[0][1], groups[1][0], lambda depth: 99.0, cuts=["block7"], spread=0, noise=0)
    store = planted.commit()
    rows = rows_of(analysis_table(store, "more_data"), cut="block7")
    assert sorted(row["gain"] for row in rows) == pytest.approx([1.0, 3.0])
    assert analysis_table(store, "penalty_by_cut").rows.num_rows == 3


def test_the_net_gain_excludes_the_gain_of_the_self_stitch(planted):
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: 5.0, spread=0.1, control=2.5)
    (row,) = rows_of(analysis_table(planted.commit(), "more_data"), cut="block6")
    assert row["net_gain"] == pytest.approx(row["gain"] - 2.5)
    assert row["verdict"] == "better"
    (self_row,) = rows_of(analysis_table(planted.store, "penalty_by_cut"), cut="block6", relation="self")
    assert (self_row["penalty"], self_row["net_penalty"], self_row["pairs"]) == (-2.5, 0, 4)


def test_with_one_model_on_a_side_the_verdict_is_undecided(planted):
    weak, strong = planted.models(1), planted.models(4, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: 9.0, spread=0, control=0.0)
    (row,) = rows_of(analysis_table(planted.commit(), "more_data"), cut="block8")
    assert (row["net_gain_low"], row["net_gain_high"], row["verdict"]) == (None, None, "undecided")
    assert row["gain"] == pytest.approx(9.0, abs=0.5)


def test_the_control_is_shown_only_with_other_levels(planted):
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    planted.stitches(weak, weak, lambda depth: 0.0)
    assert analysis_table(planted.commit(), "more_data").rows.num_rows == 0
    planted.stitches(strong, weak, late_only)
    rows = rows_of(analysis_table(planted.commit(), "more_data"), cut="block6")
    assert [(row["a_samples"], row["b_samples"], row["pairs"]) for row in rows] == [(1200, 100, 16), (100, 100, 12)]


def test_pairs_without_all_late_cuts_are_left_out_of_the_mean(planted):
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: 2.0, spread=0, noise=0)
    late = planted.models(1, seed=20, samples=1200)
    planted.stitches(late, weak, lambda depth: 50.0, cuts=["pool"], spread=0, noise=0)
    table = analysis_table(planted.commit(), "more_data")
    (mean,), (pool,) = rows_of(table, cut=MEAN), rows_of(table, cut="pool")
    assert (mean["pairs"], mean["gain"]) == (9, pytest.approx(2.0))
    assert (pool["pairs"], pool["gain"]) == (12, pytest.approx(14.0))


def test_more_width_compares_two_widths(demo_tables):
    rows = rows_of(demo_tables["more_width"], cut="pool")
    assert [(row["a_width"], row["b_width"], row["pairs"]) for row in rows] == [(16, 8, 25), (8, 8, 20)]
    assert demo_tables["more_width"].constants["options"] == "{}"


def test_more_training_leaves_out_snapshots_of_bs_own_run(planted):
    """Plant snapshots of five runs: 20 pairs of two runs, and 5 of one run, whose gain of 100 must not be averaged."""
    runs = [f"{i:032x}" for i in range(5)]
    young = [planted.model(training=run, steps=100, schedule_steps=400) for run in runs]
    old = [planted.model(training=run, steps=400, schedule_steps=400) for run in runs]
    for i, a in enumerate(old):
        for j, b in enumerate(young):
            planted.stitch(a, b, "block7", 100.0 if i == j else 2.0 + 0.2 * (i - 2) + 0.1 * (j - 2))
    (row,) = rows_of(analysis_table(planted.commit(), "more_training"), cut="block7")
    assert (row["pairs"], row["same_run"], row["gain"]) == (20, 5, pytest.approx(2.0))
    assert row["gain_low"] < 2 < row["gain_high"]
    relations = rows_of(analysis_table(planted.store, "penalty_by_cut"), cut="block7")
    assert {row["relation"]: row["pairs"] for row in relations} == {"other run": 20, "same run": 5}


def test_the_random_control_has_random_and_trained_bottoms(demo_tables):
    table = demo_tables["random_control"]
    by_cut = {row["cut"]: row for row in table.rows.to_pylist()}
    assert by_cut["conv1"]["verdict"] == "undecided"
    assert by_cut["pool"]["verdict"] == by_cut[MEAN]["verdict"] == "worse"
    assert by_cut["pool"]["penalty_low"] < by_cut["pool"]["penalty"] < by_cut["pool"]["penalty_high"]
    assert by_cut["pool"]["trained_penalty"] == pytest.approx(0.5, abs=0.3)


def test_stitching_and_cka_uses_the_same_pairs(demo_tables):
    table = demo_tables["stitching_and_cka"]
    assert {row["measure"] for row in table.rows.to_pylist()} == {
        "linear_cka debiased:false",
        "linear_cka debiased:true",
    }
    for row in table.rows.to_pylist():
        assert row["pairs"] == 25
        assert row["similarity"] == pytest.approx(0.9 - 0.5 * row["depth"], abs=0.03)
    (penalty,) = {row["penalty"] for row in rows_of(table, cut="pool")}
    (gain,) = {row["gain"] for row in rows_of(demo_tables["more_data"], cut="pool", a_samples=1200)}
    assert penalty == pytest.approx(-gain)


def test_a_similarity_of_other_weights_is_not_compared(planted):
    a, b = planted.models(2)
    planted.stitch(a, b, "pool", 0.0)
    planted.similarity(a, b, "pool", 0.5, a_weights="f" * 64)
    assert analysis_table(planted.commit(), "stitching_and_cka").rows.num_rows == 0


@pytest.mark.parametrize(
    ("penalty", "noise", "verdict"),
    [
        (lambda depth: 0.1, 0.2, "connected"),
        (lambda depth: 0.1, 6.0, "undecided"),  # the absence of a significant difference is not enough
        (lambda depth: 5.0 if depth > 0.9 else 0.1, 0.2, "not connected"),
        (lambda depth: -5.0 if depth > 0.9 else 0.1, 0.2, "connected"),  # better than B into itself
    ],
)
def test_connected_needs_an_interval_below_the_margin(planted, penalty, noise, verdict):
    models = planted.models(6)
    planted.stitches(models, models, lambda depth: -penalty(depth), noise=noise, control=0.0)
    rows = analysis_table(planted.commit(), "connected").rows.to_pylist()
    assert rows[0]["cut"] == "(every cut)"
    assert rows[0]["verdict"] == verdict
    verdict_of_cut = "not tested" if verdict == "undecided" else verdict
    assert {row["cut"]: row["verdict"] for row in rows}["pool"] == verdict_of_cut
    assert rows[1]["pairs"] == 30


def test_a_wider_margin_connects_more(planted):
    models = planted.models(5)
    planted.stitches(models, models, lambda depth: -1.5, spread=0.2, control=0.0)
    store = planted.commit()
    assert analysis_table(store, "connected").rows["verdict"][0].as_py() == "not connected"
    assert analysis_table(store, "connected", parameters={"margin": 3.0}).rows["verdict"][0].as_py() == "connected"
    with pytest.raises(UsageError, match="no parameter 'margn'"):
        analysis_table(store, "connected", parameters={"margn": 3.0})


def test_the_table_zoo_counts_the_seeds_of_each_setting(planted):
    for seed, error in enumerate([20.0, 22.0, 27.0]):
        planted.model(seed=seed, error=error)
    planted.models(2, steps=0, error=90.0)
    table = analysis_table(planted.commit(), "zoo")
    random, trained = sorted(table.rows.to_pylist(), key=lambda row: row["steps"])
    assert (trained["seeds"], trained["error"], trained["lowest"], trained["highest"]) == (3, 23.0, 20.0, 27.0)
    assert (random["seeds"], random["samples"], random["batch"]) == (2, 0, None)
    assert table.constants["batch"] == 128
