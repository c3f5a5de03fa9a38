"""The SQL query that selects the stitches of a store that correspond to the curves of a figure."""

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from sweeper.resources import sql_text

from .definition import Figure, Role
from .settings import COMPARING, NETWORK

WHOLE = "(A alone)"

# The columns that distinguish kinds of pairs. The recipes and the comparison hash are hashes of
# settings, because comparing a few numbers takes less time than comparing about twenty texts.
_KIND = "a_recipe, b_recipe, comparison_hash, self, same_run"

_MACROS = ("pairs_of_networks", "nearest_pairs", "curve_points")

_MEASURED = {
    "stitches": ("penalty", "gain", "net_gain", "test_error", "a_error", "b_error"),
    "similarities": ("value",),
    "models": ("a_error", "b_error"),
}


def settings_held_equal(figure: Figure) -> tuple[str, ...]:
    """Return the columns that have one value in all rows of a comparison."""
    names = (*NETWORK.values(), *COMPARING[figure.of].values())
    return tuple(name for name in names if name not in figure.varies)


def rows(connection: duckdb.DuckDBPyConnection, figure: Figure) -> list[dict[str, Any]]:
    """Return one row per setting, curve and cut: the columns that `settings` names, and these.

    curve, cut, x: the paper's curve, the cut in B, and its place on the figure's axis.
    cut_kind: null, or why the cut counts in no summary (see `store/query/sql/cut_kind.sql`).
    level: the level of the selected pair of settings.
    others: the number of other pairs of settings that match the curve.
    estimate: the mean of the value, with its interval over training runs.
    net: the mean of the net penalty, with its interval; without a mean if there is no control or no penalty.
    top_error: the mean error of B, in percent.
    """
    if not _roles(figure):
        return []
    create_macros(connection)
    return connection.sql(query(figure)).to_arrow_table().to_pylist()


def create_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the table macros of the audit, which are files in the folder `sql`, in a connection with the views."""
    for name in _MACROS:
        connection.execute(sql_text(name, "report/audit/sql"))


def query(figure: Figure) -> str:
    """Return the SQL query of `rows`.

    A kind of pair is a combination of A's settings, B's settings and the settings of the comparison; there are far
    fewer kinds than stitches. The query takes these steps:

    1. Take the kinds that the figure is about (`where`).
    2. Assign each kind to the curve with the nearest level, among the curves whose own `where` holds.
    3. For each curve, keep one pair of settings: the nearest level, then a preferred pair, then the fewest differences.
    4. Drop settings in which `needs` holds of no pair, which leaves out controls without the runs they belong to.
    5. Join the stitches of these kinds, and average them at their places on the figure's axis.

    The steps that are the same for every figure are table macros. The others are put together here, because they
    contain the figure's expressions and the columns that the specs of tasks declare (`settings.py`).
    """
    candidates = " UNION ALL ".join(_candidates(name, role, figure.level) for name, role in _roles(figure).items())
    return f"""
WITH networks AS ({_networks()}),
compared AS ({_compared(figure)}),
kinds AS ({_kinds(figure)}),
figure_kinds AS (SELECT * FROM kinds WHERE {figure.where}),
candidates AS ({candidates}),
one_per_curve AS (FROM nearest_pairs('candidates')),
with_needed AS (SELECT * FROM one_per_curve QUALIFY bool_or({figure.needs}) OVER (PARTITION BY setting)),
numbered AS (SELECT *, dense_rank() OVER (ORDER BY setting) AS number FROM with_needed),
selected AS (SELECT * FROM compared JOIN numbered USING ({_KIND})),
places AS ({_places(figure)})
FROM curve_points('numbered', 'places')
"""


def _roles(figure: Figure) -> Mapping[str, Role]:
    return {name: role for name, role in figure.curves.items() if not role.lacks}


def _candidates(name: str, role: Role, figure_level: str) -> str:
    """Return a query for the kinds that match a curve.

    `distance` is |ln(level / the paper's level)|. `rank` is the place of the first expression of `prefer` that holds.
    """
    level = role.by or figure_level or "NULL"
    distance = f"abs(ln(level / {role.level}))" if role.level else "0.0"
    ranks = "".join(f" WHEN {expression} THEN {rank}" for rank, expression in enumerate(role.prefer))
    rank = f"CASE{ranks} ELSE {len(role.prefer)} END" if ranks else "0"
    return (
        f"SELECT *, ({level})::DOUBLE AS level, {distance} AS distance, {rank} AS rank, "
        f"{_text(name)} AS curve FROM figure_kinds WHERE ({role.where})"
    )


def _networks() -> str:
    """Return a query for all networks with their settings.

    The width is taken out of the options, so that networks of two widths differ in the setting `width` alone.
    """
    columns = {column: column for column in NETWORK} | {"options": "json_merge_patch(options, '{\"width\": null}')"}
    return f"SELECT task, training, draw, {_struct(columns.items())} AS settings, hash(settings) AS recipe FROM models"


def _compared(figure: Figure) -> str:
    """Return a query for all stitches (or similarities) of two networks cut at the same place, with their kinds.

    For a figure of whole networks, it returns pairs of networks instead (`sql/pairs_of_networks.sql`).
    """
    if figure.of == "models":
        return "FROM pairs_of_networks('networks')"
    comparison_columns = ", ".join(f"s.{column}" for column in COMPARING[figure.of])
    probes = ("affine_top", "probe_only", "same_as") if figure.of == "stitches" else ()
    measured = ", ".join(f"s.{name}" for name in (*_MEASURED[figure.of], *probes))
    only = " AND s.sender = 'network'" if figure.of == "stitches" else ""  # labels and noise are not A's representation
    return f"""
    SELECT
        bottom.recipe AS a_recipe, top.recipe AS b_recipe, hash({comparison_columns}) AS comparison_hash,
        s.a = s.b AS self, s.a <> s.b AND bottom.training = top.training AS same_run,
        bottom.draw AS a, top.draw AS b, {comparison_columns},
        s.cut_b AS cut, s.position_b AS position, s.depth_b AS depth, {measured}
    FROM {figure.of} AS s
    JOIN networks AS bottom ON bottom.task = s.a
    JOIN networks AS top ON top.task = s.b
    WHERE s.cut_a = s.cut_b{only}"""


def _kinds(figure: Figure) -> str:
    """Return a query for all kinds of pairs: settings of A, of B and of the comparison, and those that differ."""
    differ = ", ".join(
        f"CASE WHEN bottom.settings.{name} IS DISTINCT FROM top.settings.{name} THEN '{name}' END" for name in NETWORK
    )
    comparing = COMPARING[figure.of]
    comparison_values = "".join(f", any_value({column}) AS {column}" for column in comparing)
    sql_by_column = {column: f"top.settings.{column}" for column in NETWORK}
    sql_by_column["data_digest"] = "left(top.settings.data_digest, 12)"
    sql_by_setting = {name: sql_by_column[column] for column, name in NETWORK.items()}
    sql_by_setting |= {name: f"kind.{column}" for column, name in comparing.items()}
    setting = [(name, sql_by_setting[name]) for name in settings_held_equal(figure)]
    return f"""
    SELECT
        {", ".join(f"kind.{name}" for name in _KIND.split(", "))}, bottom.settings AS bottom, top.settings AS top,
        list_filter([{differ}], lambda name: name IS NOT NULL) AS differ,
        {_struct((column, f"kind.{column}") for column in comparing)} AS comparing, {_struct(setting)} AS setting
    FROM (SELECT {_KIND}{comparison_values} FROM compared GROUP BY {_KIND}) AS kind
    JOIN (SELECT DISTINCT recipe, settings FROM networks) AS bottom ON bottom.recipe = kind.a_recipe
    JOIN (SELECT DISTINCT recipe, settings FROM networks) AS top ON top.recipe = kind.b_recipe"""


def _places(figure: Figure) -> str:
    """Return a query for the selected stitches with their places on the figure's axis.

    If the figure has it, the end of each curve is A alone (A's error minus B's). It is left out for A and B of equal
    settings: each network is A as often as B there, so the mean difference is 0 by construction.
    """
    b_error = "b_error" if "b_error" in _MEASURED[figure.of] else "NULL::DOUBLE AS b_error"
    kind = "NULL::VARCHAR"
    if figure.of == "stitches":
        kind = "cut_kind({number: number, curve: curve}, cut, depth, affine_top, probe_only, same_as)"
    net = "-net_gain" if figure.has_control else "NULL::DOUBLE"
    places = (
        f"SELECT number, curve, a, b, cut, {kind} AS cut_kind, ({figure.x})::DOUBLE AS x, "
        f"({figure.value})::DOUBLE AS value, {net} AS net, {b_error} FROM selected"
    )
    alone = (
        f"SELECT DISTINCT number, curve, a, b, '{WHOLE}' AS cut, 1.0 AS x, a_error - b_error AS value, "
        "b_error FROM selected WHERE len(differ) > 0"
    )
    return f"{places} UNION ALL BY NAME {alone}" if figure.whole else places


def _struct(members: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{name}: {sql}" for name, sql in members) + "}"


def _text(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"
