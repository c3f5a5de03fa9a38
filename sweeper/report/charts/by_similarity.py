"""Charts of gains or penalties against a similarity such as CKA: a point for each cut, with its intervals both ways."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeper.report.format import column_cells, distinguishing_headings, format_value, heading, headings, title
from sweeper.report.tables import CUT_KIND, Table, is_over_cuts

from .chart import COLORS, TEXT, Chart, kept_by, switch, switch_with_all
from .depth_points import Line, quantities
from .reader import SWITCHES, counts_of_row, panels, settings_of_row

_SIMILARITY = "similarity"
_NEEDED = {"cut", "depth", _SIMILARITY, f"{_SIMILARITY}_low", f"{_SIMILARITY}_high"}
_MEANING = (
    "{quantity} against the similarity of the same activations, a point for each cut; lines join the cuts by depth. "
    "Points on the left at about 0 are unlike, but as good; names of cuts stand at the first line. "
    "Bars are the intervals of the table, both ways."
)


def charts_by_similarity(table: Table) -> list[Chart]:
    """Return charts of a table's gains or penalties against its similarities; none if it has no similarities."""
    if not _NEEDED.issubset(table.rows.column_names):
        return []
    heads = distinguishing_headings(table)
    lines = {
        i: Line(tuple((name, format_value(name, row[name])) for name in heads), "")
        for i, row in enumerate(table.rows.to_pylist())
        if row[_SIMILARITY] is not None and not is_over_cuts(row)
    }
    if not lines or not quantities(table):
        return []
    groups = panels(list(dict.fromkeys(lines.values())))
    return [_chart(table, lines, group, is_alone=len(groups) == 1) for group in groups]


def _chart(table: Table, line_by_row: Mapping[int, Line], lines: Sequence[Line], is_alone: bool) -> Chart:
    names = [name for name, _ in lines[0].cells]
    cells_by_name = {name: list(dict.fromkeys(dict(line.cells)[name] for line in lines)) for name in names}
    shared = [] if is_alone else [name for name in names if len(cells_by_name[name]) == 1]
    others = [name for name in names if name not in shared]
    labels = {line: line.label(others) or line.label(shared) or "all" for line in lines}
    quantity_names = list(dict.fromkeys(quantities(table).values()))
    switches = {name: cells_by_name[name] for name in SWITCHES if len(cells_by_name.get(name, ())) > 1}
    content = {
        "params": [switch("quantity", quantity_names), *(switch_with_all(*item) for item in switches.items())],
        "title": {"text": {"expr": "quantity + ' (points of test error)'"}},
        "data": {"values": list(_data(table, line_by_row, labels, list(switches)))},
        "transform": [{"filter": "datum.quantity === quantity"}, *map(kept_by, switches)],
        "height": 380,
        "layer": _layers(list(labels.values())),
    }
    description = _MEANING.format(quantity=quantity_names[0].capitalize())
    return Chart(heading(shared, dict(lines[0].cells)), description, content)


def _layers(labels: Sequence[str]) -> list[dict[str, object]]:
    """Return the marks: a line at 0, the path along depth, bars both ways, and points by the kind of their cut."""
    chosen, on_path = {"filter": {"param": "chosen"}}, {"filter": "datum.kind === 'cut'"}
    scale = {"zero": False, "nice": True}
    x = {"field": "similarity", "type": "quantitative", "title": "similarity (1: alike)", "scale": scale}
    y = {"field": "mean", "type": "quantitative", "title": None}
    place = {"x": x, "y": y, "color": _color(labels)}
    low_x, low_y = x | {"field": "similarity_low"}, y | {"field": "low"}
    bar = {"type": "rule", "strokeWidth": 1.5, "opacity": 0.55}
    shape = {"domain": ["cut", "apart"], "range": ["circle", "diamond"]}
    return [
        {
            "data": {"values": [{"zero": 0}]},
            "mark": {"type": "rule", "color": TEXT, "opacity": 0.5},
            "encoding": {"y": y | {"field": "zero"}},
        },
        {
            "transform": [chosen, on_path],
            "mark": {"type": "line", "strokeWidth": 1, "strokeDash": [3, 3], "opacity": 0.7},
            "encoding": {**place, "order": {"field": "depth", "type": "quantitative"}},
        },
        {"transform": [chosen], "mark": bar, "encoding": {**place, "y": low_y, "y2": {"field": "high"}}},
        {"transform": [chosen], "mark": bar, "encoding": {**place, "x": low_x, "x2": {"field": "similarity_high"}}},
        {
            "params": [{"name": "chosen", "select": {"type": "point", "fields": ["line"]}, "bind": "legend"}],
            "transform": [chosen],
            "mark": {"type": "point", "size": 60, "filled": True, "opacity": 1},
            "encoding": {
                **place,
                "shape": {"field": "kind", "type": "nominal", "legend": None, "scale": shape},
                "tooltip": [
                    {"field": name, "title": name} for name in ("line", "cut", "value", "alike", "n", "settings")
                ],
            },
        },
        {
            "transform": [chosen],
            "mark": {"type": "text", "align": "left", "dx": 7, "dy": -7, "fontSize": 10, "color": TEXT, "opacity": 0.8},
            "encoding": {"x": x, "y": y, "text": {"field": "label"}},
        },
    ]


def _color(labels: Sequence[str]) -> dict[str, object]:
    legend = {"orient": "bottom", "direction": "vertical", "symbolType": "circle", "symbolOpacity": 1}
    scale = {"domain": list(labels), "range": list(COLORS[: len(labels)])}
    label_limit = {"expr": "max(width - 30, 150)"}
    return {
        "field": "line",
        "type": "nominal",
        "title": None,
        "scale": scale,
        "legend": {**legend, "labelLimit": label_limit} if len(labels) > 1 else None,
    }


def _data(
    table: Table, line_by_row: Mapping[int, Line], labels: Mapping[Line, str], switches: Sequence[str]
) -> Iterator[dict[str, object]]:
    """Yield the data of points for Vega-Lite, with the texts that a reader sees over them."""
    rows, heads = table.rows.to_pylist(), headings(table)
    quantity_by_column = quantities(table)
    texts = {name: column_cells(name, rows, with_interval=True) for name in (*quantity_by_column, _SIMILARITY)}
    labeled = next(iter(labels))  # the first line alone: names on all would cover points
    for i, line in line_by_row.items():
        for column, quantity in quantity_by_column.items():
            row = rows[i]
            if line not in labels or row[column] is None:
                continue
            yield {
                "line": labels[line],
                "quantity": quantity,
                "cut": f"{row['cut']}, depth {row['depth']:.2f}" if row["depth"] is not None else str(row["cut"]),
                "label": str(row["cut"]) if line == labeled else "",
                "depth": row["depth"],
                "kind": "cut" if row.get(CUT_KIND) is None else "apart",
                **_bounds(row, column),
                "value": f"{title(column)} {texts[column][i]}",
                "alike": f"similarity {texts[_SIMILARITY][i]}",
                "n": counts_of_row(row),
                "settings": settings_of_row(heads, row),
                **{head: dict(line.cells)[head] for head in switches},
            }


def _bounds(row: Mapping[str, Any], column: str) -> dict[str, object]:
    """Return the place of a row's point and its intervals both ways, which are the point itself where it has none."""
    bounds: dict[str, object] = {}
    for name, column_name, prefix in (("mean", column, ""), (_SIMILARITY, _SIMILARITY, f"{_SIMILARITY}_")):
        middle, low, high = (row[column_name + end] for end in ("", "_low", "_high"))
        has_interval = low is not None and high is not None
        bounds |= {name: middle, f"{prefix}low": low if has_interval else middle}
        bounds[f"{prefix}high"] = high if has_interval else middle
    return bounds
