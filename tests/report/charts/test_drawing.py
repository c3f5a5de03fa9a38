"""Drawings: SVG that contains only drawing elements and has a text alternative, PNG, PDF and Vega-Lite JSON."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from sweeper.report.charts import drawing
from sweeper.report.charts.choose import charts
from sweeper.report.tables import tables

pytest.importorskip("vl_convert")


def test_a_drawing_is_svg_without_links_or_scripts(planted):
    name = '<script>alert(1)</script>"><a href="https://x.org">'
    weak, strong = planted.models(2, dataset=name), planted.models(2, seed=10, samples=1200, dataset=name)
    weak += planted.models(2, arch=name)
    strong += planted.models(2, arch=name, samples=1200)
    planted.stitches(strong, weak, lambda depth: 1.0)
    for table in tables(planted.commit(), ["more_data", "zoo"]):
        (chart,) = charts(table)
        elements = list(ElementTree.fromstring(drawing.svg(chart)).iter())
        tags = {element.tag.rsplit("}", 1)[-1] for element in elements}
        assert tags <= {"svg", "g", "path", "text", "rect", "line", "clipPath", "defs", "style"}
        assert not any("href" in attribute for element in elements for attribute in element.attrib)
        assert any(element.text and "<script>" in element.text for element in elements)


def test_a_drawing_has_a_text_alternative_and_takes_the_colour_of_the_page(demo_tables):
    (chart,) = charts(demo_tables["more_data"])
    svg = drawing.svg(chart)
    root = ElementTree.fromstring(svg)
    assert (root.get("role"), root.get("aria-label")) == ("img", chart.description)
    assert 'fill="currentColor"' in svg


def test_a_chart_is_written_as_png_pdf_and_vega_lite(demo_tables):
    (chart,) = charts(demo_tables["zoo"])
    assert drawing.png(chart).startswith(b"\x89PNG")
    assert drawing.pdf(chart).startswith(b"%PDF")
    specification = json.loads(drawing.vega_lite_json(chart))
    assert specification["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
    assert specification["data"] == chart.content["data"]
