"""The SQL that picks, of a store's stitches, those that stand for the curves of a figure."""

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from .definition import Figure, Role
from .settings import COMPARING, NETWORK

WHOLE = "(A alone)"

# What a kind of pair is told apart by; recipe and manner are hashes of settings, for a few numbers are compared sooner
# than a score of texts.
_KIND = "a_recipe, b_recipe, manner, self, same_run"

_MEASURED = {
    "stitches": ("penalty", "gain", "test_error", "a_error", "b_error"),
    "similarities": ("value",),
    "models": ("a_error", "b_error"),
}


def settings(figure: Figure) -> tuple[str, ...]:
    """The columns that are the same in everything that is compared."""
    names = (*NETWORK.values(), *COMPARING[figure.of].values())
    return tuple(name for name in names if name not in figure.varies)


def rows(connection: duckdb.DuckDBPyConnection, figure: Figure) -> list[dict[str, Any]]:
    """One row per setting, curve and place: what `settings` names, and

    curve, cut, x; level: what stands for the curve; others: how many further pairs of settings might have stood for it;
    ours: the interval of the value over training runs; top_error: mean error of B, in percent.
    """
    return connection.sql(query(figure)).to_arrow_table().to_pylist() if _roles(figure) else []


def query(figure: Figure) -> str:
    """In words: of the kinds of pairs that there are (settings of A and B and how they were compared, a handful beside
    the stitches) those that the figure is about; each offered to the curves that might have it and taken by the one
    whose level is the nearest; of what a curve took, one pair of settings kept, that of the nearest level, then a
    preferred one, then that of the fewest differences; controls alone left out. Then the stitches of these, at their
    places on the figure's axis."""
    offers = " UNION ALL ".join(_offer(name, role, figure.level) for name, role in _roles(figure).items())
    return f"""
WITH networks AS ({_networks()}),
compared AS ({_compared(figure)}),
kinds AS ({_kinds(figure)}),
about AS (SELECT * FROM kinds WHERE {figure.where}),
offers AS ({offers}),
taken AS (SELECT *, (a_recipe, b_recipe) AS pair FROM offers QUALIFY away = min(away) OVER (PARTITION BY {_KIND})),
kept AS (
    SELECT *, count(DISTINCT pair) OVER (PARTITION BY setting, curve) - 1 AS others
    FROM taken
    QUALIFY pair = first_value(pair) OVER (
        PARTITION BY setting, curve ORDER BY away, NOT preferred, len(differ), level, bottom, top
    )
),
asked AS (SELECT * FROM kept QUALIFY bool_or({figure.needs}) OVER (PARTITION BY setting)),
numbered AS (SELECT *, dense_rank() OVER (ORDER BY setting) AS number FROM asked),
standing AS (SELECT * FROM compared JOIN numbered USING ({_KIND})),
places AS ({_places(figure)}),
points AS (
    SELECT number, curve, cut, x, ci(a, b, value) AS ours, avg(b_error) AS top_error
    FROM places
    WHERE isfinite(x) AND isfinite(value)
    GROUP BY ALL
)
SELECT setting.*, curve, level, others, cut, x, ours, top_error
FROM points JOIN (SELECT DISTINCT number, setting, curve, level, others FROM numbered) USING (number, curve)
ORDER BY number, curve, x, cut
"""


def _roles(figure: Figure) -> Mapping[str, Role]:
    return {name: role for name, role in figure.curves.items() if not role.lacks}


def _offer(name: str, role: Role, level: str) -> str:
    """The kinds that a curve might take, and how far their level is from its own: |ln(level / the paper's)|."""
    here = role.by or level
    away = f"abs(ln(level / {role.level}))" if role.level else "0.0"
    return (
        f"SELECT *, ({here or 'NULL'})::DOUBLE AS level, {away} AS away, coalesce({role.prefer}, false) AS preferred, "
        f"{_text(name)} AS curve FROM about WHERE ({role.where})"
    )


def _networks() -> str:
    """Each network and its settings; a width is no option, so that networks of two widths differ in it alone."""
    own = {column: column for column in NETWORK} | {"options": "json_merge_patch(options, '{\"width\": null}')"}
    return f"SELECT task, training, {_struct(own.items())} AS settings, hash(settings) AS recipe FROM models"


def _compared(figure: Figure) -> str:
    """Every stitch (or similarity) of two networks cut at the same place, with its kind as numbers; or what stands for
    them of whole networks."""
    if figure.of == "models":
        return _side_by_side()
    manner = ", ".join(f"s.{column}" for column in COMPARING[figure.of])
    measured = ", ".join(f"s.{name}" for name in _MEASURED[figure.of])
    return f"""
    SELECT
        bottom.recipe AS a_recipe, top.recipe AS b_recipe, hash({manner}) AS manner,
        s.a = s.b AS self, s.a <> s.b AND bottom.training = top.training AS same_run,
        bottom.training AS a, top.training AS b, {manner},
        s.cut_b AS cut, s.position_b AS position, s.depth_b AS depth, {measured}
    FROM {figure.of} AS s
    JOIN networks AS bottom ON bottom.task = s.a
    JOIN networks AS top ON top.task = s.b
    WHERE s.cut_a = s.cut_b"""


def _side_by_side() -> str:
    """Every network beside each that has frozen layers."""
    return """
    SELECT
        bottom.recipe AS a_recipe, top.recipe AS b_recipe, 0 AS manner,
        a.task = b.task AS self, a.task <> b.task AND a.training = b.training AS same_run,
        a.training AS a, b.training AS b, '' AS cut, NULL AS position, NULL AS depth,
        a.test_error AS a_error, b.test_error AS b_error
    FROM models AS a
    JOIN networks AS bottom ON bottom.task = a.task
    JOIN models AS b ON b.frozen <> ''
    JOIN networks AS top ON top.task = b.task"""


def _kinds(figure: Figure) -> str:
    """Each kind of pair, with its settings: A's, B's, those in which they differ, and how they were compared."""
    differ = ", ".join(
        f"CASE WHEN bottom.settings.{name} IS DISTINCT FROM top.settings.{name} THEN '{name}' END" for name in NETWORK
    )
    comparing = COMPARING[figure.of]
    manner = "".join(f", any_value({column}) AS {column}" for column in comparing)
    shown = {column: f"top.settings.{column}" for column in NETWORK}
    shown["data_digest"] = "left(top.settings.data_digest, 12)"
    held = {name: shown[column] for column, name in NETWORK.items()}
    held |= {name: f"kind.{column}" for column, name in comparing.items()}
    setting = [(name, held[name]) for name in settings(figure)]
    return f"""
    SELECT
        {", ".join(f"kind.{name}" for name in _KIND.split(", "))}, bottom.settings AS bottom, top.settings AS top,
        list_filter([{differ}], lambda name: name IS NOT NULL) AS differ,
        {_struct((column, f"kind.{column}") for column in comparing)} AS comparing, {_struct(setting)} AS setting
    FROM (SELECT {_KIND}{manner} FROM compared GROUP BY {_KIND}) AS kind
    JOIN (SELECT DISTINCT recipe, settings FROM networks) AS bottom ON bottom.recipe = kind.a_recipe
    JOIN (SELECT DISTINCT recipe, settings FROM networks) AS top ON top.recipe = kind.b_recipe"""


def _places(figure: Figure) -> str:
    """What stands for the curves, at its place on the axis; with A alone at the end where the figure has it; of
    twins that would be 0 whatever they are, for each is A as often as B."""
    b_error = "b_error" if "b_error" in _MEASURED[figure.of] else "NULL::DOUBLE AS b_error"
    places = (
        f"SELECT number, curve, a, b, cut, ({figure.x})::DOUBLE AS x, ({figure.value})::DOUBLE AS value, {b_error} "
        "FROM standing"
    )
    alone = (
        f"SELECT DISTINCT number, curve, a, b, '{WHOLE}' AS cut, 1.0 AS x, a_error - b_error AS value, b_error "
        "FROM standing WHERE len(differ) > 0"
    )
    return f"{places} UNION ALL BY NAME {alone}" if figure.whole else places


def _struct(members: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{name}: {sql}" for name, sql in members) + "}"


def _text(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"
