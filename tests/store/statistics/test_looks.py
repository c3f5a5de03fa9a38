"""The levels of intervals at looks at growing data."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.store.statistics.looks import UNCORRECTED, level_at, level_at_next, share_of_look


def test_all_looks_together_have_at_most_the_whole_error():
    shares = [share_of_look(look) for look in range(1, 10_001)]
    totals = list(itertools.accumulate(shares))
    assert max(totals) <= 1
    assert totals[-1] == pytest.approx(1, abs=1e-4)  # nothing is wasted
    assert shares == sorted(shares, reverse=True)


@given(st.integers(1, 1000), st.integers(1, 100))
def test_the_confidence_grows_with_each_look_and_each_member_of_a_family(look: int, count: int):
    level = level_at(count, look)
    assert 0.95 < level < level_at(count, look + 1) < 1
    assert level < level_at(count + 1, look)
    assert level_at(count, UNCORRECTED) < level


@given(st.integers(1, 50), st.integers(1, 100))
def test_the_level_of_the_next_look_is_known_from_that_of_a_look(look: int, count: int):
    assert level_at_next(level_at(count, look), look) == pytest.approx(level_at(count, look + 1), abs=1e-12)


def test_an_uncorrected_interval_stays_at_its_level():
    assert level_at(1, UNCORRECTED) == level_at_next(0.95, UNCORRECTED) == 0.95
