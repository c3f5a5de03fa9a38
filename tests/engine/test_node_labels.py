"""Tests of selectors of nodes by their labels."""

import pytest

from sweeper.engine.node_labels import matches


@pytest.mark.parametrize(
    ("condition", "matched"),
    [
        ("A100", {"A100"}),
        ("!A100", {"H100", None}),
        ("in(A100, H100)", {"A100", "H100"}),
        ("in(A100,T4)", {"A100"}),
        ("!in(A100, H100)", {None}),
    ],
)
def test_a_condition_holds_as_in_ray(condition, matched):
    labels = {"A100", "H100", None}
    assert {label for label in labels if matches([("kind", condition)], {"kind": label} if label else {})} == matched


def test_all_conditions_must_hold():
    selector = [("kind", "A100"), ("zone", "!east")]
    assert matches(selector, {"kind": "A100", "zone": "west"})
    assert not matches(selector, {"kind": "A100", "zone": "east"})
    assert matches([], {})
