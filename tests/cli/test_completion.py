"""Tests of the words that complete a query."""

import pytest

from sweeper.cli.completion import Completion, completion_of_store

NAMES = Completion({"models": ["seed", "samples"], "stitches": ["penalty", "a"]}, ["compare"])


@pytest.mark.parametrize(
    ("before", "beginning", "words"),
    [
        ("FROM ", "", ["compare(", "models", "stitches"]),
        ("SELECT 1 from ", "m", ["models"]),
        ("FROM models JOIN ", "st", ["stitches"]),
        ("SELECT ", "se", ["SELECT", "seed"]),
        ("SELECT ", "PEN", ["penalty"]),
        ("SELECT models.", "s", ["samples", "seed"]),
        ("SELECT m.", "pe", ["penalty"]),
        ("", "SEL", ["SELECT"]),
        ("SELECT ", "zzz", []),
    ],
)
def test_what_comes_before_decides_which_words_may_follow(before, beginning, words):
    assert NAMES.words(before, beginning) == words


def test_a_store_has_all_views_columns_and_macros():
    names = completion_of_store()
    assert {"models", "stitches", "failures", "runs"} <= set(names.columns_by_view)
    assert "net_gain" in names.columns_by_view["stitches"]
    assert "compare_along_axis(" in names.words("FROM ", "comp")
