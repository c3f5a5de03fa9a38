"""Charts as SVG, PNG and PDF, drawn offline by vl-convert, which the extra `report` installs."""

import importlib.util
import json

from markupsafe import escape

from .chart import Chart


def available() -> bool:
    """Return True if vl-convert is installed."""
    return importlib.util.find_spec("vl_convert") is not None


def svg(chart: Chart) -> str:
    """Draw a chart as an SVG element, whose text alternative is the chart's description."""
    import vl_convert

    text = vl_convert.vegalite_to_svg(chart.specification(), allowed_base_urls=[])
    element = text[text.index("<svg") :]
    return f'<svg role="img" aria-label="{escape(chart.description)}"{element.removeprefix("<svg")}'


def png(chart: Chart) -> bytes:
    """Draw a chart as a PNG image, twice as large as on a page, on white."""
    import vl_convert

    return vl_convert.vegalite_to_png(_on_white(chart), scale=2, allowed_base_urls=[])


def pdf(chart: Chart) -> bytes:
    """Draw a chart as a page of PDF, on white."""
    import vl_convert

    return vl_convert.vegalite_to_pdf(_on_white(chart), allowed_base_urls=[])


def vega_lite_json(chart: Chart) -> str:
    """Return a chart's whole Vega-Lite specification as JSON."""
    return json.dumps(chart.specification(), ensure_ascii=False, indent=1) + "\n"


def _on_white(chart: Chart) -> dict[str, object]:
    return chart.specification() | {"background": "white"}
