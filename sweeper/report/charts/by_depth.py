"""Charts of gains or penalties by the depth of the cut: a line for each comparison, with its intervals."""

from collections.abc import Iterator, Mapping, Sequence

from sweeper.report.format import column_cells, format_value, heading, headings, title
from sweeper.report.tables import Table

from .chart import COLORS, TEXT, Chart, kept_by, switch, switch_with_all
from .depth_points import DepthPoint, Line, depth_points, quantities
from .reader import SWITCHES, counts_of_row, panels, settings_of_row

_MEANINGS = {
    "net": "compared with B stitched to itself: {side} 0, A's representation is better for B's top than B's own.",
    "extra": "minus that of A into B: about 0, the control does as well.",
    "": "compared with B alone, so that it also contains what the stitcher itself has learned.",
}
_BANDS = "Bands and bars are the intervals of the table."
_APART = "Diamonds are cuts with a cut kind."


def charts_by_depth(table: Table) -> list[Chart]:
    """Return charts of a table's gains or penalties by depth, each with at most `LINES` lines; none if it has none."""
    points = depth_points(table)
    groups = panels(list(dict.fromkeys(point.line for point in points)))
    return [_chart(table, points, lines, is_alone=len(groups) == 1) for lines in groups]


def _chart(table: Table, points: Sequence[DepthPoint], lines: Sequence[Line], is_alone: bool) -> Chart:
    names = [name for name, _ in lines[0].cells]
    cells_by_name = {name: list(dict.fromkeys(dict(line.cells)[name] for line in lines)) for name in names}
    shared = [] if is_alone else [name for name in names if len(cells_by_name[name]) == 1]
    others = [name for name in names if name not in shared]
    labels = {line: line.label(others) or line.label(shared) for line in lines}
    drawn = [point for point in points if point.line in labels]
    quantity_names = list(dict.fromkeys(quantities(table).values()))
    switches = {name: cells_by_name[name] for name in SWITCHES if len(cells_by_name.get(name, ())) > 1}
    content = {
        "params": [switch("quantity", quantity_names), *(switch_with_all(*item) for item in switches.items())],
        "title": {"text": {"expr": "quantity + ' (points of test error)'"}},
        "data": {"values": list(_data(table, drawn, labels, list(switches)))},
        "transform": [{"filter": "datum.quantity === quantity"}, *map(kept_by, switches)],
        "height": 340,
        "layer": _layers(list(labels.values())),
    }
    chart_title = heading(shared, dict(lines[0].cells))
    return Chart(chart_title, _description(quantity_names[0], drawn), content)


def _layers(labels: Sequence[str]) -> list[dict[str, object]]:
    """Return the marks: a line at 0, then bands, bars, lines and points, of the lines that a reader has chosen."""
    chosen, on_line = {"filter": {"param": "chosen"}}, {"filter": "datum.kind !== 'apart'"}
    x = {
        "field": "depth",
        "type": "quantitative",
        "title": "depth of the cut",
        "scale": {"domain": [0, 1], "nice": False},
        "axis": {"format": ".1f", "tickCount": 10},
    }
    mean = {"x": x, "y": _axis("mean"), "color": _color(labels)}
    interval = {**mean, "y": _axis("low"), "y2": {"field": "high"}}
    return [
        {
            "data": {"values": [{"zero": 0}]},
            "mark": {"type": "rule", "color": TEXT, "opacity": 0.5},
            "encoding": {"y": _axis("zero")},
        },
        {"transform": [chosen, on_line], "mark": {"type": "area", "opacity": 0.15}, "encoding": interval},
        {"transform": [chosen], "mark": {"type": "rule", "strokeWidth": 1.5}, "encoding": interval},
        {"transform": [chosen, on_line], "mark": {"type": "line", "strokeWidth": 2}, "encoding": mean},
        {
            "params": [{"name": "chosen", "select": {"type": "point", "fields": ["line"]}, "bind": "legend"}],
            "transform": [chosen],
            "mark": {"type": "point", "size": 55, "filled": True, "opacity": 1},
            "encoding": {**mean, "shape": _shape(), "tooltip": _tooltip()},
        },
    ]


def _axis(field: str) -> dict[str, object]:
    return {"field": field, "type": "quantitative", "title": None}


def _color(labels: Sequence[str]) -> dict[str, object]:
    """Return the colours of lines, with a legend beneath the chart whose texts are cut where they don't fit."""
    label_limit = {"expr": "max(width - 30, 150)"}
    legend = {"orient": "bottom", "direction": "vertical", "symbolType": "circle", "labelLimit": label_limit}
    scale = {"domain": list(labels), "range": list(COLORS[: len(labels)])}
    return {"field": "line", "type": "nominal", "title": None, "scale": scale, "legend": legend | {"symbolOpacity": 1}}


def _shape() -> dict[str, object]:
    scale = {"domain": ["cut", "end", "apart"], "range": ["circle", "square", "diamond"]}
    return {"field": "kind", "type": "nominal", "legend": None, "scale": scale}


def _tooltip() -> list[dict[str, str]]:
    return [{"field": field, "title": field} for field in ("line", "cut", "value", "verdict", "n", "settings")]


def _data(
    table: Table, points: Sequence[DepthPoint], labels: Mapping[Line, str], switches: Sequence[str]
) -> Iterator[dict[str, object]]:
    """Yield the data of points for Vega-Lite, with the texts that a reader sees over them."""
    rows, heads = table.rows.to_pylist(), headings(table)
    texts = {name: column_cells(name, rows, with_interval=True) for name in quantities(table)}
    for point in points:
        low, high = (point.mean, point.mean) if point.low is None or point.high is None else (point.low, point.high)
        row = {} if point.row is None else rows[point.row]
        text = format_value(point.column, point.mean)
        if point.row is not None and row[point.column] is not None:
            text = texts[point.column][point.row]
        yield {
            "line": labels[point.line],
            "quantity": point.quantity,
            "cut": f"{point.cut}, depth {point.depth:.2f}",
            "depth": point.depth,
            "mean": point.mean,
            "low": low,
            "high": high,
            "kind": point.kind,
            "value": f"{title(point.column)} {text}",
            "verdict": row.get("verdict") or row.get("outcome") or "none",
            "n": counts_of_row(row),
            "settings": settings_of_row(heads, row),
            **{head: dict(point.line.cells)[head] for head in switches},
        }


def _description(quantity: str, points: Sequence[DepthPoint]) -> str:
    side = "above" if quantity.endswith("gain") else "below"
    first_word = quantity.split()[0]
    meaning = _MEANINGS.get(first_word, _MEANINGS[""]).format(side=side)
    probes = [_APART] if any(point.kind == "apart" for point in points) else []
    return " ".join([f"{quantity.capitalize()} by depth of the cut, {meaning}", _BANDS, *probes])
