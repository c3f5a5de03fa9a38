"""The SQL views of a store.

Each view is declared as columns with an expression and a meaning, and contains each task once: of the rows of one task
(retries, merged stores) the one with the lowest (attempt, part). The raw rows of a kind are in `parts_<kind>`, with the
name of their part as an additional column.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import duckdb

from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.records.rows import PERCENT, RECEIPTS, ROWS, SECONDS, Column, Field, fields
from sweeper.store.parts.schema import scanned


class ViewColumn(NamedTuple):
    name: str
    sql: str
    column: Column


class View(NamedTuple):
    """A view: its columns and what they are selected from."""

    name: str
    columns: Sequence[ViewColumn]
    source: str

    @property
    def select(self) -> str:
        return "SELECT " + ", ".join(f'{c.sql} AS "{c.name}"' for c in self.columns) + f" FROM {self.source}"


def _stored(kind: str, prefix: str = "") -> list[ViewColumn]:
    """Return the stored columns of a kind."""
    return [ViewColumn(f.name, f'{prefix}"{f.name}"', f.column) for f in fields(ROWS[kind])]


# The columns of its models that a stitch shows: only their specifications. Errors come from the stitch's own row, which
# states those of the weights that it used.
_SPEC = (
    "arch", "width", "samples", "nested", "steps", "schedule_steps", "epochs", "seed", "label_noise", "training",
    "labels", "label_noise_kind", "shards", "shard", "objective", "init", "reset", "frozen",
)  # fmt: skip

# The columns in which a stitch and its self-stitch must agree, so that the difference of their gains is due to A.
_SAME = (
    "b", "b_weights", "cut_b", "stitcher", "options", "protocol",
    "data", "data_digest", "seed", "max_steps", "batch", "lr", "augment", "stop", "sender", "train",
)  # fmt: skip


def _models_columns(side: str) -> Iterator[ViewColumn]:
    meanings = {f.name: f.column for f in fields(ROWS["models"])}
    for name in _SPEC:
        meaning, unit = meanings[name]
        yield ViewColumn(f"{side}_{name}", f"{side}.{name}", Column(f"{side.upper()}'s {name}: {meaning}", unit))


_IF_PINNED = "; null where `models` shows other weights than were used"


def _pinned(side: str) -> str:
    """Return the expression for a network's outcomes; null if its weights are not those that the stitch used."""
    return f"CASE WHEN {side}.weights = s.{side}_weights THEN {side}.correct END"


def _bit(bitmap: str) -> str:
    return f"CASE WHEN image < 8 * octet_length({bitmap}) THEN get_bit({bitmap}::BIT, image::INTEGER) = 1 END"


def _images(bitmap: str, error: str) -> str:
    """Return the expression for the number of images of a bitmap; null if the network is right on none."""
    right = f"CASE WHEN octet_length({bitmap}) > 0 THEN bit_count({bitmap}::BIT) END"
    return f"round({right} / nullif(1 - {error} / 100, 0))"


def _setting(prefix: str = "") -> str:
    """Return the expression for a 64-bit hash of a setting.

    A join on it is four times as fast as on all columns; two of a million settings collide with a probability of 3e-8.
    """
    return f"hash({', '.join(prefix + name for name in _SAME)})"


_STITCHES = View(
    "stitches",
    (
        *_stored("stitches", "s."),
        ViewColumn(
            "net_gain",
            "s.gain - own.gain",
            Column(
                "gain minus the self-stitch's gain: what A brings; null where no such self-stitch is stored", PERCENT
            ),
        ),
        *_models_columns("a"),
        *_models_columns("b"),
        ViewColumn("a_correct", _pinned("a"), Column(f"`correct` of A alone{_IF_PINNED}")),
        ViewColumn("b_correct", _pinned("b"), Column(f"`correct` of B alone{_IF_PINNED}")),
        ViewColumn(
            "own_correct",
            "own.correct",
            Column("`correct` of the self-stitch; null where no such self-stitch is stored"),
        ),
        ViewColumn("same_run", "a.training = b.training AND s.a <> s.b", Column("A and B are snapshots of one run")),
        ViewColumn(
            "mixed",
            "a.weights IS DISTINCT FROM s.a_weights OR b.weights IS DISTINCT FROM s.b_weights",
            Column("used other weights of A or B than those that `models` shows"),
        ),
    ),
    "shown_stitches s LEFT JOIN shown_models a ON a.task = s.a LEFT JOIN shown_models b ON b.task = s.b "
    f"LEFT JOIN self_stitches own ON own.setting = {_setting('s.')}",
)


# Self-stitches, each setting once: under a later kernel version the same setting runs again as another task.
_SELF = (
    f'SELECT {_setting()} AS setting, arg_max(gain, "at") AS gain, arg_max(correct, "at") AS correct '
    "FROM shown_stitches "
    "WHERE a = b AND a_weights = b_weights AND cut_a = cut_b GROUP BY ALL"
)

# How a training differs from plain supervised learning of all classes from a random start: (text, where it does).
_VARIANTS = (
    ("'labels ' || labels", "labels <> 'classes'"),
    ("label_noise_kind", "label_noise > 0 AND label_noise_kind <> 'other_class'"),
    ("'label smoothing ' || label_smoothing", "label_smoothing > 0"),
    ("'warm-up ' || warmup", "warmup > 0"),
    ("objective || ', temperature ' || temperature || ', probe steps ' || probe_steps", "objective <> 'supervised'"),
    ("'shard of ' || shards || ', subset seed ' || subset_seed", "shards > 1"),
    ("'subset seed ' || subset_seed", "shards = 1 AND subset_seed > 0"),
    (
        "CASE WHEN init IS NULL THEN 'begun from a file' ELSE 'begun from a model' END "
        "|| CASE reset WHEN 'none' THEN '' ELSE ', new ' || reset END",
        "init_weights IS NOT NULL",
    ),
    ("'frozen ' || frozen", "frozen <> ''"),
)
_SAID = ", ".join(f"CASE WHEN {where} THEN {text} END" for text, where in _VARIANTS)

_MODELS = View(
    "models",
    (
        *_stored("models"),
        ViewColumn(
            "variant",
            f"coalesce(nullif(concat_ws('; ', {_SAID}), ''), 'plain')",
            Column("how its training differs from supervised learning of all classes from a random start; plain: not"),
        ),
    ),
    "shown_models",
)

_BEST_IS_ONE = ", ".join(f"'{card.name}'" for card in MEASURES.values() if card.range[1] == 1)

_SIMILARITIES = View(
    "similarities",
    (
        *_stored("similarities"),
        ViewColumn(
            "calibrated",
            f"CASE WHEN measure IN ({_BEST_IS_ONE}) THEN (value - null_mean) / nullif(1 - null_mean, 0) END",
            Column(
                "(value - null_mean) / (1 - null_mean): 0 for unrelated images, 1 for the same; null without a null"
            ),
        ),
    ),
    "shown_similarities",
)

# Unpacked as it is read: a constant that `task` or another column of the stitch is compared with is looked for before.
# How many images there are, which a bitmap rounds up to bytes, follows from how many are right and the error (of B, if
# the stitch got none right).
_EXAMPLES = View(
    "examples",
    (
        ViewColumn("task", "task", Column("id of the stitch")),
        ViewColumn("a", "a", Column("id of the bottom's model")),
        ViewColumn("b", "b", Column("id of the top's model")),
        ViewColumn("cut_a", "cut_a", Column("A is used up to this cut")),
        ViewColumn("cut_b", "cut_b", Column("B is used after this cut")),
        ViewColumn("image", "image", Column("number of the test image, from 0, in the data set's order")),
        ViewColumn("correct", _bit("correct"), Column("whether the stitched network is right")),
        ViewColumn("b_correct", _bit("b_correct"), Column(f"whether B alone is{_IF_PINNED}")),
        ViewColumn("a_correct", _bit("a_correct"), Column(f"whether A alone is{_IF_PINNED}")),
        ViewColumn("own_correct", _bit("own_correct"), Column("whether the self-stitch is; null where none is stored")),
    ),
    "(SELECT task, a, b, cut_a, cut_b, correct, b_correct, a_correct, own_correct, unnest(range(least("
    f"coalesce({_images('correct', 'test_error')}, {_images('b_correct', 'b_error')}, 0), 8 * octet_length(correct)"
    ")::BIGINT)) AS image "
    "FROM stitches)",
)

# A point of a curve is shown with the attempt that the receipt is from; a repeated commit may hold it twice.
_CURVES = View(
    "curves",
    _stored("curves", "c."),
    "(SELECT DISTINCT ON (task, run, attempt, split, step) * FROM parts_curves "
    "ORDER BY task, run, attempt, split, step, part) c SEMI JOIN receipts r "
    "ON r.task = c.task AND r.run = c.run AND r.attempt = c.attempt",
)

_FAILURES = View(
    "failures",
    _stored("failures", "f."),
    '(SELECT DISTINCT ON (task) * FROM parts_failures ORDER BY task, "at" DESC, attempt DESC, part DESC) f '
    "ANTI JOIN receipts r ON r.task = f.task",
)

_ATTEMPTS = View(
    "attempts",
    (
        ViewColumn("task", "task", Column("id of the task")),
        ViewColumn("kind", "kind", Column("models, stitches, similarities")),
        ViewColumn("attempt", "attempt", Column("0 for the task's first try in its run, then 1, 2, ...")),
        ViewColumn("run", "run", Column("the run that tried")),
        ViewColumn("outcome", "outcome", Column("done, failed")),
        ViewColumn("error", "error", Column("class of the error; null where it is done")),
        ViewColumn("message", "message", Column("its text")),
        ViewColumn("seconds", "seconds", Column("wall clock; work shared by a pack counted by share", SECONDS)),
        ViewColumn("at", '"at"', Column("when it ended, UTC")),
    ),
    "("
    + " UNION ALL ".join(
        f"SELECT task, '{kind}' AS kind, attempt, run, 'done' AS outcome, NULL::VARCHAR AS error, "
        f'NULL::VARCHAR AS message, seconds, "at" FROM parts_{kind}'
        for kind in RECEIPTS
    )
    + ' UNION ALL SELECT task, "of", attempt, run, \'failed\', error, message, seconds, "at" FROM parts_failures)',
)

_RUNS = View(
    "runs",
    (
        ViewColumn("run", "s.task", Column("id of the run")),
        ViewColumn("job", "s.job", Column("name of the job")),
        ViewColumn("outcome", "coalesce(e.outcome, 'running or lost')", Column("complete, failed, interrupted")),
        ViewColumn("started", 's."at"', Column("when it started, UTC")),
        ViewColumn("ended", 'e."at"', Column("when it ended, UTC")),
        ViewColumn("seconds", 'epoch(e."at" - s."at")', Column("from its start to its end, wall clock", SECONDS)),
        ViewColumn("tasks", "s.tasks", Column("tasks of the job")),
        ViewColumn("done_before", "s.done_before", Column("of these, already in the store at the start")),
        ViewColumn("done", "e.done", Column("tasks finished by this run")),
        ViewColumn("failed", "e.failed", Column("tasks that failed in this run")),
        ViewColumn("host", "s.host", Column("machine of the driver")),
        ViewColumn("pid", "s.pid", Column("process of the driver")),
        ViewColumn("code", "s.code", Column("version of Sweeper")),
        ViewColumn("versions", "s.versions", Column("library versions, as JSON")),
        ViewColumn("job_given", "s.job_given", Column("the job as given, YAML")),
        ViewColumn("job_resolved", "s.job_resolved", Column("the job as resolved, JSON")),
    ),
    "(FROM events WHERE event = 'start') s LEFT JOIN (FROM events WHERE event = 'end') e ON e.task = s.task",
)

VIEWS: Sequence[View] = (
    _MODELS,
    _STITCHES,
    _EXAMPLES,
    _SIMILARITIES,
    _CURVES,
    _ATTEMPTS,
    _FAILURES,
    _RUNS,
)

# The views that a job's ids restrict.
RESTRICTED = ("models", "stitches", "examples", "similarities", "curves", "attempts", "failures")


class Sample(NamedTuple):
    question: str
    sql: str


SAMPLES: Sequence[Sample] = (
    Sample(
        "Which models does the store hold, and how good are they?",
        "SELECT arch, width, samples, steps, count(*) AS models, avg(test_error) AS test_error\n"
        "FROM models GROUP BY ALL ORDER BY ALL",
    ),
    Sample(
        "What does it cost to put A's layers below B's, cut by cut?",
        "SELECT stitcher, protocol, position_b, cut_b, count(*) AS stitches, avg(penalty) AS penalty\n"
        "FROM stitches WHERE cut_a = cut_b GROUP BY ALL ORDER BY ALL",
    ),
    Sample(
        "Are the representations of models with more data better? (95 % interval for other models and images)",
        "SELECT a_samples, b_samples, depth_b, ci(a, b, net_gain, correct, own_correct) AS net_gain\n"
        "FROM stitches WHERE a_samples > b_samples AND stitcher = 'conv1x1' AND protocol = 'strict' AND data = 'full'\n"
        "GROUP BY ALL ORDER BY ALL",
    ),
    Sample(
        "Does the gain grow with A's samples? (points for each doubling)",
        "SELECT b_samples, depth_b, trend(a, b, log2(a_samples), gain, correct, b_correct) AS trend\n"
        "FROM stitches WHERE a_samples > 0 AND stitcher = 'conv1x1' AND protocol = 'strict' AND data = 'full'\n"
        "GROUP BY ALL ORDER BY ALL",
    ),
    Sample(
        "Which stitches gained the most?",
        "SELECT task, a_arch, a_width, a_samples, b_arch, b_width, b_samples, cut_b, gain\n"
        "FROM stitches ORDER BY gain DESC LIMIT 20",
    ),
    Sample(
        "Which images does A fix in B, and which does it break?",
        "SELECT image, correct AS fixed FROM examples\n"
        "WHERE task = 'the id of a stitch' AND correct <> b_correct ORDER BY fixed DESC, image",
    ),
    Sample(
        "What failed, and why?",
        'SELECT "of" AS kind, error, message, count(*) AS tasks FROM failures GROUP BY ALL ORDER BY tasks DESC',
    ),
    Sample(
        "How long do stitches take, on which device?",
        "SELECT device, stitcher, protocol, count(*) AS stitches, avg(seconds) AS seconds,\n"
        "  sum(seconds) / 3600 AS hours\nFROM stitches GROUP BY ALL ORDER BY hours DESC",
    ),
)


def create(con: duckdb.DuckDBPyConnection, repeated: Iterable[str], restricted: bool) -> None:
    """Create the views in a connection that has `parts_<kind>` for every kind.

    `repeated` names the kinds of which a task has several rows: for these there is a table `repeated_<kind>` with the
    tasks, and `present_weights` with the digests that the store holds. If `restricted`, the table `only_tasks` holds
    the ids to which the views are cut down.
    """
    repeated = set(repeated)
    for kind in RECEIPTS:
        con.execute(f"CREATE VIEW shown_{kind} AS {_shown(kind, kind in repeated)}")
    receipts = " UNION ALL ".join(f"SELECT task, run, attempt FROM shown_{kind}" for kind in RECEIPTS)
    con.execute(f"CREATE VIEW receipts AS {receipts}")
    con.execute(f"CREATE VIEW self_stitches AS {_SELF}")
    con.execute(
        "CREATE VIEW events AS SELECT DISTINCT ON (task, event) * EXCLUDE part FROM parts_runs "
        "ORDER BY task, event, attempt, part"
    )
    for view in VIEWS:
        only = " SEMI JOIN only_tasks USING (task)" if restricted and view.name in RESTRICTED else ""
        con.execute(f"CREATE VIEW {view.name} AS FROM ({view.select}){only}")


@functools.cache
def legend() -> tuple[tuple[str, str, str, str, str], ...]:
    """List every column of every view: (view, column, type, unit, meaning)."""
    with duckdb.connect(":memory:") as con:
        for kind, row in ROWS.items():
            con.register(f"parts_{kind}", scanned(row).empty_table())
        create(con, (), restricted=False)
        described = {view.name: con.execute(f"DESCRIBE {view.name}").fetchall() for view in VIEWS}
    return tuple(
        (view.name, c.name, kind, c.column.unit, c.column.meaning)
        for view in VIEWS
        for c, (_, kind, *_) in zip(view.columns, described[view.name], strict=True)
    )


def _read(field: Field) -> str:
    """Return the expression for a stored column; a column added later has its default in parts that lack it."""
    if field.default is None:
        return f'"{field.name}"'
    default = f"'{field.default}'" if isinstance(field.default, str) else field.default
    return f'coalesce("{field.name}", {default}) AS "{field.name}"'


def _shown(kind: str, repeated: bool) -> str:
    """Return the query for the rows of a kind with each task once.

    Only repeated tasks are sorted, which saves seconds for millions of tasks. Of a model's rows, those whose weights
    the store still holds take precedence, because the others can't be stitched again.
    """
    columns = ", ".join(map(_read, fields(ROWS[kind])))
    if not repeated:
        return f"SELECT {columns} FROM parts_{kind}"
    first = "weights NOT IN (FROM present_weights), " if kind == "models" else ""
    return (
        f"SELECT {columns} FROM parts_{kind} ANTI JOIN repeated_{kind} USING (task) UNION ALL "
        f"SELECT {columns} FROM (SELECT DISTINCT ON (task) * FROM parts_{kind} SEMI JOIN repeated_{kind} USING (task) "
        f"ORDER BY task, {first}attempt, part)"
    )
