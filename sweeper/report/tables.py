"""Tables: the results of the analysis files on a store, with notes on how to read them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from sweeper.errors import QueryError, StoreError, UsageError, did_you_mean
from sweeper.spec.content.wording import count_of
from sweeper.store.parts import store_paths
from sweeper.store.query.query import explained_error
from sweeper.store.query.result import result_table

from .question import Parameter, Question, Value, find_questions, placeholders

if TYPE_CHECKING:
    from sweeper.store.store import Store

# The order of tables where all are shown; others follow by name.
ORDER = (
    "zoo",
    "more_data",
    "more_width",
    "more_training",
    "where_more_helps",
    "connected",
    "random_control",
    "controls",
    "stitching_and_cka",
    "measures",
    "penalty_by_cut",
    "own_stitch",
    "fitting_cuts",
    "protocols",
    "complete",
    "failed",
    "cost",
)

# A column that only `_notes` uses: the number of test images if a row's intervals treat them as a random sample; null
# if the intervals treat them as fixed.
IMAGES = "test_images"

# The columns with the parts of the variance of a row's net gain or net penalty, and their degrees of freedom.
PARTS = ("net_variances", "net_degrees")

# The column of `count_looks.sql`: how often verdicts could be read from the data of a row's family as it grew.
LOOKS = "looks"

# The column of `cut_kind.sql`: null for cuts that count in means over cuts and in verdicts.
CUT_KIND = "cut_kind"

# What stands between the names of two different cuts in the column `cut` (`stitched_places.sql`).
CUT_ARROW = " → "

# The column of the number of pairs that a row leaves out, because their B was not stitched to itself. Shown if not 0.
WITHOUT_CONTROL = "pairs_without_control"

# The verdict of a row none of whose pairs has a control.
NO_CONTROL = "no control"

# In place of a verdict: A and B of a row have the same setting, so that it shows what other seeds alone do.
CONTROL = "control"

LACKS_CONTROL = (
    "{count} of {all} rows have no verdict, because their control is missing: verdicts are on the difference from B "
    "stitched to itself with the same stitcher and settings. Add the tops to the bottoms of the job."
)
SOME_LACK_CONTROL = (
    "{count} of {all} rows leave out pairs whose control is missing (the stitch of their B to itself, with the same "
    "stitcher and settings); `pairs without control` counts them."
)
ONLY_PROBES = (
    "{count} of {all} comparisons have no first row over several cuts, and no verdict: at all of their cuts that would "
    "count, the layers of B after the cut are affine, so that a stitch is no more than a probe of A. Stitch at earlier "
    "cuts, too."
)
SAMPLED_IMAGES = "Intervals say what other seeds and other test images than these {images} would give."
FIXED_IMAGES = (
    "Intervals treat the test images as fixed: they say what other seeds would give on these images, "
    "and leave out what other images would give."
)
NESTED = (
    "Models on nested subsets train on the same images whatever their seed: where `nested` is yes, intervals are "
    "conditional on that draw of the images."
)
EXTENDED = (
    "{count} of {all} verdicts are on data that jobs extended by models or cuts after the first look, up to {times}. "
    "Each look has a level of its own, at which the errors of all looks add up to at most 5 %."
)


@dataclass(frozen=True, slots=True)
class Table:
    """The result of an analysis file: all columns of the SQL, and the settings that are equal in all rows.

    `remarks` apply to the whole store, `notes` to this table. `version` names the rows of the store that were read.
    """

    question: Question
    rows: pa.Table
    constants: Mapping[str, object]
    arguments: Mapping[str, Value]
    remarks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    version: str = ""

    @property
    def name(self) -> str:
        """The name of the analysis file, without `.sql`."""
        return self.question.name

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to show: all except constant settings and those shown below the table."""
        hidden = {
            IMAGES,
            *PARTS,
            *([] if self._has_kinds() else [CUT_KIND]),
            *([] if self._lacks_controls() else [WITHOUT_CONTROL]),
            *(f"{name}{end}" for name in self.question.beneath for end in ("", "_low", "_high")),
        }
        return tuple(name for name in self.rows.column_names if name not in self.constants and name not in hidden)

    def _has_kinds(self) -> bool:
        """Return whether some cut is a probe of A or repeats another cut."""
        return CUT_KIND in self.rows.column_names and self.rows[CUT_KIND].null_count < self.rows.num_rows

    def _lacks_controls(self) -> bool:
        """Return whether some row leaves out pairs because their control is missing."""
        return WITHOUT_CONTROL in self.rows.column_names and any(self.rows[WITHOUT_CONTROL].to_pylist())


def tables(
    store: "Store",
    names: Sequence[str] = (),
    analysis: Iterable[Path] = (),
    only: Iterable[str] | None = None,
    parameters: Mapping[str, Value] | None = None,
    defaults: Mapping[str, Value] | None = None,
    *,
    keeps_version: bool = True,
) -> list[Table]:
    """Compute the named tables (default: all) of a store, in one connection.

    Args:
        store: An open store.
        names: Names of tables; all if empty.
        analysis: Folders with more SQL files.
        only: Ids of the tasks to use; all if None.
        parameters: Values of parameters, in place of the defaults in the headers.
        defaults: Values used for parameters that `parameters` doesn't have; names of other tables are ignored.
        keeps_version: Whether the store keeps the version that the tables show, to compute them again later.

    Raises:
        UsageError: There is no such table or parameter.
        QueryError: DuckDB refuses the SQL of a table.
    """
    questions = _select_questions(find_questions(analysis), names)
    _check_parameters(questions, parameters or {})
    values = {**(defaults or {}), **(parameters or {})}
    ids = None if only is None else list(only)

    def run() -> list[Table]:
        pinned = store.pinned()
        with pinned.connect(only=ids, joins_as_written=True) as connection:
            remarks = remarks_on(pinned, connection, keeps_version)
            answers = [_run_question(connection, question, values, remarks) for question in questions]
        return [replace(table, version=pinned.version) for table in answers]

    return store.retried(run)


def _select_questions(questions: Mapping[str, Question], names: Sequence[str]) -> list[Question]:
    for name in names:
        if name not in questions:
            suggestion = did_you_mean(name, questions) or f"the tables are: {', '.join(questions)}"
            raise UsageError(f"no table {name!r}; {suggestion}")
    in_order = [name for name in ORDER if name in questions]
    return [questions[name] for name in names or dict.fromkeys([*in_order, *sorted(questions)])]


def _check_parameters(questions: Sequence[Question], given: Mapping[str, Value]) -> None:
    parameter_names = sorted({parameter.name for question in questions for parameter in question.parameters})
    for name in given:
        if name not in parameter_names:
            raise UsageError(
                f"no parameter {name!r} in these tables; their parameters are: {', '.join(parameter_names) or 'none'}"
            )
    for parameter in (parameter for question in questions for parameter in question.parameters):
        _check_value(parameter, given.get(parameter.name, parameter.value))


def _check_value(parameter: Parameter, value: Value) -> None:
    """Raise UsageError for a word in place of a number, or a value that isn't one of the choices."""
    if parameter.choices and value not in parameter.choices:
        raise UsageError(f"{parameter.name} = {value!r} is not one of: {', '.join(parameter.choices)}")
    if not isinstance(parameter.value, str) and isinstance(value, str):
        raise UsageError(f"{parameter.name} = {value!r} is not a number; its default is {parameter.value}")


def _run_question(
    connection: duckdb.DuckDBPyConnection,
    question: Question,
    parameters: Mapping[str, Value],
    remarks: tuple[str, ...],
) -> Table:
    arguments = question.arguments(parameters)
    try:
        statements = connection.extract_statements(question.sql)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise QueryError(f"{question.path}: an analysis file must contain exactly one statement, a SELECT")
        rows = result_table(connection.sql(question.sql, params=arguments or None), str(question.path))
    except duckdb.OutOfMemoryException as error:
        advice = ", or `--set images=fixed`, which reads no outcomes on single images" if "images" in arguments else ""
        raise QueryError(f"{question.path}: {explained_error(error)}{advice}") from error
    except duckdb.Error as error:
        explanation = explained_error(error)
        if isinstance(explanation, StoreError):
            raise explanation from error
        raise QueryError(f"{question.path}: {explanation}") from error
    _check_columns(question, rows)
    notes = (
        *_notes(rows, arguments),
        *_notes_on_controls(rows),
        *_notes_on_probes(question, rows),
        *_notes_on_looks(rows),
    )
    return Table(question, rows, _constants(question, rows), arguments, remarks, notes)


def _notes(rows: pa.Table, arguments: Mapping[str, Value]) -> Iterator[str]:
    """Yield the notes about the assumptions of a table's intervals."""
    lows = [name for name in rows.column_names if name.endswith("_low")]
    with_interval = [row for row in rows.to_pylist() if any(row[name] is not None for name in lows)]
    fixed = [row for row in with_interval if row.get(IMAGES) is None]
    if sizes := sorted({row[IMAGES] for row in with_interval} - {None} if IMAGES in rows.column_names else ()):
        yield SAMPLED_IMAGES.format(images=" or ".join(map(str, sizes)))
    if fixed and not sizes:
        yield FIXED_IMAGES
    if fixed and arguments.get("images") == "sampled":
        yield (
            f"{len(fixed)} of {len(with_interval)} rows hold the test images fixed: outcomes on single images are not "
            "known for all of their stitches."
        )
    if any(row.get("nested") for row in with_interval):
        yield NESTED


def _notes_on_controls(rows: pa.Table) -> Iterator[str]:
    """Yield notes if controls are missing: B stitched to itself, with which net gains and penalties compare."""
    verdicts = [verdict for verdict in _column(rows, "verdict") if verdict is not None]
    if lacking := verdicts.count(NO_CONTROL):
        yield LACKS_CONTROL.format(count=lacking, all=len(verdicts))
    if count := sum(map(bool, _column(rows, WITHOUT_CONTROL))):
        yield SOME_LACK_CONTROL.format(count=count, all=rows.num_rows)


def _column(rows: pa.Table, name: str) -> list[object]:
    """Return the values of a column, or none if there is no such column."""
    return rows[name].to_pylist() if name in rows.column_names else []


def _notes_on_probes(question: Question, rows: pa.Table) -> Iterator[str]:
    """Yield a note if a table with verdicts lacks first rows, as all cuts that would count are probes of A."""
    if not {"cut", CUT_KIND, "verdict"} <= set(rows.column_names):
        return
    rows_by_comparison: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for row in rows.to_pylist():
        key = tuple(row[name] for name in (*question.sections, *question.settings))
        rows_by_comparison.setdefault(key, []).append(row)
    only_probes = [
        comparison
        for comparison in rows_by_comparison.values()
        if any("probe" in str(row[CUT_KIND]) for row in comparison) and not any(map(is_over_cuts, comparison))
    ]
    if only_probes:
        yield ONLY_PROBES.format(count=len(only_probes), all=len(rows_by_comparison))


def _notes_on_looks(rows: pa.Table) -> Iterator[str]:
    """Yield a note if data of verdicts were extended after the first look."""
    if not {LOOKS, "verdict"} <= set(rows.column_names):
        return
    looks = [row[LOOKS] for row in rows.to_pylist() if row["verdict"] is not None]
    if extended := [count for count in looks if count > 1]:
        yield EXTENDED.format(count=len(extended), all=len(looks), times=count_of(max(extended) - 1, "time"))


def is_over_cuts(row: Mapping[str, object]) -> bool:
    """Return whether a row is about several cuts together: its `cut` is in parentheses, and it has no depth."""
    return str(row["cut"]).startswith("(") and row["depth"] is None


def _check_columns(question: Question, rows: pa.Table) -> None:
    in_sentences = [text.split()[-1] for text in placeholders(question.answer) + placeholders(question.in_all)]
    names = (*question.sections, *question.settings, *question.beneath, *question.shown, *in_sentences)
    for name in names:
        if name == "rows" and "{rows}" in question.in_all:
            continue
        if name not in rows.column_names:
            column_names = ", ".join(rows.column_names)
            raise UsageError(f"{question.path}: the header names a column {name!r}; the SQL gives: {column_names}")


def _constants(question: Question, rows: pa.Table) -> dict[str, object]:
    """Return the settings that have one value in all rows, ignoring null (not applicable)."""
    values_by_name = {name: [v for v in rows[name].to_pylist() if v is not None] for name in question.settings}
    constants = {name: values for name, values in values_by_name.items() if all(v == values[0] for v in values)}
    return {name: values[0] if values else None for name, values in constants.items()}


def remarks_on(store: "Store", connection: duckdb.DuckDBPyConnection, keeps_version: bool = True) -> tuple[str, ...]:
    """Return the remarks that apply to all tables of a pinned store, the first on its version, which is kept or not."""
    remarks = [remark_on_version(store) if keeps_version else f"Version {store.version} of the store, not kept."]
    if damaged := sum(damage.path.startswith(store_paths.ROWS) for damage in store.damage):
        remarks.append(f"{damaged} damaged part(s) of the store are left out of all numbers here.")
    if mixed := _count(connection, "SELECT count(*) FROM stitches WHERE mixed"):
        remarks.append(f"{mixed} stitch(es) used earlier weights of a model that was trained again since.")
    if failed := _count(connection, "SELECT count(DISTINCT task) FROM failures WHERE final"):
        remarks.append(f"{failed} task(s) failed permanently and are missing here.")
    return tuple(remarks)


def remark_on_version(store: "Store") -> str:
    """Keep the version of a pinned store, and return the remark on how it is shown again."""
    try:
        digest = store.keep_version()
    except StoreError as error:  # such as one that may only be read
        return f"Version {store.version} of the store, which can't be shown again later, as it can't be kept: {error}"
    return f"Version {digest} of the store: with --as-of {digest} the same command shows these numbers again."


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.sql(query).fetchall()[0][0])
