"""Tests of the grid of axes: its points, their order and number, and mistakes in zipped axes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.spec.job.grid import count, expand, misfits

NAMES = "abcdef"


@st.composite
def grids(draw):
    """Draw (axes, zipped groups): the values of an axis are 0, 1, ..., and the axes of a group have equal lengths."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5))
    axes = {name: list(range(draw(st.integers(1, 4)))) for name in names}
    groups: list[list[str]] = []
    for length in set(map(len, axes.values())):
        names_of_length = [name for name in axes if len(axes[name]) == length]
        size = draw(st.integers(0, len(names_of_length)))
        if size > 1:
            groups.append(draw(st.permutations(names_of_length))[:size])
    return axes, groups


@given(grids())
def test_count_is_the_number_of_points(grid):
    axes, zipped = grid
    assert count(axes, zipped) == len(list(expand(axes, zipped)))


@given(grids())
def test_points_are_distinct_and_have_every_axis_in_order(grid):
    axes, zipped = grid
    points = [tuple(point.items()) for point in expand(axes, zipped)]
    assert len(set(points)) == len(points)
    assert all([name for name, _ in point] == list(axes) for point in points)


@given(grids())
def test_every_value_is_used_and_zipped_axes_advance_together(grid):
    axes, zipped = grid
    points = list(expand(axes, zipped))
    for name, values in axes.items():
        assert {point[name] for point in points} == set(values)
    for group in zipped:
        assert all(len({point[name] for name in group}) == 1 for point in points)  # a value is its position on the axis


def test_the_last_axis_varies_fastest():
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
    ("zipped", "message"),
    [
        ([("a", "x")], "no axis 'x' to zip"),
        ([("a", "b")], "zipped axes differ in length: a has 2, b has 3"),
        ([("a", "c"), ("c", "a")], "axis 'c' is zipped twice"),
        ([("a", "a")], "axis 'a' is zipped twice"),
    ],
)
def test_unknown_unequal_or_repeated_axes_can_not_be_zipped(zipped, message):
    axes = {"a": [1, 2], "b": [1, 2, 3], "c": [1, 2]}
    assert message in misfits(axes, zipped)
    with pytest.raises(ValueError, match=message):
        count(axes, zipped)
