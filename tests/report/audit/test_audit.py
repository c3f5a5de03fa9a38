"""The paper's figures beside stores with a planted truth."""

import json

import pytest
from support.audit_curves import RATIOS, line, more_data, only
from support.planted_store import CUTS

from sweeper.errors import UsageError
from sweeper.report.audit import show
from sweeper.report.audit.audit import audit
from sweeper.report.audit.definition import figures


def test_a_copy_of_the_papers_curves_agrees_everywhere(planted):
    more_data(planted)
    found = only(planted.commit(), "2C")
    assert len(found.points) == 3 * len(CUTS) + 2  # A alone, of those that are not B's twins
    assert {point.sign for point in found.points} == {"same"}
    assert {point.size for point in found.points} == {"agrees"}
    assert max(abs(point.difference) for point in found.points) < 0.02
    assert line(found).tau == 1
    assert line(found).ratio == pytest.approx(1, abs=0.01)
    assert (line(found).same_sign, line(found).with_sign, line(found).agrees) == (32, 32, 32)
    assert {name: line(found, name).level for name in RATIOS} == RATIOS
    assert found.absent == ()


def test_a_run_like_the_authors_differs_in_its_seeds_alone(planted):
    more_data(planted)
    deviations = {each.what: (each.paper, each.here) for each in only(planted.commit(), "2C").deviations}
    assert deviations == {
        "training runs of a curve, A's x B's": ("1 x 1", "2 x 2"),
        "B's own test error, %": (33.66, 33.66),
    }


def test_turned_over_it_disagrees(planted):
    more_data(planted, turn=-1)
    found = only(planted.commit(), "2C")
    assert {point.sign for point in found.points} == {"opposite"}
    apart = [point for point in found.points if abs(point.paper.value) > 0.6]
    assert {point.size for point in apart} == {"disagrees"}
    assert {point.size for point in found.points if point not in apart} == {"agrees"}  # within a point of each other
    assert line(found).tau == -1
    assert (line(found).same_sign, line(found).same, line(found).opposite) == (0, 0, 32)


def test_one_seed_has_no_interval_and_no_verdict(planted):
    """What its means say is still told: their signs, sizes and order."""
    more_data(planted, seeds=1)
    found = only(planted.commit(), "2C")
    assert {(point.here.low, point.sign, point.size) for point in found.points} == {(None, "undecided", "undecided")}
    assert (line(found).same_sign, line(found).tau, line(found).agrees, line(found).disagrees) == (32, 1, 0, 0)
    assert "training runs of a curve, A's x B's" not in [each.what for each in found.deviations]


def test_a_margin_of_the_users(planted):
    more_data(planted, turn=1.2)  # up to 4.5 points off
    store = planted.commit()
    assert line(only(store, "2C")).disagrees > 0
    assert line(only(store, "2C", parameters={"margin": 5})).disagrees == 0
    for wrong in ({"margins": 1}, {"margin": -1}, {"margin": "wide"}):
        with pytest.raises(UsageError, match="margin"):
            audit(store, parameters=wrong)


def test_an_empty_store_says_what_would_fill_it(empty):
    """And every figure's SQL can be asked."""
    found = audit(empty)
    assert [each.figure.name for each in found] == list(figures())
    assert not any(each.compared for each in found)
    lines = show.audits_as_text(found).splitlines()
    assert len(lines) == len(found)
    two_c = next(text for text in lines if text.startswith("figure 2C:"))
    assert "`sweeper run paper/more-data.small`" in two_c
    assert next(text for text in lines if text.startswith("figure 2B:")).endswith("by SwAV, DINO and SimCLR")
    assert json.loads(show.audits_as_json(found))[2]["missing"] == two_c
