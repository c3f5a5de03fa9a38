"""The rule by which a store agrees with the paper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.report.audit.agree import StoreMean, compare_size, order, sign
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
def test_sign_is_of_the_interval(low, high, expected):
    assert sign(StoreMean(0.3, low, high), THREE) == expected


def test_a_value_of_the_paper_that_may_be_0_has_no_sign():
    assert sign(StoreMean(0.3, 0.1, 0.5), Reading(0.012, 0.024)) == "none"
    assert sign(StoreMean(0.3, None, None), Reading(0.012, 0.024)) == "none"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (2.5, 3.5, "agrees"),
        (1.9, 4.1, "agrees"),  # margin and reading error on either side
        (1.8, 3.0, "undecided"),
        (-9.0, 9.0, "undecided"),  # knows nothing
        (4.2, 5.0, "disagrees"),
        (0.0, 1.8, "disagrees"),
        (None, None, "undecided"),
    ],
)
def test_size_agrees_within_the_margin(low, high, expected):
    assert compare_size(StoreMean(3.0, low, high), THREE, margin=1.0) == expected


@given(numbers, st.floats(0, 10), readings)
def test_turned_over_the_same_is_the_opposite(mean, half, paper):
    turn = {"same": "opposite", "opposite": "same"}
    here, turned = StoreMean(mean, mean - half, mean + half), StoreMean(-mean, -mean - half, -mean + half)
    found = sign(here, paper)
    assert sign(turned, paper) == turn.get(found, found)


@given(numbers, st.floats(0, 10), readings, st.floats(0, 5), st.floats(0, 5))
def test_a_wider_margin_takes_no_agreement_away(mean, half, paper, margin, more):
    here = StoreMean(mean, mean - half, mean + half)
    if compare_size(here, paper, margin) == "agrees":
        assert compare_size(here, paper, margin + more) == "agrees"
    if compare_size(here, paper, margin + more) == "disagrees":
        assert compare_size(here, paper, margin) == "disagrees"


def test_order_counts_pairs_of_curves_at_one_cut():
    high, low, near = Reading(5.0, 0.1), Reading(1.0, 0.1), Reading(1.15, 0.1)
    found = order([[(9.0, high), (2.0, low), (1.0, near)], [(1.0, high), (2.0, low)], [(0.0, high)]])
    assert (found.pairs, found.same, found.other) == (3, 2, 1)  # low and near have no order in the paper
    assert found.tau == pytest.approx(1 / 3)
    assert order([[(9.0, high)]]).tau is None


@given(st.lists(st.lists(st.tuples(numbers, readings), max_size=4), max_size=4))
def test_tau_of_the_paper_itself_is_1_and_turned_over_it_is_minus_1(places):
    papers = [[(paper.value, paper) for _, paper in place] for place in places]
    if order(papers).pairs:
        assert order(papers).tau == 1
        assert order([[(-value, paper) for value, paper in place] for place in papers]).tau == -1
    assert -1 <= (order(places).tau or 0) <= 1
