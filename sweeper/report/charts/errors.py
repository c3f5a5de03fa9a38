"""A chart of the test errors of the models of each setting."""

from collections.abc import Iterator, Mapping

from sweeper.report.format import format_value, title
from sweeper.report.tables import Table

from .chart import COLORS, TEXT, Chart

_NEEDED = {"arch", "width", "samples", "steps", "seeds", "error", "lowest", "highest"}
_RECIPE = ("arch", "width", "samples", "steps")


def charts_of_errors(table: Table) -> list[Chart]:
    """Return a chart of each setting's mean, lowest and highest error; none if the table lacks them.

    Models that were not trained are left out if others were: their errors would squeeze those of the others.
    """
    if not (table.rows.num_rows and _NEEDED.issubset(table.rows.column_names)):
        return []
    rows = table.rows.to_pylist()
    trained = [row for row in rows if row["steps"]]
    left_out = [row["error"] for row in rows if trained and not row["steps"]]
    description = "Test error (%) of the models of each setting: the mean, from the lowest to the highest seed."
    if left_out:
        description += f" Models that were not trained are in the table alone (errors up to {max(left_out):.1f} %)."
    return [Chart("", description, _content(list(_models(table, trained or rows))))]


def _content(models: list[dict[str, object]]) -> dict[str, object]:
    """Return the specification: a line for each model, its name above its errors, so that names take no width."""
    axis = {"title": "test error (%)", "type": "quantitative", "axis": {"tickCount": 8}}
    mean = {"field": "error", **axis}
    names = {"model": "model", "text": "test error", "seeds": "seeds", "settings": "settings"}
    name = {"type": "text", "align": "left", "baseline": "bottom", "dy": -5, "color": TEXT, "fontSize": 12}
    point = {"type": "point", "filled": True, "size": 70, "color": COLORS[0], "opacity": 1}
    return {
        "data": {"values": models},
        "height": 34 * len(models),
        "encoding": {"y": {"field": "model", "type": "nominal", "sort": None, "axis": None}},
        "layer": [
            {
                "mark": name,
                "encoding": {"text": {"field": "model"}, "x": {"datum": 0, **axis}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 4, "color": COLORS[0], "opacity": 0.4},
                "encoding": {"x": {"field": "lowest", **axis}, "x2": {"field": "highest"}},
            },
            {
                "mark": point,
                "encoding": {"x": mean, "tooltip": [{"field": field, "title": name} for field, name in names.items()]},
            },
        ],
    }


def _models(table: Table, rows: list[Mapping[str, object]]) -> Iterator[dict[str, object]]:
    varying = [name for name in table.columns if name in table.question.settings]
    for row in rows:
        names = [name for name in (*_RECIPE[1:], *varying) if row[name] is not None]
        lowest, highest = (format_value("error", row[name]) for name in ("lowest", "highest"))
        yield {
            "model": ", ".join(
                [str(row["arch"]), *(f"{title(name)} {format_value(name, row[name])}" for name in names)]
            ),
            "text": f"{format_value('error', row['error'])} % (from {lowest} to {highest})",
            "settings": ", ".join(
                f"{title(name)} {format_value(name, row[name])}"
                for name in table.question.settings
                if row[name] is not None
            ),
            **{name: row[name] for name in ("error", "lowest", "highest", "seeds")},
        }
