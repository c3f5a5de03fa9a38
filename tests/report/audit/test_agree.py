"""The rule that decides whether a store agrees with the paper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.report.audit.agree import StoreMean, compare_size, net_sign, order, sign
from sweeper.report.audit.curves import Reading

THREE = Reading(3.0, 0.1)
numbers = st.floats(-50, 50)
readings = st.builds(Reading, numbers, st.floats(0.001, 1))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.5, "same"),
        (-0.1, 0.5, "undecided"),
        (0.0, 0.5, "undecided"),
        (-0.5, -0.1, "opposite"),
        (None, None, "undecided"),
    ],
)
def test_sign_is_decided_by_the_interval(low, high, expected):
    assert sign(StoreMean(0.3, low, high), THREE) == expected


def test_a_value_of_0_within_its_reading_error_has_no_sign():
    assert sign(StoreMean(0.3, 0.1, 0.5), Reading(0.012, 0.024)) == "none"
    assert sign(StoreMean(0.3, None, None), Reading(0.012, 0.024)) == "none"


def test_a_net_sign_needs_a_control():
    assert net_sign(None, THREE) == "no control"
    assert net_sign(None, Reading(0.012, 0.024)) == "none"
    assert net_sign(StoreMean(0.3, 0.1, 0.5), THREE) == "same"
    assert net_sign(StoreMean(-0.3, -0.5, -0.1), THREE) == "opposite"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (2.5, 3.5, "agrees"),
        (1.9, 4.1, "agrees"),  # margin and reading error on either side
        (1.8, 3.0, "undecided"),
        (-9.0, 9.0, "undecided"),  # an interval that excludes nothing
        (4.2, 5.0, "disagrees"),
        (0.0, 1.8, "disagrees"),
        (None, None, "undecided"),
    ],
)
def test_size_agrees_within_the_margin(low, high, expected):
    assert compare_size(StoreMean(3.0, low, high), THREE, margin=1.0) == expected


@given(numbers, st.floats(0, 10), readings)
def test_a_mirrored_interval_has_the_opposite_sign(mean, half, paper):
    opposite_sign = {"same": "opposite", "opposite": "same"}
    here, mirrored = StoreMean(mean, mean - half, mean + half), StoreMean(-mean, -mean - half, -mean + half)
    verdict = sign(here, paper)
    assert sign(mirrored, paper) == opposite_sign.get(verdict, verdict)


@given(numbers, st.floats(0, 10), readings, st.floats(0, 5), st.floats(0, 5))
def test_a_wider_margin_keeps_every_agreement(mean, half, paper, margin, addition):
    here = StoreMean(mean, mean - half, mean + half)
    if compare_size(here, paper, margin) == "agrees":
        assert compare_size(here, paper, margin + addition) == "agrees"
    if compare_size(here, paper, margin + addition) == "disagrees":
        assert compare_size(here, paper, margin) == "disagrees"


def test_order_counts_pairs_of_curves_at_one_cut():
    high, low, close_to_low = Reading(5.0, 0.1), Reading(1.0, 0.1), Reading(1.15, 0.1)
    counts = order([[(9.0, high), (2.0, low), (1.0, close_to_low)], [(1.0, high), (2.0, low)], [(0.0, high)]])
    assert (counts.pairs, counts.same, counts.other) == (3, 2, 1)  # low and close_to_low have no order in the paper
    assert counts.tau == pytest.approx(1 / 3)
    assert order([[(9.0, high)]]).tau is None


@given(st.lists(st.lists(st.tuples(numbers, readings), max_size=4), max_size=4))
def test_tau_is_1_for_the_papers_values_and_minus_1_for_their_negatives(places):
    papers = [[(paper.value, paper) for _, paper in place] for place in places]
    if order(papers).pairs:
        assert order(papers).tau == 1
        assert order([[(-value, paper) for value, paper in place] for place in papers]).tau == -1
    assert -1 <= (order(places).tau or 0) <= 1
