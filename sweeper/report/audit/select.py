"""The SQL that picks, of a store's stitches, those that stand for the curves of a figure."""

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from .definition import Figure, Role
from .settings import COMPARING, NETWORK

WHOLE = "(A alone)"

_MEASURED = {
    "stitches": ("penalty", "gain", "test_error", "a_error", "b_error"),
    "similarities": ("value",),
}


def settings(figure: Figure) -> tuple[str, ...]:
    """The columns that are the same in everything that is compared."""
    network = (name for column, name in NETWORK.items() if column not in figure.varies)
    return (*network, *COMPARING[figure.of].values())


def rows(connection: duckdb.DuckDBPyConnection, figure: Figure) -> list[dict[str, Any]]:
    """One row per setting, curve and place: what `settings` names, and

    curve, cut, x; level: what stands for the curve; others: how many further pairs of settings might have stood for it;
    ours: the interval of the value over training runs; top_error: mean error of B, in percent.
    """
    return connection.sql(query(figure)).to_arrow_table().to_pylist() if _roles(figure) else []


def query(figure: Figure) -> str:
    """In words: the pairs that the figure is about, at their places on its axis; each offered to the curves that might
    have it and taken by the one whose level is the nearest; of what a curve took, the pairs of one setting of A and B
    kept, that of the nearest level, then of the fewest differences; controls alone left out."""
    offers = " UNION ALL ".join(_offer(name, role, figure.level) for name, role in _roles(figure).items())
    whole = (
        f"UNION ALL BY NAME SELECT * REPLACE ('{WHOLE}' AS cut), 1.0 AS x, a_error - b_error AS compared FROM about"
        if figure.whole
        else ""
    )
    top_error = "avg(b_error)" if figure.of == "stitches" else "NULL::DOUBLE"
    return f"""
WITH networks AS ({_networks()}),
pairs AS ({_pairs(figure)}),
about AS (SELECT * FROM pairs WHERE {figure.where}),
places AS (SELECT *, ({figure.x})::DOUBLE AS x, ({figure.value})::DOUBLE AS compared FROM about {whole}),
offers AS ({offers}),
taken AS (
    SELECT *, {{bottom: bottom, top: top}} AS pair
    FROM offers
    QUALIFY away = min(away) OVER (PARTITION BY task, cut)
),
kept AS (
    SELECT *, count(DISTINCT pair) OVER (PARTITION BY setting, curve) - 1 AS others
    FROM taken
    QUALIFY pair = first_value(pair) OVER (PARTITION BY setting, curve ORDER BY away, len(differ), level, pair)
),
asked AS (SELECT * FROM kept QUALIFY bool_or({figure.needs}) OVER (PARTITION BY setting))
SELECT setting.*, curve, level, others, cut, x, ci(a, b, compared) AS ours, {top_error} AS top_error
FROM asked
GROUP BY setting, curve, level, others, cut, x
ORDER BY setting, curve, x, cut
"""


def _roles(figure: Figure) -> Mapping[str, Role]:
    return {name: role for name, role in figure.curves.items() if not role.lacks}


def _offer(name: str, role: Role, level: str) -> str:
    """The pairs that a curve might take, and how far their level is from its own: |ln(level / the paper's)|."""
    here = role.by or level
    away = f"abs(ln(level / {role.level}))" if role.level else "0.0"
    return (
        f"SELECT *, ({here or 'NULL'})::DOUBLE AS level, {away} AS away, {_text(name)} AS curve "
        f"FROM places WHERE ({role.where}) AND isfinite(x) AND isfinite(compared)"
    )


def _networks() -> str:
    """Each network and its settings; a width is no option, so that networks of two widths differ in it alone."""
    own = {column: column for column in NETWORK} | {"options": "json_merge_patch(options, '{\"width\": null}')"}
    return f"SELECT task, training, {_struct(own.items())} AS settings FROM models"


def _pairs(figure: Figure) -> str:
    """Every stitch (or similarity) of two networks cut at the same place, with what is known of both."""
    differ = ", ".join(
        f"CASE WHEN bottom.settings.{name} IS DISTINCT FROM top.settings.{name} THEN '{name}' END" for name in NETWORK
    )
    comparing = COMPARING[figure.of]
    shown = {column: f"top.settings.{column}" for column in NETWORK}
    shown["data_digest"] = "left(top.settings.data_digest, 12)"
    setting = [(name, shown[column]) for column, name in NETWORK.items() if column not in figure.varies]
    setting += [(name, f"s.{column}") for column, name in comparing.items()]
    return f"""
    SELECT
        s.task, bottom.training AS a, top.training AS b, bottom.settings AS bottom, top.settings AS top,
        list_filter([{differ}], lambda name: name IS NOT NULL) AS differ,
        {_struct((column, f"s.{column}") for column in comparing)} AS comparing,
        {_struct(setting)} AS setting,
        s.a = s.b AS self, s.a <> s.b AND bottom.training = top.training AS same_run,
        s.cut_b AS cut, s.position_b AS position, s.depth_b AS depth,
        {", ".join(f"s.{name}" for name in _MEASURED[figure.of])}
    FROM {figure.of} AS s
    JOIN networks AS bottom ON bottom.task = s.a
    JOIN networks AS top ON top.task = s.b
    WHERE s.cut_a = s.cut_b"""


def _struct(members: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{name}: {sql}" for name, sql in members) + "}"


def _text(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"
