"""Verdicts and trends of net gains: A into B is compared with B into itself, not with B alone."""

import re

import pytest
from support.planted_store import MEAN, Planted, analysis_table, rows_of

from sweeper.report.charts.depth_points import depth_points
from sweeper.report.format import caption, lay_out
from sweeper.report.page import html
from sweeper.report.tables import CONTROL, NO_CONTROL, Table
from sweeper.spec.records.rows import StitchRow

# The stitcher's own effect: it sees more images than B, so that even B into itself gains.
OWN = 8.0
AXES = {"more_data": "samples", "more_width": "width", "more_training": "steps"}
LEVELS = {"samples": (100, 1200), "width": (8, 16), "steps": (50, 200)}


def plant_axis(planted: Planted, axis: str, net: float, control: float | None = OWN, **fields: object) -> None:
    """Plant five models at each of two levels; A of the higher level has a net gain, A of B's own level has none."""
    low, high = LEVELS[axis]
    weak = planted.models(5, **{axis: low})
    strong = planted.models(5, seed=10, **{axis: high})
    own = control or 0.0
    planted.stitches(strong, weak, lambda depth: own + net, spread=0.2, control=control, **fields)
    planted.stitches(weak, weak, lambda depth: own, spread=0.2, random_seed=1, **fields)


def equal_settings(table: Table) -> list[dict]:
    """Return the rows of an axis in which A and B have the same setting."""
    axis = AXES[table.name]
    return [row for row in rows_of(table) if row[f"a_{axis}"] == row[f"b_{axis}"]]


@pytest.mark.parametrize("data", ["full", "all", "top"])
@pytest.mark.parametrize("name", AXES)
def test_networks_of_equal_settings_are_not_better_because_the_stitcher_learns(planted: Planted, name, data):
    plant_axis(planted, AXES[name], net=0.0, data=data)
    table = analysis_table(planted.commit(), name)
    rows = [row for row in equal_settings(table) if row["verdict"] is not None]
    assert len(rows) > 8
    assert min(row["gain"] for row in rows) > 7
    assert {row["verdict"] for row in rows} == {CONTROL}
    assert all(-1 <= row["net_gain_low"] <= row["net_gain_high"] <= 1 for row in rows)
    assert {row["verdict"] for row in rows_of(table)} == {CONTROL, "as good", None}


@pytest.mark.parametrize(("net", "verdict"), [(5.0, "better"), (-5.0, "worse")])
@pytest.mark.parametrize("name", AXES)
def test_a_verdict_is_of_the_net_gain(planted: Planted, name, net, verdict):
    plant_axis(planted, AXES[name], net)
    table = analysis_table(planted.commit(), name)
    other, equal = rows_of(table, cut=MEAN)
    assert (other["verdict"], equal["verdict"]) == (verdict, CONTROL)
    assert other["gain"] - other["net_gain"] == pytest.approx(OWN)
    assert other["tendency"] == {"better": "rising", "worse": "falling"}[verdict]


def test_a_trend_is_of_the_net_gain(planted: Planted):
    """Stitches into B gain with A's samples only if B was not stitched to itself: of the controlled Bs, none gains."""
    weak, others = planted.models(5), planted.models(5, seed=5)
    for samples, gain in ((200, 10.0), (400, 20.0)):
        strong = planted.models(5, seed=10, samples=samples)
        planted.stitches(strong, weak, lambda depth: OWN, spread=0.1, control=OWN)
        planted.stitches(strong, others, lambda depth, gain=gain: gain, spread=0.1)
    row = rows_of(analysis_table(planted.commit(), "more_data"), cut=MEAN)[0]
    assert row["trend_per_doubling"] == pytest.approx(0, abs=0.2)
    assert row["tendency"] == "undecided"


@pytest.mark.parametrize("own", [-3.0, 0.0, OWN])
def test_a_negative_net_penalty_never_disconnects(planted: Planted, own):
    models = planted.models(5)
    planted.stitches(models, models, lambda depth: own + 20 * (depth - 0.5), spread=0.2, control=own)
    rows = rows_of(analysis_table(planted.commit(), "connected"))
    verdicts_below_0 = {row["verdict"] for row in rows if (row["net_penalty"] or 0) < -1}
    verdicts_above_0 = {row["verdict"] for row in rows if (row["net_penalty"] or 0) > 2}
    assert verdicts_below_0 == {"connected"}
    assert verdicts_above_0 == {"not connected"}
    assert rows[0]["verdict"] == "not connected"  # some cut is worse


def test_a_gain_of_the_stitcher_alone_does_not_disconnect(planted: Planted):
    """Networks of 100 images gain 8 points from 1,200 images of the stitcher, whichever network is A."""
    models = planted.models(5, samples=100)
    planted.stitches(models, models, lambda depth: OWN, spread=0.2, control=OWN)
    rows = rows_of(analysis_table(planted.commit(), "connected"))
    assert {row["verdict"] for row in rows if row["cut_kind"] is None} == {"connected"}
    assert rows[1]["penalty"] < -7


def test_a_random_bottom_that_only_the_stitcher_improves_is_not_better(planted: Planted):
    weak, random = planted.models(5), planted.models(5, seed=40, steps=0, error=90.0)
    planted.stitches(random, weak, lambda depth: OWN - 5, spread=0.2, control=OWN)
    planted.stitches(weak, weak, lambda depth: OWN, spread=0.2, random_seed=1)
    row = rows_of(analysis_table(planted.commit(), "random_control"), cut=MEAN)[0]
    assert row["verdict"] == "worse"
    assert row["net_penalty"] == pytest.approx(5, abs=0.5)
    assert row["trained_net_penalty"] == pytest.approx(0, abs=0.5)
    assert row["penalty"] == pytest.approx(row["net_penalty"] - OWN)


@pytest.mark.parametrize("name", ["more_data", "connected", "random_control"])
def test_without_self_stitches_there_is_no_verdict(planted: Planted, name):
    weak, random = planted.models(3), planted.models(3, seed=40, steps=0)
    planted.stitches(planted.models(3, seed=10, samples=1200), weak, lambda depth: 9.0)
    planted.stitches([*weak, *random], weak, lambda depth: 9.0)
    table = analysis_table(planted.commit(), name)
    rows = [row for row in rows_of(table) if row["verdict"] is not None]
    assert {row["verdict"] for row in rows} == {NO_CONTROL}
    assert f"Note: {len(rows)} of {len(rows)} rows have no verdict" in "\n".join(caption(table))
    assert {row.get("tendency") for row in rows} == {None}


def test_pairs_without_a_control_are_left_out_and_counted(planted: Planted):
    """Of five Bs three were stitched to themselves, one of them at one of the cuts only."""
    weak, strong = planted.models(5), planted.models(3, seed=10, samples=1200)
    for b, gain in zip(weak, (1.0, 2.0, 3.0, 50.0, 70.0), strict=True):
        planted.stitches(strong, [b], lambda depth, gain=gain: gain, cuts=["block6", "block7"], spread=0, noise=0)
    planted.self_stitches(weak[:2], 1.0, cuts=["block6", "block7"])
    planted.self_stitches(weak[2:3], 1.0, cuts=["block6"])
    table = analysis_table(planted.commit(), "more_data")
    columns = ("pairs", "pairs_without_control", "gain", "net_gain")
    rows = {row["cut"]: tuple(row[name] for name in columns) for row in rows_of(table)}
    assert rows[MEAN] == rows["block7"] == (6, 9, pytest.approx(1.5), pytest.approx(0.5))
    assert rows["block6"] == (9, 6, pytest.approx(2.0), pytest.approx(1.0))
    assert "pairs without control" in [column.title for column in lay_out(table).columns]
    assert "Note: 3 of 5 rows leave out pairs whose control is missing" in "\n".join(caption(table))


def test_a_control_of_another_setting_is_none(planted: Planted):
    """B into itself counts only with the same stitcher, its data and its seed."""
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: 9.0)
    for other in ({"data": "top"}, {"stitcher": "low_rank"}, {"seed": 1}, {"stop": "none"}, {"max_steps": 10}):
        planted.self_stitches(weak, OWN, **other)
    rows = rows_of(analysis_table(planted.commit(), "more_data"), cut=MEAN)
    assert [row["verdict"] for row in rows] == [NO_CONTROL]


@pytest.mark.parametrize("name", ["penalty_by_cut", "stitching_and_cka"])
def test_tables_without_verdicts_show_the_net_penalty_first(planted: Planted, name):
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: OWN, control=OWN, cuts=["block6"])
    for a in strong:
        for b in weak:
            planted.similarity(a, b, "block6", 0.5)
    table = analysis_table(planted.commit(), name)
    assert table.columns.index("net_penalty") < table.columns.index("penalty")
    assert abs(rows_of(table, a_samples=1200)[0]["net_penalty"]) < 2


def test_the_answers_of_the_page_state_net_numbers_alone(planted: Planted):
    plant_axis(planted, "samples", net=0.0)
    tables = [analysis_table(planted.commit(), name) for name in ("more_data", "connected")]
    page = html(planted.store, tables)
    answers = page[page.index('<section id="answers"') : page.index('<section id="more_data"')]
    assert (answers.count("net gain"), answers.count("net penalty")) == (1, 1)
    assert answers.count(" gain of") + answers.count(" penalty of") == 2
    assert re.findall(r'class="verdict ([a-z]*)">([a-z ]+)<', answers) == [("up", "as good"), ("up", "connected")]


def test_fixed_data_come_first(planted: Planted):
    for data in ("full", "top", "all"):
        plant_axis(planted, "samples", net=0.0, data=data)
    table = analysis_table(planted.commit(), "more_data")
    assert [row["data"] for row in rows_of(table, cut=MEAN, a_samples=1200)] == ["top", "all", "full"]


def test_a_chart_draws_net_gains_first_if_there_are_any(planted: Planted):
    plant_axis(planted, "samples", net=5.0)
    points = depth_points(analysis_table(planted.commit(), "more_data"))
    assert list(dict.fromkeys(point.quantity for point in points)) == ["net gain", "gain"]
    drawn = {p.cut: p.mean for p in points if p.quantity == "net gain" and dict(p.line.cells)["a_samples"] == "1200"}
    assert drawn["block7"] == pytest.approx(5, abs=0.5)


def test_a_chart_without_controls_draws_gains(planted: Planted):
    plant_axis(planted, "samples", net=5.0, control=None)
    points = depth_points(analysis_table(planted.commit(), "more_data"))
    assert {point.quantity for point in points} == {"gain"}
    assert {point.cut for point in points} >= {"(A alone)", "block7"}


def test_the_control_may_be_in_another_job_of_the_store(planted: Planted):
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: OWN, control=OWN)
    tasks = [row.task for row in planted.rows if not (isinstance(row, StitchRow) and row.a == row.b)]
    (row,) = rows_of(analysis_table(planted.commit(), "more_data", only=tasks), cut="block7")
    assert row["net_gain"] == pytest.approx(row["gain"] - OWN)
    assert row["verdict"] != NO_CONTROL
