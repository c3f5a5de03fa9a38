"""What a store says twice: models with several weights, and tasks with several rows whose results differ.

Neither is damage. Views show each task once, and flag stitches whose models had other weights (`mixed`). But a reader
should know, because the numbers of such a model come from several networks.
"""

from typing import NamedTuple

import duckdb

from sweeper.spec.records.rows import RECEIPTS, ROWS, Row, fields
from sweeper.store.store import Store

# What two rows of a task may differ in although their results are the same, and what `find_mixes` counts.
_NO_RESULTS = {field.name for field in fields(Row)} | {"weights", "init_weights", "a_weights", "b_weights"}


class Mix(NamedTuple):
    """A model with several weights."""

    model: str
    versions: int  # weights that its rows name
    others: int  # results that used other weights of it than those of the row that the view `models` shows


class Repeat(NamedTuple):
    """The tasks of a kind that have several rows with different results."""

    kind: str
    tasks: int
    example: str


def find_mixes(store: Store) -> list[Mix]:
    """Return the models with several weights, those with the most results first."""
    query = """
        WITH used AS (
            SELECT a AS model, a_weights AS weights FROM stitches UNION ALL
            SELECT b, b_weights FROM stitches UNION ALL
            SELECT a, a_weights FROM similarities UNION ALL
            SELECT b, b_weights FROM similarities UNION ALL
            SELECT init, init_weights FROM models WHERE init IS NOT NULL
        ),
        others AS (
            SELECT used.model, count(*) AS others
            FROM used JOIN models ON models.task = used.model
            WHERE used.weights <> models.weights
            GROUP BY used.model
        ),
        versions AS (SELECT task AS model, count(DISTINCT weights) AS versions FROM parts_models GROUP BY task)
        SELECT model, versions, coalesce(others, 0)
        FROM versions LEFT JOIN others USING (model)
        WHERE versions > 1 OR others > 0
        ORDER BY 3 DESC, 1
    """

    def read() -> list[Mix]:
        with store.connect() as con:
            return [Mix(*row) for row in con.execute(query).fetchall()]

    return store.retried(read)


def find_repeats(store: Store) -> list[Repeat]:
    """Return the kinds of which tasks have several rows with different results."""

    def read() -> list[Repeat]:
        with store.connect() as con:
            repeats = [_repeat(con, kind) for kind in RECEIPTS]
        return [repeat for repeat in repeats if repeat.tasks]

    return store.retried(read)


def _repeat(con: duckdb.DuckDBPyConnection, kind: str) -> Repeat:
    results = ", ".join(_value(field.name, field.default) for field in fields(ROWS[kind]) if _is_result(field.name))
    tasks, example = con.execute(f"""
        SELECT count(*), min(task) FROM (
            SELECT task FROM parts_{kind}
            WHERE task IN (SELECT task FROM parts_{kind} GROUP BY task HAVING count(*) > 1)
            GROUP BY task HAVING count(DISTINCT hash({results})) > 1
        )
    """).fetchall()[0]
    return Repeat(kind, tasks, example or "")


def _is_result(name: str) -> bool:
    return name not in _NO_RESULTS


def _value(name: str, default: object) -> str:
    """Return the expression for a column, whose default stands for null in rows of an older version."""
    if default is None:
        return f'"{name}"'
    text = f"'{default}'" if isinstance(default, str) else str(default)
    return f'coalesce("{name}", {text})'
