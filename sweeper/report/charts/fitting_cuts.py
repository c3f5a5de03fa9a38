"""Charts of pairs of cuts as a matrix: the gain or penalty for each cut of A (rows) and each cut of B (columns)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeper.report.format import column_cells, distinguishing_headings, format_value, heading, headings, title
from sweeper.report.tables import CUT_ARROW, Table

from .chart import Chart, switch
from .depth_points import Line, quantities
from .reader import counts_of_row, settings_of_row

# Better than B's own cells are blue, worse ones orange: a pair that people with any colour vision can tell apart.
_BETTER, _EVEN, _WORSE = "#2f86c8", "#f2f2ee", "#D55E00"
_DARK = "#111111"  # read on each of them with a contrast above 4.5, whatever the theme of the page
_ROW_HEIGHT = 38  # pixels: a value and its interval below it
_DESCRIPTION = (
    "{quantity} of each pair of cuts: the layers of A up to the cut of a row, those of B after that of a column. "
    "Blue cells are better for B's top than its own layers are, orange ones worse. Below each value stands half the "
    "length of its interval; the best cut of A for each cut of B is framed."
)


def charts_of_fit(table: Table) -> list[Chart]:
    """Return a matrix for each comparison of a table that has pairs of different cuts; none if no comparison has."""
    heads = distinguishing_headings(table)
    rows_by_line: dict[Line, list[int]] = {}
    cuts = {i: pair for i, row in enumerate(table.rows.to_pylist()) if (pair := _cuts(row))}
    rows = table.rows.to_pylist()
    for i in cuts:
        line = Line(tuple((name, format_value(name, rows[i][name])) for name in heads), "")
        rows_by_line.setdefault(line, []).append(i)
    crossed = {
        line: numbers for line, numbers in rows_by_line.items() if any(cuts[i][0] != cuts[i][1] for i in numbers)
    }
    if not quantities(table):
        return []
    return [_chart(table, line, {i: cuts[i] for i in numbers}, len(crossed) == 1) for line, numbers in crossed.items()]


def _cuts(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the cuts of A and B of a row, or None if it is not about one pair of cuts."""
    if "cut_a" in row and "cut_b" in row:
        return (str(row["cut_a"]), str(row["cut_b"])) if row["cut_a"] and row["cut_b"] else None
    if row.get("cut") is None or str(row["cut"]).startswith("("):
        return None
    cut_a, _, cut_b = str(row["cut"]).partition(CUT_ARROW)
    return cut_a, cut_b or cut_a


def _chart(table: Table, line: Line, cuts: Mapping[int, tuple[str, str]], is_alone: bool) -> Chart:
    data = list(_data(table, cuts))
    names = list(dict.fromkeys(str(cell["quantity"]) for cell in data))
    order_a, order_b = _order(table, cuts, 0), _order(table, cuts, 1)
    content = {
        "params": [switch("quantity", names)],
        "title": {"text": {"expr": "quantity + ' (points of test error)'"}},
        "data": {"values": data},
        "transform": [{"filter": "datum.quantity === quantity"}],
        "height": _ROW_HEIGHT * len(order_a),
        "encoding": {"x": _axis("cut_b", "cut of B", order_b), "y": _axis("cut_a", "cut of A", order_a)},
        "layer": _layers(max(abs(float(str(cell["mean"]))) for cell in data)),
    }
    chart_title = "" if is_alone else heading([name for name, _ in line.cells], dict(line.cells))
    return Chart(chart_title, _DESCRIPTION.format(quantity=names[0].capitalize()), content)


def _axis(field: str, axis_title: str, order: Sequence[str]) -> dict[str, object]:
    axis = {"grid": False, "domain": False, "ticks": False, "labelAngle": 0, "labelLimit": 90}
    return {"field": field, "type": "ordinal", "title": axis_title, "sort": list(order), "axis": axis}


def _layers(largest: float) -> list[dict[str, object]]:
    """Return the marks: coloured cells, the frames of the best, values, and half the lengths of their intervals.

    Colours grow with the logarithm, so that cells near 0 differ although some pairs of cuts hardly fit at all.
    """
    bound = max(largest, 1.0)
    scale = {"type": "symlog", "domain": [-bound, 0, bound], "range": [_WORSE, _EVEN, _BETTER], "interpolate": "rgb"}
    color = {"field": "better", "type": "quantitative", "scale": scale, "legend": None}
    names = ("pair", "value", "verdict", "n", "settings")
    return [
        {
            "mark": {"type": "rect", "stroke": "currentColor", "strokeOpacity": 0.15},
            "encoding": {"color": color, "tooltip": [{"field": name, "title": name} for name in names]},
        },
        {
            "transform": [{"filter": "datum.best"}],
            "mark": {"type": "rect", "filled": False, "stroke": _DARK, "strokeWidth": 2, "tooltip": None},
        },
        {"mark": _text(-6, 12), "encoding": {"text": {"field": "text"}}},
        {"mark": _text(9, 9), "encoding": {"text": {"field": "half"}}},
    ]


def _text(offset: int, size: int) -> dict[str, object]:
    return {"type": "text", "dy": offset, "fontSize": size, "color": _DARK, "tooltip": None}


def _order(table: Table, cuts: Mapping[int, tuple[str, str]], side: int) -> list[str]:
    """Return the cuts of A (side 0) or B (side 1) by depth; of a cut whose depth no row has, in the order of rows."""
    rows = table.rows.to_pylist()
    depths: dict[str, float] = {}
    for i, pair in cuts.items():
        depth = rows[i].get(f"depth_{'ab'[side]}")
        if depth is None and (side == 1 or pair[0] == pair[1]):
            depth = rows[i].get("depth")
        if depth is not None:
            depths[pair[side]] = depth
    names = dict.fromkeys(pair[side] for pair in cuts.values())
    return sorted(names, key=lambda name: depths.get(name, 2.0))


def _data(table: Table, cuts: Mapping[int, tuple[str, str]]) -> Iterator[dict[str, object]]:
    """Yield the cells of a matrix for Vega-Lite, with the texts that a reader sees over them."""
    rows, heads = table.rows.to_pylist(), headings(table)
    for column, quantity in quantities(table).items():
        texts = column_cells(column, rows, with_interval=True)
        sign = 1.0 if quantity.endswith("gain") else -1.0
        with_value = [i for i in cuts if rows[i][column] is not None]
        best = _best([(cuts[i][1], sign * rows[i][column], i) for i in with_value])
        for i in with_value:
            row, (cut_a, cut_b) = rows[i], cuts[i]
            low, high = row[f"{column}_low"], row[f"{column}_high"]
            low, high, half = (
                (row[column], row[column], "")
                if low is None or high is None
                else (low, high, f"±{(high - low) / 2:.1f}")
            )
            yield {
                "quantity": quantity,
                "cut_a": cut_a,
                "cut_b": cut_b,
                "mean": row[column],
                "low": low,
                "high": high,
                "better": sign * row[column],
                "best": i in best,
                "text": format_value(column, row[column]),
                "half": half,
                "pair": f"A up to {cut_a}, B after {cut_b}",
                "value": f"{title(column)} {texts[i]}",
                "verdict": row.get("verdict") or "none",
                "n": counts_of_row(row),
                "settings": settings_of_row(heads, row),
            }


def _best(cells: Sequence[tuple[str, float, int]]) -> set[int]:
    """Return the row numbers of the best cells; a cell has its cut of B, how good it is, and its row number."""
    best_by_cut: dict[str, tuple[float, int]] = {}
    for cut_b, better, i in cells:
        if cut_b not in best_by_cut or better > best_by_cut[cut_b][0]:
            best_by_cut[cut_b] = (better, i)
    return {i for _, i in best_by_cut.values()}
