"""Audits of stores with known effects."""

import itertools
import json

import pytest
from support.audit_curves import (
    RATIOS,
    STITCH,
    figure_audit,
    only_comparison,
    plant_more_data,
    plant_networks,
    summary_of,
)
from support.planted_store import CUTS

from sweeper.errors import UsageError
from sweeper.report.audit import show
from sweeper.report.audit.audit import audit
from sweeper.report.audit.definition import figures


def test_a_copy_of_the_papers_curves_agrees_everywhere(planted):
    plant_more_data(planted)
    comparison = only_comparison(planted.commit(), "2C")
    assert len(comparison.points) == 3 * len(CUTS) + 2  # A alone for the curves whose A and B differ in more than seeds
    assert {point.sign for point in comparison.points} == {"same"}
    assert {point.size for point in comparison.points} == {"agrees"}
    assert max(abs(point.difference) for point in comparison.points) < 0.02
    summary = summary_of(comparison)
    assert summary.tau == 1
    assert summary.ratio == pytest.approx(1, abs=0.01)
    assert (summary.same_sign, summary.with_sign, summary.agrees) == (32, 32, 32)
    assert {name: summary_of(comparison, name).level for name in RATIOS} == RATIOS
    assert comparison.absent == ()


def test_a_run_with_the_authors_settings_differs_only_in_its_seeds(planted):
    plant_more_data(planted)
    deviations = {
        deviation.what: (deviation.paper, deviation.here)
        for deviation in only_comparison(planted.commit(), "2C").deviations
    }
    assert deviations == {
        "training runs of a curve, A's x B's": ("1 x 1", "2 x 2"),
        "B's own test error, %": (33.66, 33.66),
    }


def test_curves_of_the_opposite_sign_disagree(planted):
    plant_more_data(planted, factor=-1)
    comparison = only_comparison(planted.commit(), "2C")
    assert {point.sign for point in comparison.points} == {"opposite"}
    large_points = [point for point in comparison.points if abs(point.paper.value) > 0.6]
    assert {point.size for point in large_points} == {"disagrees"}
    small_points = [point for point in comparison.points if point not in large_points]
    assert {point.size for point in small_points} == {"agrees"}  # value and negative differ by less than the margin
    summary = summary_of(comparison)
    assert summary.tau == -1
    assert (summary.same_sign, summary.same, summary.opposite) == (0, 0, 32)


def test_one_seed_has_no_interval_and_no_verdict(planted):
    """Check that the summary still counts the signs and the order of the means."""
    plant_more_data(planted, seeds=1)
    comparison = only_comparison(planted.commit(), "2C")
    verdicts = {(point.here.low, point.sign, point.size) for point in comparison.points}
    assert verdicts == {(None, "undecided", "undecided")}
    summary = summary_of(comparison)
    assert (summary.same_sign, summary.tau, summary.agrees, summary.disagrees) == (32, 1, 0, 0)
    assert "training runs of a curve, A's x B's" not in [deviation.what for deviation in comparison.deviations]


def test_the_margin_can_be_set(planted):
    plant_more_data(planted, factor=1.2)  # up to 4.5 points off
    store = planted.commit()
    assert summary_of(only_comparison(store, "2C")).disagrees > 0
    assert summary_of(only_comparison(store, "2C", parameters={"margin": 5})).disagrees == 0
    for parameters in ({"margins": 1}, {"margin": -1}, {"margin": "wide"}):
        with pytest.raises(UsageError, match="margin"):
            audit(store, parameters=parameters)


def test_an_empty_store_names_the_jobs_that_would_fill_it(empty):
    """Audit all figures, so that the SQL of each runs as well."""
    audits = audit(empty)
    assert [result.figure.name for result in audits] == list(figures())
    assert not any(result.compared for result in audits)
    lines = show.audits_as_text(audits).splitlines()
    assert len(lines) == len(audits)
    line_of_2c = next(text for text in lines if text.startswith("figure 2C:"))
    assert "`sweeper run paper/more-data.small`" in line_of_2c
    assert next(text for text in lines if text.startswith("figure 2B:")).endswith("by SwAV, DINO and SimCLR")
    assert json.loads(show.audits_as_json(audits))[2]["missing"] == line_of_2c


def test_probes_are_points_but_are_in_no_summary(planted):
    tops, bottoms = planted.models(2, samples=100), planted.models(2, seed=10, samples=50)
    for a, b in itertools.product(bottoms, tops):
        planted.stitch(a, b, "block6", -5.0)
        for cut in ("block8", "pool"):
            planted.stitch(
                a, b, cut, -9.0, affine_top=True, probe_only=True, same_as="block8" if cut == "pool" else None
            )
    comparison = only_comparison(planted.commit(), "2C")
    kinds = {point.cut: point.cut_kind for point in comparison.points}
    assert kinds == {"block6": None, "block8": "linear probe of A", "pool": "linear probe of A", "(A alone)": None}
    assert summary_of(comparison).points == 2


def test_the_first_verdict_is_of_the_net_penalty(planted):
    """Plant penalties with the paper's signs that are the stitcher's: the net penalties have other signs."""
    tops = planted.models(3, samples=100)
    for samples, penalty in ((100, -7.0), (250, -21.0)):
        bottoms = tops if samples == 100 else planted.models(3, seed=10, samples=samples)
        planted.stitches(bottoms, tops, lambda depth, gain=-penalty: gain, cuts=["block7"], spread=0.2)
    planted.self_stitches(tops, 21.0)
    comparison = only_comparison(planted.commit(), "2C")
    signs = {point.curve: (point.net_sign, point.sign) for point in comparison.points if point.cut == "block7"}
    assert signs == {"10K samples": ("opposite", "same"), "25K samples": ("undecided", "same")}
    summary = summary_of(comparison)
    assert (summary.net_same, summary.net_opposite, summary.same, summary.opposite) == (0, 1, 2, 0)
    table = show.audit_tables(figure_audit(planted.store, "2C"))[0]
    assert table.columns.index("net_sign") < table.columns.index("sign")
    assert [point.net_sign for point in comparison.points if point.cut == "(A alone)"] == [None]


def test_without_self_stitches_a_place_has_no_control(planted):
    plant_more_data(planted)
    comparison = only_comparison(planted.commit(), "2C")
    assert {point.net_sign for point in comparison.points if point.cut != "(A alone)"} == {"no control"}
    assert summary_of(comparison).net_same == 0


def test_pairs_without_a_control_are_left_out_where_others_have_one(planted):
    tops = planted.models(4, samples=100)
    for b, penalty in zip(tops, (-1.0, -2.0, -3.0, -50.0), strict=True):
        planted.stitches(
            planted.models(2, seed=10, samples=250), [b], lambda _, p=penalty: -p, cuts=["block7"], spread=0, noise=0
        )
    planted.self_stitches(tops[:3], 1.0)
    (point,) = (p for p in only_comparison(planted.commit(), "2C").points if p.cut == "block7")
    assert (point.pairs, point.here.mean, point.net.mean) == (6, pytest.approx(-2), pytest.approx(-1))


def test_errors_have_no_net_sign(planted):
    tops = plant_networks(planted, 3, error=8.0)
    for a, b in itertools.permutations(tops, 2):
        planted.stitch(a, b, "block5", -3.0, **STITCH, stitcher="conv", options='{"depth":1,"kernel":1,"norm":true}')
    comparison = only_comparison(planted.commit(), "4")
    assert {(point.net, point.net_sign) for point in comparison.points} == {(None, None)}
    assert "net_sign" not in show.audit_tables(figure_audit(planted.store, "4"))[0].columns
