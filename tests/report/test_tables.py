"""Tables asked of a real store with a planted truth."""

from pathlib import Path

import numpy as np
import pytest
from planted import CUTS, EARLY, LATE, Judged

from sweeper.errors import QueryError, UsageError
from sweeper.report.format import caption
from sweeper.report.question import find
from sweeper.report.tables import FIXED_IMAGES, NESTED, SAMPLED_IMAGES, Table, tables
from sweeper.store import query

MEAN = "(depth >= 0.5)"


def _ask(store, name: str, **given) -> Table:
    (table,) = tables(store, [name], **given)
    return table


def _rows(table: Table, **where) -> list[dict]:
    return [row for row in table.rows.to_pylist() if all(row[name] == value for name, value in where.items())]


def _late_only(depth: float) -> float:
    return 5.0 if depth >= 0.4 else 0.0


@pytest.mark.parametrize("name", find())
def test_every_table_of_an_empty_store_is_empty(empty, name):
    table = _ask(empty, name)
    assert table.rows.num_rows == 0
    assert {*table.question.sections, *table.question.settings} <= set(table.rows.column_names)


def test_a_planted_gain_is_found_where_it_is(planted):
    weak, strong = planted.models(5, samples=100), planted.models(5, seed=10, samples=1200)
    planted.stitches(strong, weak, _late_only)
    table = _ask(planted.commit(), "more_data")
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


def test_the_end_points_are_b_alone_and_a_alone(planted):
    weak, strong = planted.models(3, error=20.0), planted.models(3, seed=10, samples=1200, error=8.0)
    planted.stitches(strong, weak, _late_only)
    rows = {row["cut"]: row for row in _ask(planted.commit(), "more_data").rows.to_pylist()}
    assert (rows["(B alone)"]["depth"], rows["(B alone)"]["gain"], rows["(B alone)"]["gain_low"]) == (0, 0, None)
    assert (rows["(A alone)"]["depth"], rows["(A alone)"]["gain"]) == (1, 12)
    assert rows["(A alone)"]["verdict"] is rows["(B alone)"]["verdict"] is None


def test_stitch_seeds_do_not_narrow_an_interval(planted):
    """The seeds of a stitcher are no new models: ten stitches of a pair say no more than one about other models."""
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    for seed in range(5):
        planted.stitches(strong, weak, _late_only, noise=0.0, seed=seed)
    many = _rows(_ask(planted.commit(), "more_data"), cut="block6")[0]
    first = planted.store.sql("SELECT task FROM stitches WHERE seed = 0")["task"].to_pylist()
    only = {*first, *(row.task for row in (*weak, *strong))}
    one = _rows(_ask(planted.store, "more_data", only=only), cut="block6")[0]
    assert many["pairs"] == one["pairs"] == 16
    assert many["gain_high"] - many["gain_low"] == pytest.approx(one["gain_high"] - one["gain_low"])


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
def test_what_differs_in_a_stitch_is_never_averaged(planted, table, name, values):
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    for value, gain in zip(values, (1.0, 3.0), strict=True):
        planted.stitches(
            strong, weak, lambda depth, gain=gain: gain, cuts=["block7"], spread=0, noise=0, **{name: value}
        )
    rows = _rows(_ask(planted.commit(), table), cut="block7")
    shown = "stitcher_options" if name == "options" else name
    measured = {row[shown]: abs(row["gain"] if "gain" in row else row["penalty"]) for row in rows}
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
def test_what_differs_in_a_zoo_is_never_averaged(planted, name, values):
    """More data is a change of data alone: across another setting nothing is compared, within each it stands apart."""
    groups = []
    for value, gain in zip(values, (1.0, 3.0), strict=True):
        weak = planted.models(3, **{name: value})
        strong = planted.models(3, seed=10, samples=1200, **{name: value})
        planted.stitches(strong, weak, lambda depth, gain=gain: gain, cuts=["block7"], spread=0, noise=0)
        groups.append((weak, strong))
    planted.stitches(groups[0][1], groups[1][0], lambda depth: 99.0, cuts=["block7"], spread=0, noise=0)
    store = planted.commit()
    rows = _rows(_ask(store, "more_data"), cut="block7")
    assert sorted(row["gain"] for row in rows) == pytest.approx([1.0, 3.0])
    assert _ask(store, "penalty_by_cut").rows.num_rows == 3


def test_the_net_gain_leaves_out_what_the_stitcher_brings(planted):
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: 3.0, spread=0.1)
    planted.selves(weak, gain=2.5)
    (row,) = _rows(_ask(planted.commit(), "more_data"), cut="block6")
    assert row["net_gain"] == pytest.approx(row["gain"] - 2.5)
    assert (row["verdict"], row["net_verdict"]) == ("better", "better")
    (self_row,) = _rows(_ask(planted.store, "penalty_by_cut"), cut="block6", relation="self")
    assert (self_row["penalty"], self_row["net_penalty"], self_row["pairs"]) == (-2.5, 0, 4)


def test_without_self_stitches_there_is_no_net_verdict(planted):
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    planted.stitches(strong, weak, _late_only)
    rows = _ask(planted.commit(), "more_data").rows.to_pylist()
    assert {row["net_gain"] for row in rows} == {row["net_verdict"] for row in rows} == {None}


def test_one_model_a_side_decides_nothing(planted):
    weak, strong = planted.models(1), planted.models(4, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: 9.0, spread=0)
    (row,) = _rows(_ask(planted.commit(), "more_data"), cut="block8")
    assert (row["gain_low"], row["gain_high"], row["verdict"]) == (None, None, "undecided")
    assert row["gain"] == pytest.approx(9.0, abs=0.5)


def test_the_control_stands_beside_the_axis_and_not_alone(planted):
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    planted.stitches(weak, weak, lambda depth: 0.0)
    assert _ask(planted.commit(), "more_data").rows.num_rows == 0
    planted.stitches(strong, weak, _late_only)
    rows = _rows(_ask(planted.commit(), "more_data"), cut="block6")
    assert [(row["a_samples"], row["b_samples"], row["pairs"]) for row in rows] == [(1200, 100, 16), (100, 100, 12)]


def test_a_pair_without_all_its_late_cuts_is_not_in_the_mean(planted):
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: 2.0, spread=0, noise=0)
    late = planted.models(1, seed=20, samples=1200)
    planted.stitches(late, weak, lambda depth: 50.0, cuts=["pool"], spread=0, noise=0)
    table = _ask(planted.commit(), "more_data")
    (mean,), (pool,) = _rows(table, cut=MEAN), _rows(table, cut="pool")
    assert (mean["pairs"], mean["gain"]) == (9, pytest.approx(2.0))
    assert (pool["pairs"], pool["gain"]) == (12, pytest.approx(14.0))


def test_more_width(demo_tables):
    rows = _rows(demo_tables["more_width"], cut="pool")
    assert [(row["a_width"], row["b_width"], row["pairs"]) for row in rows] == [(16, 8, 25), (8, 8, 20)]
    assert demo_tables["more_width"].constants["options"] == "{}"


def test_more_training_counts_a_run_once_and_leaves_its_own_snapshots_out(planted):
    """Snapshots of five runs: 20 pairs of different runs, 5 of one run with itself, which gain absurdly here."""
    runs = [f"{i:032x}" for i in range(5)]
    young = [planted.model(training=run, steps=100, schedule_steps=400) for run in runs]
    old = [planted.model(training=run, steps=400, schedule_steps=400) for run in runs]
    for i, a in enumerate(old):
        for j, b in enumerate(young):
            planted.stitch(a, b, "block7", 100.0 if i == j else 2.0 + 0.2 * (i - 2) + 0.1 * (j - 2))
    (row,) = _rows(_ask(planted.commit(), "more_training"), cut="block7")
    assert (row["pairs"], row["same_run"], row["gain"]) == (20, 5, pytest.approx(2.0))
    assert row["gain_low"] < 2 < row["gain_high"]
    relations = _rows(_ask(planted.store, "penalty_by_cut"), cut="block7")
    assert {row["relation"]: row["pairs"] for row in relations} == {"other run": 20, "same run": 5}


def test_the_random_control_stands_beside_the_trained_bottom(demo_tables):
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
    (penalty,) = {row["penalty"] for row in _rows(table, cut="pool")}
    (gain,) = {row["gain"] for row in _rows(demo_tables["more_data"], cut="pool", a_samples=1200)}
    assert penalty == pytest.approx(-gain)


def test_a_similarity_of_other_weights_is_not_compared(planted):
    a, b = planted.models(2)
    planted.stitch(a, b, "pool", 0.0)
    planted.similarity(a, b, "pool", 0.5, a_weights="f" * 64)
    assert _ask(planted.commit(), "stitching_and_cka").rows.num_rows == 0


@pytest.mark.parametrize(
    ("penalty", "noise", "verdict"),
    [
        (lambda depth: 0.1, 0.2, "connected"),
        (lambda depth: 0.1, 6.0, "undecided"),  # no difference is found, and that is no likeness
        (lambda depth: 5.0 if depth > 0.9 else 0.1, 0.2, "not connected"),
    ],
)
def test_connected_is_a_claim_of_likeness(planted, penalty, noise, verdict):
    models = planted.models(6)
    planted.stitches(models, models, lambda depth: -penalty(depth), noise=noise)
    rows = _ask(planted.commit(), "connected").rows.to_pylist()
    assert rows[0]["cut"] == "(every cut)"
    assert rows[0]["verdict"] == verdict
    assert {row["cut"]: row["verdict"] for row in rows}["pool"] == verdict
    assert rows[1]["pairs"] == 30


def test_a_wider_margin_connects_more(planted):
    models = planted.models(5)
    planted.stitches(models, models, lambda depth: -1.5, spread=0.2)
    store = planted.commit()
    assert _ask(store, "connected").rows["verdict"][0].as_py() == "not connected"
    assert _ask(store, "connected", parameters={"margin": 3.0}).rows["verdict"][0].as_py() == "connected"
    with pytest.raises(UsageError, match="no parameter 'margn'"):
        _ask(store, "connected", parameters={"margn": 3.0})


def test_an_interval_is_for_other_images_too_unless_they_are_held_fixed(planted):
    judged = Judged(planted)
    weak, strong = judged.models(8, 0.5, spread=0), judged.models(8, 1.2, spread=0, samples=1200)
    judged.stitches(strong, weak, "block7", 1.0)
    store = planted.commit()
    sampled, fixed = (_ask(store, "more_data", parameters={"images": how}) for how in ("sampled", "fixed"))
    (wide,), (narrow,) = _rows(sampled, cut="block7"), _rows(fixed, cut="block7")
    assert wide["gain"] == narrow["gain"]
    assert wide["gain_high"] - wide["gain_low"] > 1.05 * (narrow["gain_high"] - narrow["gain_low"])
    assert (wide["test_images"], narrow["test_images"]) == (450, None)
    assert sampled.notes == (SAMPLED_IMAGES.format(images=450),)
    assert fixed.notes == (FIXED_IMAGES,)
    (alone,) = _rows(sampled, cut="(A alone)")
    assert alone["test_images"] == 450
    asked = store.sql("SELECT ci(a, b, gain, correct, b_correct) AS gain FROM stitches")["gain"].to_pylist()[0]
    assert (wide["gain_low"], wide["gain_high"]) == (asked["lo"], asked["hi"])
    assert "test_images" not in sampled.columns


def test_images_that_are_not_known_are_counted(planted):
    judged = Judged(planted)
    weak, strong = judged.models(3, 0.5), judged.models(3, 1.2, samples=1200)
    judged.stitches(strong, weak, "block7", 1.0)
    planted.stitches(strong, weak, lambda depth: 3.0, cuts=["block3"])  # without outcomes
    table = _ask(planted.commit(), "more_data")
    assert [row["cut"] for row in table.rows.to_pylist() if row["gain_low"] and not row["test_images"]] == ["block3"]
    assert table.notes == (
        SAMPLED_IMAGES.format(images=450),
        "1 of 4 rows hold the test images fixed: outcomes on single images are not known for all of their stitches.",
    )


def test_too_little_memory_is_told_with_a_way_out(planted, monkeypatch):
    """A real refusal by DuckDB, of a store whose bitmaps don't fit."""
    judged = Judged(planted, images=2_000_000)
    weak, strong = judged.models(3, 0.5), judged.models(3, 1.2, samples=1200)
    judged.stitches(strong, weak, "block7", 1.0)
    store = planted.commit()
    monkeypatch.setattr(query, "_CONFIG", {**query._CONFIG, "memory_limit": "32MB"})
    with pytest.raises(QueryError, match="--set images=fixed"):
        _ask(store, "more_data")
    assert _rows(_ask(store, "more_data", parameters={"images": "fixed"}), cut=MEAN)[0]["pairs"] == 9


def test_nested_subsets_are_noted_where_intervals_are(planted):
    for nested in (False, True):
        weak, strong = (planted.models(3, samples=samples, nested=nested) for samples in (100, 1200))
        planted.stitches(strong, weak, _late_only, chance=int(nested))
        store = planted.commit()
        for name in ("more_data", "penalty_by_cut"):
            assert (NESTED in _ask(store, name).notes) == nested
    assert NESTED not in _ask(store, "zoo").notes


@pytest.mark.parametrize(("slope", "tendency"), [(2.0, "rising"), (-2.0, "falling"), (0.0, "undecided")])
def test_a_planted_trend_is_found(planted, slope, tendency):
    weak = planted.models(5, samples=100)
    for doublings in (1, 3, 5):
        strong = planted.models(5, samples=100 * 2**doublings)
        planted.stitches(strong, weak, lambda _, d=doublings: slope * d, chance=doublings, spread=0.5)
    planted.stitches(weak, weak, lambda depth: 0.0, spread=0.5)
    table = _ask(planted.commit(), "more_data")
    told = [row for row in table.rows.to_pylist() if row["trend_per_doubling"] is not None]
    assert [(row["a_samples"], row["cut"]) for row in told] == [(n, MEAN) for n in (3200, 800, 200, 100)]
    assert len({row["trend_per_doubling"] for row in told}) == 1
    assert told[0]["trend_per_doubling_low"] < slope < told[0]["trend_per_doubling_high"]
    assert told[0]["tendency"] == tendency
    (line,) = (line for line in caption(table) if line.startswith("Trend per doubling: "))
    assert line.startswith("Trend per doubling: B samples 100: ")
    assert line.endswith(f", {tendency}")
    assert not {"trend_per_doubling", "tendency"} & set(table.columns)


def test_two_levels_of_b_have_a_trend_each(planted):
    strong = [planted.models(3, samples=samples) for samples in (400, 800)]
    for top, slope in ((100, 1.0), (200, 5.0)):
        weak = planted.models(3, samples=top)
        for doublings, bottoms in enumerate(strong):
            planted.stitches(bottoms, weak, lambda _, g=slope * doublings: g, spread=0.01, noise=0.01)
    (line,) = (line for line in caption(_ask(planted.commit(), "more_data")) if line.startswith("Trend"))
    first, second = line.removeprefix("Trend per doubling: ").split("; ")
    assert first.startswith("B samples 100: +1.0")
    assert second.startswith("B samples 200: +5.0")


def test_one_level_of_a_has_no_trend(planted):
    planted.stitches(planted.models(3, samples=800), planted.models(3), _late_only)
    table = _ask(planted.commit(), "more_data")
    assert set(table.rows["trend_per_doubling"].to_pylist()) == {None}
    assert not [line for line in caption(table) if line.startswith("Trend")]


def test_the_training_trend_follows_one_schedule(planted):
    """Ages 100, 200, 400 of five runs, 3 points a doubling; runs whose whole schedule is 100 or 800 stand apart."""
    runs = [f"{i:032x}" for i in range(5)]
    ages = [[planted.model(training=run, steps=steps, schedule_steps=400) for run in runs] for steps in (100, 200, 400)]
    for doublings, bottoms in enumerate(ages):
        for i, a in enumerate(bottoms):
            for j, b in enumerate(ages[0]):
                if a.task != b.task:
                    gain = 99.0 if i == j else 3.0 * doublings + 0.1 * (i - 2) * (doublings + 1)
                    planted.stitch(a, b, "block7", gain)
    for steps, gain in ((100, 0.0), (800, -6.0)):
        planted.stitches(planted.models(3, steps=steps), ages[0], lambda _, g=gain: g, cuts=["block7"], spread=0.01)
    rows = _rows(_ask(planted.commit(), "more_training"), cut=MEAN)
    assert {row["a_schedule_steps"]: round(row["trend_per_doubling"], 1) for row in rows} == {
        400: 3.0,
        100: -2.0,
        800: -2.0,
    }
    assert {row["tendency"] for row in rows if row["a_schedule_steps"] == 400} == {"rising"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"images": "sample"}, "none of: sampled, fixed"),
        ({"images": 1}, "none of"),
        ({"margin": "one"}, "not a number"),
    ],
)
def test_a_parameter_that_cant_be_is_refused(empty, given, says):
    with pytest.raises(UsageError, match=says):
        _ask(empty, "more_data", parameters=given)


def test_claims_about_every_cut_hold_together(planted):
    """A margin that the weakest cut of one setting just passes: enough for one claim, not for two."""
    models = planted.models(6)
    planted.stitches(models, models, lambda depth: -0.5, chance=3)
    rows = _rows(_ask(planted.commit(), "connected"))
    edge = max(abs(row[end]) for row in rows[1:] for end in ("penalty_low", "penalty_high"))
    given = {"margin": 1.01 * edge}
    assert _ask(planted.store, "connected", parameters=given).rows["verdict"][0].as_py() == "connected"
    planted.stitches(models, models, lambda depth: -0.5, chance=3, stitcher="low_rank")
    table = _ask(planted.commit(), "connected", parameters=given)
    assert [row["verdict"] for row in _rows(table, cut="(every cut)")] == ["undecided", "undecided"]
    (line,) = (line for line in caption(table) if line.startswith("With: "))
    assert line.startswith(f"With: margin = {given['margin']} (points")


def test_verdicts_are_corrected_for_the_number_of_cuts(planted):
    """Twelve levels of noise: without a correction some of 120 intervals exclude 0, and are called better or worse."""
    weak = planted.models(3)
    for level in range(12):
        strong = planted.models(3, seed=10, samples=200 + level)
        planted.stitches(strong, weak, lambda depth: 0.0, spread=0.0, noise=2.0, chance=level)
    rows = [row for row in _ask(planted.commit(), "more_data").rows.to_pylist() if row["cut"] in dict(_cuts())]
    assert sum(row["gain_low"] > 0 or row["gain_high"] < 0 for row in rows) > 0
    assert {row["verdict"] for row in rows} == {"undecided"}


def _cuts():
    return [(name, depth) for name, _, depth in CUTS]


def test_intervals_cover_the_truth_of_other_models(planted):
    """Forty small zoos of 3 A and 3 B: the 95 % interval of the mean misses the planted gain rarely, where one that
    took the nine stitches for nine observations would miss it often."""
    random = np.random.default_rng(1)
    weak_samples = 100
    for level in range(40):
        weak = planted.models(3, samples=weak_samples + level)
        strong = planted.models(3, samples=5000 + level)
        planted.stitches(strong, weak, lambda depth: 2.0, cuts=["block7"], chance=int(random.integers(1 << 30)))
    rows = _rows(_ask(planted.commit(), "more_data"), cut="block7")
    missed = sum(not row["gain_low"] <= 2.0 <= row["gain_high"] for row in rows)
    assert len(rows) == 40
    assert missed <= 5


def test_the_zoo_counts_seeds(planted):
    for seed, error in enumerate([20.0, 22.0, 27.0]):
        planted.model(seed=seed, error=error)
    planted.models(2, steps=0, error=90.0)
    table = _ask(planted.commit(), "zoo")
    random, trained = sorted(table.rows.to_pylist(), key=lambda row: row["steps"])
    assert (trained["seeds"], trained["error"], trained["lowest"], trained["highest"]) == (3, 23.0, 20.0, 27.0)
    assert (random["seeds"], random["samples"], random["batch"]) == (2, 0, None)
    assert table.constants["batch"] == 128


def test_a_file_dropped_into_a_folder_is_a_table(demo, tmp_path):
    (tmp_path / "seeds.sql").write_text(
        "-- question: How many seeds are there?\n-- one row per: width\n-- read it as: a count\n"
        "SELECT width, count(DISTINCT seed) AS seeds FROM models GROUP BY ALL ORDER BY ALL\n"
    )
    (table,) = tables(demo, ["seeds"], [tmp_path])
    assert table.rows.to_pylist() == [{"width": 8, "seeds": 5}, {"width": 16, "seeds": 20}]
    assert tables(demo, analysis=[tmp_path])[-1].name == "seeds"


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT nothing FROM models", QueryError),
        ("COPY models TO 'out.csv'", QueryError),
        ("CREATE TABLE t AS SELECT 1", QueryError),
        ("SELECT 1; SELECT 2", QueryError),
    ],
)
def test_sql_that_is_no_question_is_refused(demo, tmp_path, monkeypatch, sql, error):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.sql"
    path.write_text(f"-- question: ?\n-- one row per: x\n-- read it as: y\n{sql}\n")
    with pytest.raises(error, match=r"bad\.sql"):
        tables(demo, ["bad"], [tmp_path])
    assert not Path("out.csv").exists()


def test_a_column_named_in_the_header_must_be_there(demo, tmp_path):
    path = tmp_path / "bad.sql"
    path.write_text("-- question: ?\n-- one row per: x\n-- read it as: y\n-- settings: z\nSELECT 1 AS x\n")
    with pytest.raises(UsageError, match="a column 'z'"):
        tables(demo, ["bad"], [tmp_path])


def test_an_unknown_table_is_told_its_neighbour(empty):
    with pytest.raises(UsageError, match="did you mean 'more_data'"):
        tables(empty, ["moredata"])


def test_a_job_sees_its_own_tasks(planted):
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    planted.stitches(strong, weak, _late_only)
    store = planted.commit()
    assert _ask(store, "zoo", only=[row.task for row in weak]).rows["seeds"].to_pylist() == [3]
    assert _ask(store, "more_data", only=[row.task for row in weak]).rows.num_rows == 0


def test_retrained_weights_are_remarked(planted):
    weak, strong = planted.models(2), planted.models(2, seed=10, samples=1200)
    planted.stitches(strong, weak, _late_only, cuts=["pool"])
    planted.stitch(strong[0], weak[0], "block1", 0.0, a_weights="e" * 64)
    (table,) = tables(planted.commit(), ["more_data"])
    assert table.remarks == ("1 stitch(es) used other weights of a model than the zoo now shows (retrained since).",)


def test_damage_is_remarked(planted):
    planted.models(2)
    store = planted.commit()
    (part,) = (Path(store.url) / "rows" / "models").glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    (table,) = tables(store, ["zoo"])
    assert table.rows.num_rows == 0
    assert table.remarks == ("1 damaged part(s) of the store are left out of every number here.",)
