import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.spec.job.grid import count, expand, misfits

NAMES = "abcdef"


@st.composite
def grids(draw):
    """Draw axes of distinct values, and groups of axes of equal length that are zipped."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5))
    axes = {name: list(range(draw(st.integers(1, 4)))) for name in names}
    groups: list[list[str]] = []
    for length in set(map(len, axes.values())):
        alike = [name for name in axes if len(axes[name]) == length]
        size = draw(st.integers(0, len(alike)))
        if size > 1:
            groups.append(draw(st.permutations(alike))[:size])
    return axes, groups


@given(grids())
def test_count_is_the_number_of_points(drawn):
    axes, zipped = drawn
    assert count(axes, zipped) == len(list(expand(axes, zipped)))


@given(grids())
def test_points_are_distinct_and_hold_every_axis_in_order(drawn):
    axes, zipped = drawn
    points = [tuple(point.items()) for point in expand(axes, zipped)]
    assert len(set(points)) == len(points)
    assert all([name for name, _ in point] == list(axes) for point in points)


@given(grids())
def test_every_value_is_used_and_zipped_axes_advance_together(drawn):
    axes, zipped = drawn
    points = list(expand(axes, zipped))
    for name, values in axes.items():
        assert {point[name] for point in points} == set(values)
    for group in zipped:
        assert all(len({point[name] for name in group}) == 1 for point in points)  # values are their own places


def test_the_last_axis_moves_fastest():
    points = list(expand({"a": [1, 2], "b": [3, 4], "c": [5, 6]}, [("c", "a")]))
    assert points == [
        {"a": 1, "b": 3, "c": 5},
        {"a": 1, "b": 4, "c": 5},
        {"a": 2, "b": 3, "c": 6},
        {"a": 2, "b": 4, "c": 6},
    ]


def test_a_grid_of_no_axes_has_one_point():
    assert list(expand({})) == [{}]
    assert count({}) == 1


def test_a_huge_grid_is_counted_without_expanding():
    axes = {name: range(1_000_000) for name in NAMES}
    assert count(axes) == 10**36
    assert next(expand(axes)) == dict.fromkeys(NAMES, 0)


@pytest.mark.parametrize(
    ("zipped", "what"),
    [
        ([("a", "x")], "no axis 'x' to zip"),
        ([("a", "b")], "zipped axes differ in length: a has 2, b has 3"),
        ([("a", "c"), ("c", "a")], "axis 'c' is zipped twice"),
        ([("a", "a")], "axis 'a' is zipped twice"),
    ],
)
def test_misfits(zipped, what):
    axes = {"a": [1, 2], "b": [1, 2, 3], "c": [1, 2]}
    assert what in misfits(axes, zipped)
    with pytest.raises(ValueError, match=what):
        count(axes, zipped)
