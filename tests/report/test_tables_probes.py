"""Cuts that only probe A, and cuts that repeat another: shown apart, in no headline, in no correction."""

import shutil
from pathlib import Path

import pytest
from support.planted_store import CUTS, MEAN, Planted, analysis_table, rows_of

from sweeper.report.charts.depth_points import depth_points
from sweeper.report.format import caption, lay_out
from sweeper.report.page import html
from sweeper.report.tables import ONLY_PROBES, tables
from sweeper.store.store import Store

FIXTURE = Path(__file__).parents[1] / "fixtures" / "store-before-probes"
PROBES = ("block8", "pool")
LINEAR = {"affine_top": True, "probe_only": True}


def plant(planted: Planted, bottoms, tops, gain: float, probe_gain: float, cuts=CUTS, **fields: object) -> None:
    """Add stitches with one gain at block8 and pool, as linear probes, and another at all other cuts."""
    for cut, *_ in cuts:
        kind = LINEAR if cut in PROBES else {}
        effect = probe_gain if cut in PROBES else gain
        planted.stitches(
            bottoms, tops, lambda depth, effect=effect: effect, cuts=[cut], control=0.0, **{**kind, **fields}
        )


def test_a_linear_probe_stands_in_no_headline_and_comes_last(planted: Planted):
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    plant(planted, strong, weak, gain=0.0, probe_gain=9.0, spread=0.0)
    table = analysis_table(planted.commit(), "more_data")
    (headline,) = rows_of(table, cut=MEAN)
    assert abs(headline["gain"]) < 0.5
    assert headline["verdict"] != "better"
    assert [row["cut"] for row in rows_of(table)][-3:] == ["(A alone)", *PROBES]
    for row in rows_of(table, cut_kind="linear probe of A"):
        assert row["gain"] > 8
        assert row["verdict"] is None
    assert {row["cut"] for row in rows_of(table, cut_kind=None)}.isdisjoint(PROBES)


@pytest.mark.parametrize("name", ["more_data", "connected", "random_control"])
def test_probes_change_no_other_row(planted: Planted, name: str):
    """The correction counts the other cuts alone: with probes in the store, all other rows are the same."""
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    random = planted.models(3, seed=40, steps=0, error=90.0)
    others = [cut for cut in CUTS if cut[0] not in PROBES]
    for bottoms in (strong, weak, random):
        plant(planted, bottoms, weak, gain=0.4, probe_gain=9.0, cuts=others, random_seed=1)
    before = analysis_table(planted.commit(), name).rows.to_pylist()
    for bottoms in (strong, weak, random):
        plant(planted, bottoms, weak, gain=0.4, probe_gain=0.0, cuts=CUTS[-2:], random_seed=2, noise=3.0)
    table = analysis_table(planted.commit(), name)
    assert [row for row in rows_of(table) if row["cut"] not in PROBES] == before
    assert {row["cut"] for row in rows_of(table, cut_kind="linear probe of A")} == set(PROBES)


def test_a_penalty_at_a_probe_does_not_disconnect(planted: Planted):
    models = planted.models(5)
    plant(planted, models, models, gain=0.0, probe_gain=-20.0, spread=0.1)
    rows = rows_of(analysis_table(planted.commit(), "connected"))
    assert rows[0]["cut"] == "(every cut)"
    assert rows[0]["verdict"] == "connected"
    assert [row["cut"] for row in rows[-2:]] == list(PROBES)
    assert {row["verdict"] for row in rows[-2:]} == {None}


def test_without_other_cuts_there_is_no_headline_and_a_note_says_why(planted: Planted):
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    plant(planted, [*strong, *weak], weak, gain=0.0, probe_gain=9.0, cuts=CUTS[-2:])
    for name, comparisons in (("more_data", 2), ("connected", 1)):
        table = analysis_table(planted.commit() if planted.rows else planted.store, name)
        assert not [row for row in rows_of(table) if row["cut"] in (MEAN, "(every cut)")]
        assert f"Note: {ONLY_PROBES.format(count=comparisons, all=comparisons)}" in caption(table)
    assert ONLY_PROBES.split("}")[-1] in html(planted.store, tables(planted.store)).replace("&#39;", "'")


def test_a_stitcher_that_is_not_affine_still_only_probes(planted: Planted):
    weak, strong = planted.models(3), planted.models(3, seed=10, samples=1200)
    plant(planted, strong, weak, gain=0.0, probe_gain=9.0, probe_only=False)
    table = analysis_table(planted.commit(), "more_data")
    assert {row["cut"] for row in rows_of(table, cut_kind="probe of A")} == set(PROBES)
    assert abs(rows_of(table, cut=MEAN)[0]["gain"]) < 2


def test_cuts_that_are_the_same_networks_count_once(planted: Planted):
    """Block 6 repeats block 5, so the mean over blocks 5 to 7 is that of 5 and 7."""
    weak, strong = planted.models(2), planted.models(2, seed=10, samples=1200)
    for cut, gain in (("block5", 2.0), ("block6", 50.0), ("block7", 3.0)):
        for a in strong:
            for b in weak:
                planted.stitch(a, b, cut, gain, same_as="block5" if cut == "block6" else None)
    table = analysis_table(planted.commit(), "more_data")
    assert rows_of(table, cut=MEAN)[0]["gain"] == 2.5
    (repeated,) = rows_of(table, cut="block6")
    assert repeated["cut_kind"] == "same as block5"
    assert repeated["verdict"] is None


def test_a_cut_whose_twin_was_not_stitched_counts(planted: Planted):
    weak, strong = planted.models(2), planted.models(2, seed=10, samples=1200)
    for a in strong:
        for b in weak:
            planted.stitch(a, b, "block6", 4.0, same_as="block5")
    table = analysis_table(planted.commit(), "more_data")
    assert rows_of(table, cut=MEAN)[0]["gain"] == 4.0
    assert rows_of(table, cut="block6")[0]["cut_kind"] is None
    assert "cut_kind" not in table.columns


def test_the_penalties_of_probes_come_after_those_of_other_cuts(planted: Planted):
    weak = planted.models(2)
    plant(planted, weak, weak, gain=0.0, probe_gain=0.0)
    rows = rows_of(analysis_table(planted.commit(), "penalty_by_cut"), relation="other run")
    assert [row["cut_kind"] for row in rows] == [None] * 8 + ["linear probe of A"] * 2


def test_the_page_and_the_chart_show_probes_apart(planted: Planted):
    weak, strong = planted.models(2), planted.models(2, seed=10, samples=1200)
    plant(planted, strong, weak, gain=0.0, probe_gain=9.0)
    table = analysis_table(planted.commit(), "more_data")
    assert {point.cut for point in depth_points(table) if point.kind == "apart"} == set(PROBES)
    assert "cut kind" in [column.title for column in lay_out(table).columns]
    page = html(planted.store, [table])
    assert page.count('<tr class="apart">') == 2
    assert page.count('<tr class="headline">') == 1


def test_stitches_of_an_older_version_are_probes_by_the_names_of_their_architecture(tmp_path: Path):
    """The store was written once by `tests/fixtures/make_store_before_probes.py`, before rows had the columns."""
    store = Store.open(shutil.copytree(FIXTURE, tmp_path / "store").as_posix())
    assert store.damage == []
    answer = store.sql(
        "SELECT DISTINCT cut_b, affine_top, probe_only, same_as FROM stitches ORDER BY cut_b"
    ).to_pylist()
    assert [list(row.values()) for row in answer] == [
        ["block4", False, False, None], ["block6", False, False, None], ["block7", False, False, None],
        ["block8", True, True, None], ["pool", True, True, None],
    ]  # fmt: skip
    headlines = rows_of(analysis_table(store, "more_data"), cut=MEAN, a_samples=1200)
    assert [row["gain"] for row in headlines] == [2.5]


def test_stitches_of_an_older_version_in_an_unknown_architecture_count_as_before(planted: Planted):
    weak = planted.models(2, arch="torchvision:resnet18")
    strong = planted.models(2, seed=10, samples=1200, arch="torchvision:resnet18")
    plant(planted, strong, weak, gain=9.0, probe_gain=9.0, spread=0.0, noise=0.0, affine_top=None, probe_only=None)
    table = analysis_table(planted.commit(), "more_data")
    assert "cut_kind" not in table.columns
    assert len([row for row in rows_of(table) if row["verdict"] is not None]) == 11
