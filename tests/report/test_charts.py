"""Charts: their points, and that the SVG contains only drawing elements."""

import xml.etree.ElementTree as ElementTree

import pytest

from sweeper.report import charts
from sweeper.report.tables import tables

vl_convert = pytest.importorskip("vl_convert")


def test_points_turn_gains_into_penalties(demo_tables):
    table = demo_tables["more_data"]
    rows = {(row["a_samples"], row["cut"]): row for row in table.rows.to_pylist()}
    points_by_line_and_cut = {(p.line, p.cut): p for p in charts.points(table)}
    assert {line for line, _ in points_by_line_and_cut} == {
        "A samples 1200 → B samples 100",
        "A samples 100 → B samples 100",
    }
    row, p = rows[1200, "pool"], points_by_line_and_cut["A samples 1200 → B samples 100", "pool"]
    net_penalty = (-row["net_gain"], -row["net_gain_high"], -row["net_gain_low"])
    assert (p.depth, p.penalty, p.low, p.high) == (row["depth"], *net_penalty)
    assert all(p.low <= p.penalty <= p.high for p in points_by_line_and_cut.values() if p.low is not None)


def test_a_line_of_penalties_runs_from_b_alone_to_a_alone(planted):
    weak, strong = planted.models(2, error=22.0), planted.models(2, seed=10, samples=1200, error=6.0)
    planted.stitches(
        [*weak, *strong], weak, lambda depth: 1.0
    )  # without self-stitches, so the chart is not of net gains
    (table,) = tables(planted.commit(), ["more_data"])
    for line in {p.line for p in charts.points(table)}:
        ends = {p.depth: p for p in charts.points(table) if p.line == line and p.depth in (0, 1)}
        assert ends[0].penalty == 0
        assert ends[1].penalty == (-16.0 if "1200 →" in line else 0.0)


def test_b_alone_is_added_if_a_table_lacks_it(demo_tables):
    starts = [p for p in charts.points(demo_tables["random_control"]) if p.depth == 0]
    assert {p.line for p in starts} == {
        "samples 100 · steps 200 · net penalty",
        "samples 100 · steps 200 · trained net penalty",
    }
    assert {p.penalty for p in starts} == {0.0}


def test_each_protocol_has_its_own_line(planted):
    weak, strong = planted.models(2), planted.models(2, seed=10, samples=1200)
    for protocol in ("strict", "paper"):
        planted.stitches(strong, weak, lambda depth: 1.0, protocol=protocol)
    (table,) = tables(planted.commit(), ["more_data"])
    assert {p.line.split(" · ")[1] for p in charts.points(table)} == {"protocol strict", "protocol paper"}


def test_tables_without_depth_have_no_penalty_chart(demo_tables, empty):
    assert charts.penalty_by_depth(demo_tables["zoo"]) is None
    for table in tables(empty):
        assert charts.penalty_by_depth(table) is None
        assert charts.zoo_errors(table) is None


def test_a_chart_with_too_many_lines_is_not_drawn(planted):
    weak = planted.models(1)
    for level in range(charts.LINES + 1):
        planted.stitches(planted.models(1, samples=1000 + level), weak, lambda depth: 1.0, cuts=["pool"])
    (table,) = tables(planted.commit(), ["more_data"])
    assert len({p.line for p in charts.points(table)}) == charts.LINES + 1
    assert charts.penalty_by_depth(table) is None


def test_a_drawing_is_svg_without_links_or_scripts(planted):
    name = '<script>alert(1)</script>"><a href="https://x.org">'
    weak, strong = planted.models(2, dataset=name), planted.models(2, seed=10, samples=1200, dataset=name)
    weak += planted.models(2, arch=name)
    strong += planted.models(2, arch=name, samples=1200)
    planted.stitches(strong, weak, lambda depth: 1.0)
    tables_by_name = {table.name: table for table in tables(planted.commit())}
    for svg in (charts.penalty_by_depth(tables_by_name["more_data"]), charts.zoo_errors(tables_by_name["zoo"])):
        assert svg is not None
        elements = list(ElementTree.fromstring(svg).iter())
        tags = {element.tag.rsplit("}", 1)[-1] for element in elements}
        assert tags <= {"svg", "g", "path", "text", "rect", "line", "clipPath", "defs", "style"}
        assert not any("href" in attribute for element in elements for attribute in element.attrib)
        assert any(element.text and "<script>" in element.text for element in elements)


def test_text_takes_the_colour_of_the_page(demo_tables):
    svg = charts.penalty_by_depth(demo_tables["more_data"])
    assert svg is not None
    assert 'fill="currentColor"' in svg
    assert vl_convert.svg_to_png(svg).startswith(b"\x89PNG")
