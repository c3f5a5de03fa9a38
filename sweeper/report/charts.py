"""Charts as SVG: penalties by depth, and test errors of models.

They are Vega-Lite charts drawn offline by vl-convert, which the extra `report` installs. Text takes the colour of the
surrounding page, so that a chart suits light and dark pages.
"""

import importlib.util
from dataclasses import dataclass

from .format import format_value, heading, headings, title
from .tables import CUT_KIND, Table

LINES = 8  # the largest number of lines that can be distinguished by colour

# After Okabe and Ito (2008), in an order that keeps neighbours apart; the blue is lighter, to be read on black as well.
_COLORS = ["#2f86c8", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8a8a8a", "#b8a800"]
_TEXT = "currentColor"


@dataclass(frozen=True, slots=True)
class PenaltyPoint:
    """A penalty in points at a depth, with its interval where there is one."""

    line: str
    depth: float
    penalty: float
    low: float | None
    high: float | None
    cut: str
    apart: bool = False  # a probe of A, or the same as another cut: drawn hollow, beside the line


def available() -> bool:
    """Return True if vl-convert is installed."""
    return importlib.util.find_spec("vl_convert") is not None


def points(table: Table) -> list[PenaltyPoint]:
    """Return the penalties of a table by depth, one line per section: net penalties if the table has any.

    Each line starts at depth 0, where B with its own layers up to the cut is B, and the penalty is 0 by definition. The
    list is empty if the table has no `depth`, or no `gain` or `penalty` with an interval, or several controls in each
    section.
    """
    names, rows = table.rows.column_names, table.rows.to_pylist()
    columns = [name for name in names if name.endswith(("gain", "penalty")) and f"{name}_low" in names]
    net_columns = [name for name in columns if _is_net(name) and any(row[name] is not None for row in rows)]
    measured_columns = net_columns or [name for name in columns if not _is_net(name)]
    if "depth" not in names or "control" in names or not measured_columns:
        return []
    penalties: list[PenaltyPoint] = []
    for row in rows:
        for name in measured_columns:
            if row["depth"] is not None and row[name] is not None:
                line = _line(table, row, name if len(measured_columns) > 1 else "")
                penalties.append(_point(line, row, name))
    lines = {p.line for p in penalties}
    lines_from_depth_0 = {p.line for p in penalties if p.depth == 0}
    penalties += [PenaltyPoint(line, 0.0, 0.0, None, None, "(B alone)") for line in lines - lines_from_depth_0]
    return penalties


def are_net(table: Table) -> bool:
    """Return whether the penalties of `points` are net: compared with B stitched to itself, and not with B alone."""
    return any(_is_net(name) and table.rows[name].null_count < table.rows.num_rows for name in table.rows.column_names)


def penalty_by_depth(table: Table) -> str | None:
    """Draw `points(table)` as an SVG element; return None if there are no points or more than `LINES` lines."""
    penalties = points(table)
    lines = list(dict.fromkeys(p.line for p in penalties))
    if not penalties or len(lines) > LINES:
        return None
    axis_title = f"{'net penalty' if are_net(table) else 'penalty'} (points of test error)"
    interval = {"y": {"field": "low", "type": "quantitative", "title": axis_title}, "y2": {"field": "high"}}
    mean_encoding = {"y": {"field": "penalty", "type": "quantitative", "title": axis_title}}
    scale = {"domain": lines, "range": _COLORS[: len(lines)]}
    legend = {"orient": "bottom", "direction": "vertical", "symbolOpacity": 1, "labelLimit": 0}
    on_line, apart = [{"filter": "!datum.apart"}], [{"filter": "datum.apart"}]
    point = {"type": "point", "size": 45, "opacity": 1}
    layers = [
        {"transform": on_line, "mark": {"type": "area", "opacity": 0.15}, "encoding": interval},
        {"mark": {"type": "rule", "strokeWidth": 1.5}, "encoding": interval},
        {"transform": on_line, "mark": {"type": "line", "strokeWidth": 2}, "encoding": mean_encoding},
        {"transform": on_line, "mark": {**point, "filled": True}, "encoding": mean_encoding},
        {"transform": apart, "mark": {**point, "filled": False, "shape": "diamond"}, "encoding": mean_encoding},
    ]
    shared = {
        "x": {
            "field": "depth",
            "type": "quantitative",
            "title": "depth of the cut",
            "scale": {"domain": [0, 1], "nice": False},
            "axis": {"format": ".1f", "tickCount": 10},
        },
        "color": {"field": "line", "type": "nominal", "title": None, "scale": scale, "legend": legend},
    }
    return _svg(
        {
            "width": 680,
            "height": 340,
            "layer": [
                {
                    "data": {"values": [{"zero": 0}]},
                    "mark": {"type": "rule", "color": _TEXT, "opacity": 0.5},
                    "encoding": {"y": {"field": "zero", "type": "quantitative", "title": axis_title}},
                },
                {"data": {"values": [_datum(p) for p in penalties]}, "encoding": shared, "layer": layers},
            ],
        }
    )


def zoo_errors(table: Table) -> str | None:
    """Draw each setting's mean, lowest and highest error as an SVG element; return None if the table lacks them."""
    needed = {"arch", "width", "samples", "steps", "error", "lowest", "highest"}
    if not table.rows.num_rows or not needed <= set(table.rows.column_names):
        return None
    axis_title = "test error (%), with the lowest and the highest seed"
    span = {"x": {"field": "lowest", "type": "quantitative", "title": axis_title}, "x2": {"field": "highest"}}
    mean = {"x": {"field": "error", "type": "quantitative", "title": axis_title}}
    model = {"field": "model", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 0}}
    return _svg(
        {
            "data": {"values": [_model(table, row) for row in table.rows.to_pylist()]},
            "width": 420,
            "height": {"step": 24},
            "encoding": {"y": model},
            "layer": [
                {"mark": {"type": "rule", "strokeWidth": 4, "color": _COLORS[0], "opacity": 0.4}, "encoding": span},
                {
                    "mark": {"type": "point", "filled": True, "size": 70, "color": _COLORS[0], "opacity": 1},
                    "encoding": mean,
                },
            ],
        }
    )


def _is_net(name: str) -> bool:
    """Return whether a column has net gains or net penalties."""
    return "net" in name.split("_")


def _point(line: str, row: dict, name: str) -> PenaltyPoint:
    """Return a point; a gain is negated to a penalty, which swaps its bounds."""
    mean, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if name.endswith("gain"):
        mean, low, high = -mean, None if high is None else -high, None if low is None else -low
    apart = row.get(CUT_KIND) is not None
    return PenaltyPoint(line, row["depth"], mean + 0.0, low, high, str(row.get("cut", "")), apart)


def _line(table: Table, row: dict, measured_column: str) -> str:
    """Return the legend of a line: its section, and the measured column if there are several."""
    heads = headings(table)
    section_title = heading(heads, {name: format_value(name, row[name]) for name in heads})
    return " · ".join(part for part in (section_title, title(measured_column)) if part)


def _datum(p: PenaltyPoint) -> dict[str, object]:
    low, high = (p.penalty, p.penalty) if p.low is None else (p.low, p.high)
    return {
        "line": p.line,
        "depth": p.depth,
        "penalty": p.penalty,
        "low": low,
        "high": high,
        "cut": p.cut,
        "apart": p.apart,
    }


def _model(table: Table, row: dict) -> dict[str, object]:
    names = [name for name in ("arch", "width", "samples", "steps") if row[name] is not None]
    names += [name for name in table.columns if name in table.question.settings and row[name] is not None]
    parts = [row["arch"], *(f"{title(name)} {format_value(name, row[name])}" for name in names[1:])]
    return {"model": ", ".join(parts), **{name: row[name] for name in ("error", "lowest", "highest")}}


def _svg(spec: dict[str, object]) -> str:
    """Draw a Vega-Lite chart without a browser or a network connection."""
    import vl_convert

    axis = {f"{part}Color": _TEXT for part in ("label", "title", "domain", "tick", "grid")}
    config = {
        "background": "transparent",
        "font": "sans-serif",
        "view": {"stroke": None},
        "axis": {**axis, "gridOpacity": 0.12, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
        "legend": {"labelColor": _TEXT, "titleColor": _TEXT, "labelFontSize": 12},
    }
    svg = vl_convert.vegalite_to_svg({**spec, "config": config}, allowed_base_urls=[])
    return svg[svg.index("<svg") :]
