"""The SQL views of a store.

The query of each view is a file in the folder `sql`. This module has the meanings of the columns, which the command
`sweeper sql` and the docs print. A view contains each task once: if a task has several rows (because of retries or
merged stores), the one with the lowest (attempt, part). The table `parts_<kind>` has all rows of a kind, with the path
of their part as an additional column; the view `shown_<kind>` has each task once.
"""

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from sweeper.resources import sql_text
from sweeper.spec.records.rows import PERCENT, RECEIPTS, ROWS, SECONDS, Column, fields
from sweeper.store.parts.schema import arrow_schema


class ViewColumn(NamedTuple):
    """A column of a view with its meaning and unit."""

    name: str
    column: Column


class View(NamedTuple):
    """A view, whose query is the file `sql/NAME.sql`, and its columns in the order of that query."""

    name: str
    columns: Sequence[ViewColumn]


def _stored_columns(kind: str) -> Iterator[ViewColumn]:
    """Yield the stored columns of a kind, in the order of its row class."""
    return (ViewColumn(field.name, field.column) for field in fields(ROWS[kind]))


def _view(name: str, computed: Mapping[str, Column], stored: bool = True) -> View:
    """Build a view with the columns of the rows of its name, if `stored`, followed by the computed columns."""
    columns = [ViewColumn(column, meaning) for column, meaning in computed.items()]
    return View(name, [*(_stored_columns(name) if stored else ()), *columns])


# The columns of `models` that the view `stitches` has for both models, as `a_...` and `b_...`: their specifications.
_SPECIFICATION = (
    "arch", "width", "samples", "nested", "steps", "schedule_steps", "epochs", "seed", "label_noise", "training",
    "labels", "label_noise_kind", "shards", "shard", "objective", "init", "reset", "frozen",
)  # fmt: skip


def _spec_columns() -> Iterator[tuple[str, Column]]:
    """Yield the columns `a_...` and `b_...` of the view `stitches`, with the meanings that they have in `models`."""
    meanings = {field.name: field.column for field in fields(ROWS["models"])}
    for side in ("a", "b"):
        for name in _SPECIFICATION:
            meaning, unit = meanings[name]
            yield f"{side}_{name}", Column(f"{side.upper()}'s {name}: {meaning}", unit)


_NULL_IF_OTHER_WEIGHTS = "; null where `models` shows other weights than were used"
_FINISHED_AT = {"finished_at": Column('when the row was made, UTC; `"at"` is its older name')}

VIEWS: Sequence[View] = (
    _view(
        "models",
        {
            "variant": Column(
                "how its training differs from supervised learning of all classes from a random start; "
                "'plain' if it doesn't"
            ),
            "draw": Column(
                "what its chance events come from: its seed, or its training run if it began from a file; intervals "
                "count models of one draw as one, because they share initial weights, images or batches"
            ),
            **_FINISHED_AT,
        },
    ),
    _view(
        "stitches",
        {
            "net_gain": Column(
                "gain minus the gain of the self-stitch of B; above 0, A's representation is better for B's top than "
                "B's own; null where no such self-stitch is stored",
                PERCENT,
            ),
            **dict(_spec_columns()),
            "a_correct": Column(f"`correct` of A alone{_NULL_IF_OTHER_WEIGHTS}"),
            "b_correct": Column(f"`correct` of B alone{_NULL_IF_OTHER_WEIGHTS}"),
            "own_correct": Column("`correct` of the self-stitch; null where no such self-stitch is stored"),
            "same_run": Column("A and B are snapshots of one training run"),
            "mixed": Column("the stitch used other weights of A or B than those that `models` shows"),
            **_FINISHED_AT,
        },
    ),
    _view(
        "examples",
        {
            "task": Column("id of the stitch"),
            "a": Column("id of the bottom model"),
            "b": Column("id of the top model"),
            "cut_a": Column("the layers of A up to this cut are used"),
            "cut_b": Column("the layers of B after this cut are used"),
            "image": Column("number of the test image, from 0, in the order of the data set"),
            "correct": Column("whether the stitched network is right"),
            "b_correct": Column(f"whether B alone is right{_NULL_IF_OTHER_WEIGHTS}"),
            "a_correct": Column(f"whether A alone is right{_NULL_IF_OTHER_WEIGHTS}"),
            "own_correct": Column("whether the self-stitch is right; null where none is stored"),
        },
        stored=False,
    ),
    _view(
        "similarities",
        {
            "calibrated": Column(
                "(value - null_mean) / (1 - null_mean): 0 for unrelated images, 1 for the same; null without a null"
            ),
            **_FINISHED_AT,
        },
    ),
    _view("curves", _FINISHED_AT),
    _view(
        "attempts",
        {
            "task": Column("id of the task"),
            "kind": Column("kind of the task's row: models, stitches or similarities"),
            "attempt": Column("0 for the first attempt at the task in its run, then 1, 2, ..."),
            "run": Column("id of the run that made the attempt"),
            "outcome": Column("done or failed"),
            "error": Column("class of the error; null if the outcome is done"),
            "message": Column("text of the error; null if the outcome is done"),
            "seconds": Column("wall-clock time; work that a pack shares is divided among its tasks", SECONDS),
            "device": Column("device that computed the result, or on which the attempt failed; empty if not known"),
            "at": Column("when the attempt ended, UTC"),
            "finished_at": Column('when the attempt ended, UTC; `"at"` is its older name'),
        },
        stored=False,
    ),
    _view(
        "failures",
        {
            "attempts": Column("attempts at the task, in all runs"),
            "kind": Column('kind of row that the task would have made; `"of"` is its older name'),
            **_FINISHED_AT,
        },
    ),
    _view(
        "runs",
        {
            "run": Column("id of the run"),
            "job": Column("name of the job"),
            "outcome": Column("complete, failed, interrupted, or 'running or lost'"),
            "started": Column("when the run started, UTC"),
            "ended": Column("when the run ended, UTC"),
            "seconds": Column("wall-clock time from the start to the end", SECONDS),
            "tasks": Column("tasks of the job"),
            "done_before": Column("tasks of the job that were already in the store at the start"),
            "done": Column("tasks finished by this run"),
            "failed": Column("tasks that failed in this run"),
            "host": Column("name of the driver's machine"),
            "pid": Column("id of the driver's process"),
            "code": Column("version of Sweeper"),
            "versions": Column("versions of libraries, as JSON"),
            "job_given": Column("the job file as given, YAML"),
            "job_resolved": Column("the job with every default written out, JSON"),
        },
        stored=False,
    ),
)

# The views that have a column `task`, so that they can be restricted to given tasks.
RESTRICTABLE = ("models", "stitches", "examples", "similarities", "curves", "attempts", "failures")

# Those of them that are no queries over others of them, and the helper view of stitches.
_RESTRICTED = {*RESTRICTABLE, "stitches_with_models"} - {"stitches", "examples"}

# The macros and views that the views use, in the order of creation; each is a file in the folder `sql`.
_MACROS = ("is_right", "image_count", "has_affine_top", "is_affine_stitcher", "cut_kind", "is_compared")
_HELPER_VIEWS = (
    "receipts", "stitches_with_setting", "self_stitches", "stitches_with_models", "events", "plans",
)  # fmt: skip


class TableMacro(NamedTuple):
    """A query with parameters that is used in FROM; its file `sql/NAME.sql` begins with a comment that explains it."""

    name: str
    parameters: str

    @property
    def meaning(self) -> str:
        """The comment at the beginning of its file."""
        comment = itertools.takewhile(lambda line: line.startswith("--"), sql_text(self.name).splitlines())
        return "\n".join(line.removeprefix("--").removeprefix(" ") for line in comment)


TABLE_MACROS = (TableMacro("compare_along_axis", "networks, margin, images"),)

# The table macros that only these and the tables use.
_HELPER_TABLE_MACROS = ("sender_controls", "numbered_stitches", "stitched_places", "count_looks")


class Sample(NamedTuple):
    """A sample query and the question that it answers, shown by `sweeper sql` and in the docs."""

    question: str
    sql: str


SAMPLES: Sequence[Sample] = (
    Sample(
        "Which models does the store hold, and how good are they?",
        "SELECT arch, width, samples, steps, count(*) AS models, avg(test_error) AS test_error\n"
        "FROM models GROUP BY ALL ORDER BY ALL",
    ),
    Sample(
        "How large is the penalty of stitching, at each cut?",
        "SELECT stitcher, protocol, position_b, cut_b, count(*) AS stitches, avg(-net_gain) AS net_penalty, "
        "avg(penalty) AS penalty\n"
        "FROM stitches WHERE cut_a = cut_b AND sender = 'network' GROUP BY ALL ORDER BY ALL",
    ),
    Sample(
        "Are the representations of models with more data better? (95 % interval for other models and images)",
        "SELECT a_samples, b_samples, depth_b, ci(a, b, net_gain, correct, own_correct) AS net_gain\n"
        "FROM stitches WHERE a_samples > b_samples AND stitcher = 'conv1x1' AND protocol = 'strict' AND data = 'full'\n"
        "  AND sender = 'network'\n"
        "GROUP BY ALL ORDER BY ALL",
    ),
    Sample(
        "Does the net gain grow with A's samples? (points for each doubling)",
        "SELECT b_samples, depth_b, trend(a, b, log2(a_samples), net_gain, correct, own_correct) AS trend\n"
        "FROM stitches WHERE a_samples > 0 AND stitcher = 'conv1x1' AND protocol = 'strict' AND data = 'full'\n"
        "  AND sender = 'network'\n"
        "GROUP BY ALL ORDER BY ALL",
    ),
    Sample(
        "Which stitches gained the most, compared with B stitched to itself?",
        "SELECT task, a_arch, a_width, a_samples, b_arch, b_width, b_samples, cut_b, net_gain, gain\n"
        "FROM stitches WHERE sender = 'network' ORDER BY net_gain DESC NULLS LAST LIMIT 20",
    ),
    Sample(
        "Which images does A fix in B, and which does it break?",
        "SELECT image, correct AS fixed FROM examples\n"
        "WHERE task = 'the id of a stitch' AND correct <> b_correct ORDER BY fixed DESC, image",
    ),
    Sample(
        "What failed, and why?",
        "SELECT kind, error, message, count(*) AS tasks FROM failures GROUP BY ALL ORDER BY tasks DESC",
    ),
    Sample(
        "How long do stitches take, on which device?",
        "SELECT device, stitcher, protocol, count(*) AS stitches, avg(seconds) AS seconds,\n"
        "  sum(seconds) / 3600 AS hours\nFROM stitches GROUP BY ALL ORDER BY hours DESC",
    ),
)


def create(con: duckdb.DuckDBPyConnection, repeated: Iterable[str], restricted: bool) -> None:
    """Create the views in a connection that has `parts_<kind>` for every kind.

    Args:
        con: The connection.
        repeated: The kinds of which a task has several rows. For each of them the connection must have a table
            `repeated_<kind>` with the ids of these tasks; for models also `present_weights` with the digests of the
            weights that the store holds.
        restricted: True restricts the views to the ids in the table `only_tasks`.
    """
    repeated = set(repeated)
    for kind in RECEIPTS:
        con.execute(f"CREATE VIEW shown_{kind} AS {_shown_query(kind, kind in repeated)}")
    for name in _MACROS:
        con.execute(sql_text(name))
    for name in (*_HELPER_VIEWS, *(view.name for view in VIEWS)):
        only = " SEMI JOIN only_tasks USING (task)" if restricted and name in _RESTRICTED else ""
        con.execute(f"CREATE VIEW {name} AS FROM (\n{sql_text(name)}\n){only}")


def create_table_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Create the table macros in a connection that has the views and the functions of `sql_functions`."""
    for name in (*_HELPER_TABLE_MACROS, *(macro.name for macro in TABLE_MACROS)):
        con.execute(sql_text(name))


@functools.cache
def legend() -> tuple[tuple[str, str, str, str, str], ...]:
    """Return (view, column, type, unit, meaning) of every column of every view."""
    with duckdb.connect(":memory:") as con:
        for kind, row in ROWS.items():
            columns = pa.schema([*arrow_schema(row), pa.field("part", pa.string())])
            con.register(f"parts_{kind}", columns.empty_table())
        create(con, (), restricted=False)
        rows_by_view = {view.name: con.execute(f"DESCRIBE {view.name}").fetchall() for view in VIEWS}
    return tuple(
        (view.name, c.name, kind, c.column.unit, c.column.meaning)
        for view in VIEWS
        for c, (_, kind, *_) in zip(view.columns, rows_by_view[view.name], strict=True)
    )


def _shown_query(kind: str, repeated: bool) -> str:
    """Return the query for the rows of a kind with each task once.

    It is not an SQL file, because the defaults come from the row class, and because it depends on the store: only
    repeated tasks are sorted, which saves seconds for millions of tasks. Of the rows of a model, those whose weights
    the store still holds come first, because the others can't be stitched again.
    """
    columns = f"* EXCLUDE part{_replace_clause(kind)}"
    if not repeated:
        return f"SELECT {columns} FROM parts_{kind}"
    first_key = "weights NOT IN (FROM present_weights), " if kind == "models" else ""
    return (
        f"SELECT {columns} FROM parts_{kind} ANTI JOIN repeated_{kind} USING (task) UNION ALL "
        f"SELECT {columns} FROM (SELECT DISTINCT ON (task) * FROM parts_{kind} SEMI JOIN repeated_{kind} USING (task) "
        f"ORDER BY task, {first_key}attempt, part)"
    )


def _replace_clause(kind: str) -> str:
    """Return the clause that fills columns that older parts lack with the defaults of the row class."""
    later_columns = [(field.name, field.default) for field in fields(ROWS[kind]) if field.default is not None]
    values = ((name, f"'{default}'" if isinstance(default, str) else default) for name, default in later_columns)
    replacements = ", ".join(f'coalesce("{name}", {value}) AS "{name}"' for name, value in values)
    return f" REPLACE ({replacements})" if replacements else ""
