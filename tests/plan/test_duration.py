"""Tests of durations in words."""

import pytest

from sweeper.plan.duration import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.6, "1 min 0 s"), (90, "1 min 30 s"), (7300, "2 h 1 min"), (200_000, "2 d 7 h")],
)
def test_durations_have_two_units(seconds, words):
    assert duration(seconds) == words
