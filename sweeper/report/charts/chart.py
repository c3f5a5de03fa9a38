"""A chart of the rows of a table, as a Vega-Lite specification that holds its rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
WIDTH = 680  # of the plot in a drawing, in pixels; on the page a chart is as wide as its place

LINES = 8  # the largest number of lines that can be distinguished by colour

# After Okabe and Ito (2008), in an order that keeps neighbours apart; the blue is lighter, to be read on black as well.
COLORS = ("#2f86c8", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8a8a8a", "#b8a800")

# Text takes the colour of the surrounding page, so that a chart suits light and dark pages.
TEXT = "currentColor"

_AXIS = {f"{part}Color": TEXT for part in ("label", "title", "domain", "tick", "grid")}
_CONFIG = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "title": {"color": TEXT, "fontSize": 12, "fontWeight": "normal", "anchor": "start", "frame": "group", "offset": 12},
    "axis": {**_AXIS, "gridOpacity": 0.12, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
    "legend": {"labelColor": TEXT, "titleColor": TEXT, "labelFontSize": 12, "titleFontSize": 12},
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart.

    Attributes:
        title: What tells it from the other charts of its question; empty if there is no other.
        description: What it shows, in sentences: the text below the chart, and its alternative for those who can't see.
        content: The Vega-Lite specification without size and style.
    """

    title: str
    description: str
    content: Mapping[str, object]

    def specification(self, width: int | str = WIDTH) -> dict[str, object]:
        """Return the whole Vega-Lite specification; "container" stands for the width of the chart's place on a page."""
        return {
            "$schema": SCHEMA,
            "description": self.description,
            "width": width,
            "autosize": {"type": "fit-x", "contains": "padding"} if width == "container" else "pad",
            "config": _CONFIG,
            **self.content,
        }


def switch(name: str, options: Sequence[str]) -> dict[str, object]:
    """Return a parameter of a chart that a reader sets: one of the options, the first by default."""
    bind = {"bind": {"input": "select", "options": list(options), "name": f"{name} "}} if len(options) > 1 else {}
    return {"name": name, "value": options[0], **bind}


def switch_with_all(name: str, options: Iterable[str]) -> dict[str, object]:
    """Return a parameter of a chart that a reader sets: one of the options, or null (the default) for all of them."""
    values = [None, *options]
    labels = ["all", *map(str, values[1:])]
    bind = {"input": "select", "options": values, "labels": labels, "name": f"{name} "}
    return {"name": name, "value": None, "bind": bind}


def kept_by(name: str) -> dict[str, object]:
    """Return the filter of a `switch_with_all` whose options are values of the field of the same name."""
    return {"filter": f"{name} === null || datum[{name!r}] === {name}"}
