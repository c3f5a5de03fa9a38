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

    return _with_text_alternative(chart, vl_convert.vegalite_to_svg(chart.specification(), allowed_base_urls=[]))


def svg_file(chart: Chart) -> str:
    """Draw a chart as a file of SVG, on white, with the chart's description as its text alternative."""
    import vl_convert

    return _with_text_alternative(chart, vl_convert.vegalite_to_svg(_on_white(chart), allowed_base_urls=[])) + "\n"


def png(chart: Chart) -> bytes:
    """Draw a chart as a PNG image, twice as large as on a page, on white."""
    import vl_convert

    return vl_convert.vegalite_to_png(_on_white(chart), scale=2, allowed_base_urls=[])


def pdf(chart: Chart) -> bytes:
    """Draw a chart as a page of PDF, on white."""
    import vl_convert

    return vl_convert.vegalite_to_pdf(_on_white(chart), allowed_base_urls=[])


def vega_lite_json(chart: Chart) -> str:
    """Return a chart's whole Vega-Lite specification as JSON, on white, with the data and all choices of a reader."""
    return json.dumps(_on_white(chart), ensure_ascii=False, indent=1) + "\n"


def _on_white(chart: Chart) -> dict[str, object]:
    """Return the specification of a chart that stands alone in a file: it is titled, and dark text needs white."""
    specification = chart.specification() | {"background": "white"}
    if chart.title:
        above = specification.get("title", {"text": ""})
        specification["title"] = {**above, "subtitle": chart.title} if isinstance(above, dict) else chart.title
    return specification


def _with_text_alternative(chart: Chart, svg: str) -> str:
    element = svg[svg.index("<svg") :]
    return f'<svg role="img" aria-label="{escape(chart.description)}"{element.removeprefix("<svg")}'
