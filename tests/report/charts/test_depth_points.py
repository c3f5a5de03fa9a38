"""Points by depth: the numbers and signs of the table, and both ends of each line."""

import pytest
from support.planted_store import analysis_table, rows_of

from sweeper.report.charts.depth_points import depth_points


def of_level(points, samples: int) -> list:
    return [point for point in points if dict(point.line.cells)["a_samples"] == str(samples)]


def test_points_have_the_numbers_and_the_sign_of_the_table(demo_tables):
    for name, quantity in (("more_data", "net gain"), ("more_data", "gain"), ("connected", "net penalty")):
        rows = demo_tables[name].rows.to_pylist()
        points = [p for p in depth_points(demo_tables[name]) if p.quantity == quantity and p.kind == "cut"]
        assert len(points) == 20
        for p in points:
            row = rows[p.row]
            column = quantity.replace(" ", "_")
            assert (p.cut, p.depth, p.mean) == (row["cut"], row["depth"], row[column])
            assert (p.low, p.high) == (row[f"{column}_low"], row[f"{column}_high"])
            assert p.low <= p.mean <= p.high


@pytest.mark.parametrize("quantity", ["gain", "net gain"])
def test_a_line_runs_from_b_alone_to_a_alone(demo_tables, quantity):
    points = [p for p in depth_points(demo_tables["more_data"]) if p.quantity == quantity]
    for samples, gain_of_a in ((1200, 16.0), (100, 0.0)):
        ends = {p.depth: p for p in of_level(points, samples) if p.kind == "end"}
        assert {depth: (p.cut, p.mean) for depth, p in ends.items()} == {
            0: ("(B alone)", 0),
            1: ("(A alone)", gain_of_a),
        }


def test_b_alone_is_added_if_a_table_lacks_it(demo_tables):
    starts = [p for p in depth_points(demo_tables["random_control"]) if p.depth == 0]
    assert {(p.line.measured, p.quantity) for p in starts} == {
        ("random bottom", "net penalty"), ("trained bottom", "net penalty"),
        ("random bottom", "penalty"), ("trained bottom", "penalty"),
    }  # fmt: skip
    assert {(p.mean, p.row) for p in starts} == {(0.0, None)}


def test_each_control_has_its_own_line_and_extra_gains_have_no_start(demo_tables):
    points = depth_points(demo_tables["controls"])
    assert {dict(p.line.cells)["control"] for p in points} == {"A into B", "B into itself", "random bottom"}
    assert {p.quantity for p in points if p.depth == 0} == {"gain"}


def test_each_protocol_has_its_own_line(planted):
    weak, strong = planted.models(2), planted.models(2, seed=10, samples=1200)
    for protocol in ("strict", "paper"):
        planted.stitches(strong, weak, lambda depth: 1.0, protocol=protocol)
    points = depth_points(analysis_table(planted.commit(), "more_data"))
    assert {dict(p.line.cells)["protocol"] for p in points} == {"strict", "paper"}


def test_pairs_of_different_cuts_are_on_no_line(planted):
    a, b = planted.models(2)
    for cut_a, cut_b in (("block2", "block2"), ("block2", "block6"), ("block6", "block6"), ("block6", "block2")):
        planted.stitch(a, b, cut_b, 1.0, cut_a=cut_a)
    table = analysis_table(planted.commit(), "penalty_by_cut")
    assert len(rows_of(table)) == 4
    assert [p.cut for p in depth_points(table)] == ["(B alone)", "block2", "block6"]


def test_tables_without_depth_have_no_points(demo_tables):
    assert depth_points(demo_tables["zoo"]) == []
