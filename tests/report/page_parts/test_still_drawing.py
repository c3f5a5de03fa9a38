"""Still drawings are shorter, and show the same."""

import re

import pytest

from sweeper.report.charts import drawing
from sweeper.report.charts.choose import charts
from sweeper.report.page_parts.still_drawing import still_drawing


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ('<path d="M-3.7081,0.04l7.25-0.0001" opacity="0.15"/>', '<path d="M-3.7,0l7.2-0" opacity="0.15"/>'),
        ('<g transform="translate(0,237.99999999999997)"/>', '<g transform="translate(0,238)"/>'),
        ('<path aria-label="gain: 1.234" role="graphics-symbol" fill="#0.123"/>', '<path fill="#0.123"/>'),
        ('<text>1.23456 d="1.23456"</text>', '<text>1.23456 d="1.23456"</text>'),
        ('<rect x="1.25e-7" width="10.55" height="3"/>', '<rect x="0" width="10.6" height="3"/>'),
    ],
)
def test_places_are_rounded_and_all_else_stays(written, kept):
    head = '<svg role="img" aria-label="a gain of 1.234">'
    assert still_drawing(f"{head}{written}</svg>") == f"{head}{kept}</svg>"


def test_a_drawing_has_half_its_size_and_all_its_texts(demo_tables):
    pytest.importorskip("vl_convert")
    (chart,) = charts(demo_tables["more_data"])
    svg = drawing.svg(chart)
    short = still_drawing(svg)
    assert len(short) < 0.7 * len(svg)
    assert short[: short.index(">")] == svg[: svg.index(">")]
    for pattern in (r"<text[^>]*>([^<]*)", r"<(\w+)", r' (?:fill|opacity|stroke-width)="([^"]*)"'):
        assert re.findall(pattern, short) == re.findall(pattern, svg)
