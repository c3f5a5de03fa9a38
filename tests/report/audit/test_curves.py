"""The paper's curves: the contents of the file, and the interpolation between markers."""

import csv
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.report.audit.curves import Curve, Reading, curves
from sweeper.resources import paper_dir

CURVES = {  # number of curves of each figure and quantity
    ("2A", "penalty"): 8, ("2B", "penalty"): 4, ("2C", "penalty"): 3, ("3A", "penalty"): 4, ("3B", "penalty"): 3,
    ("3C", "penalty"): 4, ("4", "test_error"): 3, ("5", "penalty"): 1, ("5", "one_minus_cka"): 1, ("6A", "cka"): 2,
    ("6B", "penalty"): 3, ("7", "cka"): 3, ("8", "penalty"): 2, ("9", "test_error"): 3,
}  # fmt: skip


def named(figure: str, name: str) -> Curve:
    """Return a curve of a figure by its name."""
    return next(curve for curve in curves() if (curve.figure, curve.name) == (figure, name))


def test_the_file_has_all_figures_and_curves_of_the_paper():
    all_curves = curves()
    groups = groupby(all_curves, key=lambda curve: (curve.figure, curve.quantity))
    assert {key: len(list(group)) for key, group in groups} == CURVES
    assert len({(curve.figure, curve.quantity, curve.name) for curve in all_curves}) == len(all_curves)


def test_rows_are_in_order_and_have_an_uncertainty():
    with (paper_dir() / "figures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 520
    assert all(float(row["uncertainty"]) > 0 for row in rows)
    for _, group in groupby(rows, key=lambda row: (row["figure"], row["series"], row["quantity"])):
        curve = list(group)
        xs = [float(row["x"]) for row in curve]
        assert xs == sorted(xs)
        orders = [int(row["order"]) for row in curve]
        assert orders == sorted(orders)
        assert len({row["unit"] for row in curve}) == 1


def test_penalty_curves_start_at_0():
    starts = [curve.points[0.0].value for curve in curves() if curve.quantity == "penalty" and 0.0 in curve.points]
    assert starts == [0.0] * 30


def test_a_marker_has_its_own_value_and_uncertainty():
    late = named("2C", "25K samples").at(18 / 19)
    assert late
    assert (late.value, late.uncertainty) == (pytest.approx(-22.272, abs=1e-3), pytest.approx(0.016, abs=1e-3))


def test_markers_with_the_same_x_are_averaged():
    """Read the random network of figure 2A at 17/18, where its markers are 33.617 and 33.350."""
    reading = named("2A", "Random Network").at(17 / 18)
    assert reading
    assert reading.value == pytest.approx(33.4835)
    assert reading.uncertainty > 0.1335


LINE = Curve("0", "line", "penalty", {0.0: Reading(0.0, 0.1), 0.5: Reading(2.0, 0.3), 1.0: Reading(-2.0, 0.1)})


@pytest.mark.parametrize(("x", "value", "uncertainty"), [(0.25, 1.0, 0.2), (0.5, 2.0, 0.3), (0.75, 0.0, 0.2)])
def test_values_between_markers_are_interpolated_linearly(x, value, uncertainty):
    assert LINE.at(x) == Reading(pytest.approx(value), pytest.approx(uncertainty))


def test_beyond_the_ends_there_is_no_value_except_for_rounding():
    assert LINE.at(1.01) is None
    assert LINE.at(-0.01) is None
    assert LINE.at(1.0004) == Reading(-2.0, 0.1)
    assert LINE.at(-0.0004) == Reading(0.0, 0.1)


@given(st.sampled_from(curves()), st.floats(0, 1))
def test_a_curve_stays_between_its_markers(curve, share):
    first, last = min(curve.points), max(curve.points)
    reading = curve.at(first + share * (last - first))
    assert reading
    values = [marker.value for marker in curve.points.values()]
    assert min(values) - 1e-9 <= reading.value <= max(values) + 1e-9
