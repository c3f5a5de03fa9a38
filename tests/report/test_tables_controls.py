"""The controls of a stitch: senders of labels and of noise, random bottoms, ranks, the stitcher's seeds, drift."""

import dataclasses
import re

import pytest
from support.planted_store import MEAN, Planted, analysis_table, rows_of

from sweeper.report.page import html
from sweeper.report.tables import tables
from sweeper.spec.records.rows import StitchRow

CUTS = ("block3", "block6", "block7")
GAIN = 4.0


def plant_claim(planted: Planted, drift: float = 0.4, agreement: float = 80.0, spread: float = 0.3, **fields):
    """Add stitches of four models on 1200 images into four on 100, with a gain of 4 points, and self-stitches of 0.3.

    Return the weak models and the strong ones.
    """
    weak, strong = planted.models(4, error=22.0), planted.models(4, seed=10, samples=1200, error=6.0)
    planted.stitches(
        strong, weak, lambda depth: GAIN, cuts=CUTS, spread=spread, drift=drift, agreement=agreement, **fields
    )
    for b in weak:
        for cut in CUTS:
            planted.stitch(b, b, cut, 0.3, drift=0.1, agreement=95.0)
    return weak, strong


def plant_sender(planted: Planted, bottoms, tops, sender: str, gain: float, cuts=CUTS, **fields):
    """Add stitches with a sender and a gain, of each top into itself if `bottoms` is empty."""
    for b in tops:
        for a in bottoms or [b]:
            for cut in cuts:
                planted.stitch(a, b, cut, gain, sender=sender, **fields)


def headline(planted: Planted, table: str = "more_data", **where) -> dict:
    (row,) = rows_of(analysis_table(planted.commit(), table), cut=MEAN, **where)
    return row


@pytest.mark.parametrize("own", [True, False], ids=["of A", "of B itself"])
@pytest.mark.parametrize(
    ("gain", "outcome", "caveats"),
    [
        (20.0, "does as well", "label sender does as well"),
        (GAIN, "does as well", "label sender does as well"),
        (-30.0, "does worse", None),
    ],
)
def test_a_label_sender_is_compared_with_the_stitch(planted: Planted, gain, outcome, caveats, own):
    weak, strong = plant_claim(planted)
    plant_sender(planted, strong if own else [], weak, "label", gain)
    assert headline(planted)["caveats"] == caveats
    table = analysis_table(planted.store, "controls")
    for cut in (MEAN, *CUTS):
        (row,) = rows_of(table, control="label sender", cut=cut)
        assert row["outcome"] == outcome
        assert row["extra_gain"] == pytest.approx(gain - rows_of(table, control="A into B", cut=cut)[0]["gain"])
        assert row["extra_gain_low"] < row["extra_gain"] < row["extra_gain_high"]
        assert rows_of(table, control="A into B", cut=cut)[0]["caveats"] == caveats


def test_a_control_is_undecided_where_its_interval_is_wide(planted: Planted):
    weak, strong = plant_claim(planted, spread=4.0)
    plant_sender(planted, strong, weak, "label", GAIN - 1)
    assert headline(planted)["caveats"] == "label sender undecided"


def test_a_noise_sender_that_does_as_well_is_a_caveat(planted: Planted):
    weak, strong = plant_claim(planted)
    plant_sender(planted, strong, weak, "noise", -68.0)
    assert headline(planted)["caveats"] is None
    plant_sender(planted, strong, weak, "label", GAIN)
    assert headline(planted)["caveats"] == "label sender does as well"
    for b in weak:  # another store's worth of noise, in another setting: at half the steps
        for a in strong:
            for cut in CUTS:
                planted.stitch(a, b, cut, 0.0, max_steps=150)
                planted.stitch(a, b, cut, 0.0, max_steps=150, sender="noise")
    assert headline(planted, max_steps=150)["caveats"] == "noise sender does as well"
    assert headline(planted, max_steps=300)["caveats"] == "label sender does as well"


@pytest.mark.parametrize(("drift", "caveats"), [(1.26, "drift above 1"), (1.0, None), (0.2, None), (None, None)])
def test_a_drift_above_1_is_a_caveat(planted: Planted, drift, caveats):
    plant_claim(planted, drift=drift)
    row = headline(planted)
    assert (row["drift"], row["caveats"]) == (pytest.approx(drift) if drift else None, caveats)
    assert row["agreement"] == pytest.approx(80)
    claim = rows_of(analysis_table(planted.store, "controls"), control="A into B", cut=MEAN)[0]
    assert (claim["drift"], claim["agreement"], claim["caveats"]) == (row["drift"], row["agreement"], caveats)


def test_a_mean_over_cuts_needs_the_control_at_each_of_them(planted: Planted):
    weak, strong = plant_claim(planted)
    plant_sender(planted, strong, weak, "label", 20.0, cuts=["block6"])
    table = analysis_table(planted.commit(), "more_data")
    assert rows_of(table, cut=MEAN)[0]["caveats"] is None
    assert rows_of(table, cut="block6")[0]["caveats"] == "label sender does as well"
    assert rows_of(table, cut="block7")[0]["caveats"] is None
    cuts = {row["cut"] for row in rows_of(analysis_table(planted.store, "controls"), control="label sender")}
    assert cuts == {"block6"}


@pytest.mark.parametrize("name", ["more_data", "connected", "random_control", "stitching_and_cka"])
def test_a_control_is_no_claim_and_changes_no_other_row(planted: Planted, name: str):
    weak, strong = plant_claim(planted)
    planted.stitches(weak, weak, lambda depth: -0.2, cuts=CUTS, random_seed=1)
    random = planted.models(4, seed=40, steps=0, error=90.0)
    planted.stitches(random, weak, lambda depth: -20.0, cuts=CUTS, random_seed=2)
    for a in strong:
        for b in weak:
            planted.similarity(a, b, "block6", 0.5)
    shown = ("verdict", "net_verdict", "gain", "net_gain", "penalty", "net_penalty", "pairs")
    before = analysis_table(planted.commit(), name).rows.to_pylist()
    for sender, gain in (("label", 20.0), ("noise", -70.0)):
        for bottoms in (strong, weak, random):
            plant_sender(planted, bottoms, weak, sender, gain)
    after = analysis_table(planted.commit(), name).rows.to_pylist()
    assert [{key: row.get(key) for key in shown} for row in after] == [
        {key: row.get(key) for key in shown} for row in before
    ]


def test_the_net_gain_of_a_control_is_against_bs_own_activation(planted: Planted):
    weak, _ = plant_claim(planted)
    plant_sender(planted, [], weak, "label", 12.0)
    rows = planted.commit().sql("SELECT DISTINCT net_gain FROM stitches WHERE sender = 'label'").to_pylist()
    assert [row["net_gain"] for row in rows] == [pytest.approx(11.7)]


def test_a_random_bottom_is_compared_with_a_trained_one(planted: Planted):
    weak, _ = plant_claim(planted)
    random = planted.models(5, seed=40, steps=0, error=90.0)
    planted.stitches(random, weak, lambda depth: GAIN if depth < 0.5 else -20.0, cuts=CUTS, random_seed=3, spread=0.2)
    table = analysis_table(planted.commit(), "controls")
    rows = {row["cut"]: row for row in rows_of(table, control="random bottom")}
    assert {cut: row["outcome"] for cut, row in rows.items()} == {
        "block3": "does as well", "block6": "does worse", "block7": "does worse", MEAN: "does worse",
    }  # fmt: skip
    assert rows["block6"]["pairs"] == 16  # of five random bottoms, as many as there are trained ones
    claims = {row["cut"]: row["caveats"] for row in rows_of(table, control="A into B")}
    assert claims == {"block3": "random bottom does as well", "block6": None, "block7": None, MEAN: None}
    assert {row["a_samples"] for row in rows_of(table)} == {1200}


def test_ranks_stand_beside_the_stitch_of_full_rank(planted: Planted):
    weak, strong = plant_claim(planted)
    for rank in (16, 1, 4):
        planted.stitches(
            strong, weak, lambda depth, rank=rank: GAIN - 6 / rank, cuts=CUTS,
            spread=0.3, stitcher="low_rank", options=f'{{"rank":{rank}}}',
        )  # fmt: skip
    rows = rows_of(analysis_table(planted.commit(), "controls"), cut="block6")
    assert [(row["control"], row["outcome"]) for row in rows] == [
        ("A into B", None),
        ("B into itself", "does worse"),
        ("rank 1", "does worse"),
        ("rank 4", "does worse"),
        ("rank 16", "does as well"),
    ]
    assert {row["stitcher"] for row in rows} == {"conv1x1"}


def test_a_stitch_of_low_rank_without_one_of_full_rank_is_a_claim_of_its_own(planted: Planted):
    plant_claim(planted, stitcher="low_rank", options='{"rank":2}')
    rows = rows_of(analysis_table(planted.commit(), "controls"), cut="block6")
    assert [(row["control"], row["stitcher"]) for row in rows] == [("A into B", "low_rank")]


def test_the_variance_of_the_stitchers_seed_is_a_component(planted: Planted):
    """Plant the gains of three seeds around a mean per pair that differs by the pair."""
    weak, strong = planted.models(3, error=22.0), planted.models(3, seed=10, samples=1200, error=6.0)
    for i, a in enumerate(strong):
        for j, b in enumerate(weak):
            for seed, shift in enumerate((-1.0, 0.0, 1.0)):
                for cut in CUTS:
                    planted.stitch(a, b, cut, 2.0 * i + 2.0 * j + shift, seed=seed)
    table = analysis_table(planted.commit(), "controls")
    pair_variance = sum((2 * i + 2 * j - 4) ** 2 for i in range(3) for j in range(3)) / 8 - 1 / 3
    for cut in (MEAN, "block6"):
        (row,) = rows_of(table, cut=cut)
        assert (row["seeds"], row["pairs"]) == (3, 9)
        assert row["seed_sd"] == pytest.approx(1.0)
        assert row["seed_share"] == pytest.approx(100 / (1 + pair_variance))


def test_one_seed_has_no_variance_of_seeds(planted: Planted):
    plant_claim(planted)
    row = headline(planted, "controls", control="A into B")
    assert (row["seeds"], row["seed_sd"], row["seed_share"]) == (1, None, None)


def test_controls_at_a_probe_come_last_and_stand_in_no_mean(planted: Planted):
    weak, strong = plant_claim(planted)
    probe = {"affine_top": True, "probe_only": True}
    planted.stitches(strong, weak, lambda depth: 9.0, cuts=["pool"], **probe)
    plant_sender(planted, strong, weak, "label", 20.0, cuts=["pool"], **probe)
    table = analysis_table(planted.commit(), "controls")
    assert rows_of(table)[-1]["cut"] == "pool"
    assert {row["cut_kind"] for row in rows_of(table, cut="pool")} == {"linear probe of A"}
    assert not rows_of(table, cut=MEAN, control="label sender")
    assert rows_of(analysis_table(planted.store, "more_data"), cut="pool")[0]["caveats"] == "label sender does as well"


def test_the_answers_of_the_page_show_the_caveats_beside_the_verdict(planted: Planted):
    weak, strong = plant_claim(planted, drift=1.3)
    plant_sender(planted, strong, weak, "label", 20.0)
    store = planted.commit()
    page = html(store, tables(store))
    answer = re.search(r'<h3><a href="#more_data">.*?</li>', page, re.DOTALL)
    assert answer is not None
    assert '<span class="verdict up">better</span>' in answer[0]
    assert '<span class="caveats">Caveats: label sender does as well; drift above 1.</span>' in answer[0]
    assert 'id="controls"' in page


def test_every_cut_has_the_caveats_of_any_cut(planted: Planted):
    models = planted.models(4)
    planted.stitches(models, models, lambda depth: 0.0, cuts=CUTS, spread=0.1, drift=0.5)
    plant_sender(planted, [], models, "network", 0.0)
    plant_sender(planted, [], models, "label", 10.0, cuts=["block6"])
    rows = {row["cut"]: row for row in rows_of(analysis_table(planted.commit(), "connected"))}
    assert {cut: row["caveats"] for cut, row in rows.items()} == {
        "(every cut)": "label sender does as well",
        "block3": None,
        "block6": "label sender does as well",
        "block7": None,
    }
    assert {row["verdict"] for row in rows.values()} == {"connected"}
    assert rows["block6"]["drift"] == pytest.approx(0.5)


def test_a_connection_without_caveats_has_none(planted: Planted):
    models = planted.models(4)
    planted.stitches(models, models, lambda depth: 0.0, cuts=CUTS, spread=0.1, drift=0.5)
    assert {row["caveats"] for row in rows_of(analysis_table(planted.commit(), "connected"))} == {None}


@pytest.mark.parametrize(("every", "caveats"), [(1, None), (30, None), (8, "not converged"), (2, "not converged")])
def test_less_than_90_percent_of_converged_stitches_is_a_caveat(planted: Planted, every: int, caveats):
    """Let one of `every` stitches at a cut be unconverged; one of one: none."""
    plant_claim(planted)
    planted.rows[:] = [
        dataclasses.replace(row, converged=every == 1 or index % every != 0) if isinstance(row, StitchRow) else row
        for index, row in enumerate(planted.rows)
    ]
    row = headline(planted)
    assert row["caveats"] == caveats
    assert row["converged"] == pytest.approx(100 * (1 - 1 / every) if every > 1 else 100, abs=4)
