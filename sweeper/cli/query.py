"""The commands `sql`, `tables`, `report` and `explain`, which read a store."""

import os
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import StoreError, UsageError
from sweeper.files import check_output

from . import places, show

if TYPE_CHECKING:
    import pyarrow as pa

    from sweeper.report.question import Value
    from sweeper.report.tables import Table
    from sweeper.store.store import Store


def print_answer(
    query: str | None, store: str | None, format: str | None, output: Path | None, as_of: str | None = None
) -> None:
    """Print the rows of a query; without one, list the views, the table macros and sample queries.

    Args:
        query: SQL statements, or `-` for those on stdin; None takes those that are piped or redirected to stdin.
        store: The store.
        format: The format of the rows; None: that of the suffix of `output`, or a table.
        output: A file to write to.
        as_of: The version of the store, or a time; None for the store as it is.

    Raises:
        UsageError: The format contradicts the suffix of the file, or several results are to be written to one file.
        QueryError: A statement is wrong.
    """
    from . import rows

    format = rows.choose_format(format, output)
    check_output(output)
    query = read_query(query)
    if query is None:
        _legend(format, output)
        return
    results = _Results(format, output)
    with places.opened(store, as_of) as opened_store, show.shown_warnings():
        opened_store.sql_statements(query, results.write)
    if not results.written and output:
        raise UsageError(f"-o {output}: no statement has a result, so there is nothing to write")


def print_answers(
    store: str | None, format: str | None, output: Path | None, timeout: float | None, as_of: str | None = None
) -> None:
    """Print the answers of queries that are typed at a prompt.

    Args:
        store: The store.
        format: The format of the rows; None: a table.
        output: None.
        timeout: The seconds after which a query ends without an answer; None: no limit.
        as_of: The version of the store, or a time; None for the store as it is.

    Raises:
        UsageError: A file is named, or stdin is not a terminal.
    """
    from .prompt import prompt

    if output:
        raise UsageError(f"-o {output}: a prompt writes no file; leave -i out to write the rows of one query")

    prompt(store, lambda: _Results(format or "table", None).write, timeout, as_of)


class _Results:
    """The results of statements, which are written while they are read."""

    def __init__(self, format: str, output: Path | None):
        self._format, self._output = format, output
        self.written = 0

    def write(self, reader: "pa.RecordBatchReader", number: int, count: int) -> None:
        """Write the rows of the result of a number, out of `count` results.

        Raises:
            UsageError: Several results are to be written to one file.
            StoreError: The statements run again after rows were printed.
        """
        from . import rows

        if count > 1 and (self._output or self._format not in ("table", "markdown")):
            place = f"the file {self._output}" if self._output else self._format
            raise UsageError(f"{count} statements have a result, and {place} holds one; give one query")
        reader = rows.begun(reader)  # if a part has changed, this is where the query mostly finds out
        if number < self.written and not self._output:
            raise StoreError("a part of the store changed while rows were printed; run the query again")
        self.written = number + 1
        if number:
            show.write("")  # two tables in Markdown need a line between them
        rows.write_rows(reader, self._format, self._output)


def read_query(query: str | None) -> str | None:
    """Return the query of a command line: from stdin if it is `-`, or is left out and stdin is a pipe or a file.

    Raises:
        UsageError: What stdin has is not text in UTF-8.
    """
    if query is None:
        try:
            mode = os.fstat(sys.stdin.fileno()).st_mode
        except (OSError, ValueError):  # stdin is closed, or is no file
            return None
        if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
            return None
        return _read_stdin().strip() or None
    return _read_stdin() if query == "-" else query


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"the query on stdin is not text in UTF-8 (at byte {error.start + 1})") from None


def _legend(format: str, output: Path | None) -> None:
    import pyarrow as pa

    from sweeper.store.query.views import SAMPLES, TABLE_MACROS, legend

    from . import rows

    columns = legend()
    if format != "table":
        names = ("view", "column", "type", "unit", "meaning")
        table = pa.table(dict(zip(names, map(list, zip(*columns, strict=True)), strict=True)))
        rows.write_rows(table.to_reader(), format, output)
        return
    for view in dict.fromkeys(column[0] for column in columns):
        show.write(f"\n{view}\n")
        show.print_columns(
            ("column", "type", "unit", "meaning"), (column[1:] for column in columns if column[0] == view)
        )
    show.write("\nTable macros: queries with parameters, for use after FROM")
    for macro in TABLE_MACROS:
        show.write(f"\n{macro.name}({macro.parameters})\n")
        show.write(macro.meaning)
    show.write("\nSamples\n")
    for question, query in SAMPLES:
        quoted = query.replace('"', '\\"')
        show.write(f'-- {question}\nsweeper sql "{quoted}"\n')


@dataclass(frozen=True, slots=True)
class TableSelection:
    """The tables that a command is called with.

    Without names it selects all tables; with `job` None, the tasks of all jobs. `analysis` holds folders with more
    analysis files; `parameters` have the form KEY=VALUE. `as_of` names the version of the store, or a time. With
    `keeps_version` the store keeps the version that is shown.
    """

    names: Sequence[str] = ()
    job: str | None = None
    analysis: Sequence[Path] = ()
    parameters: Sequence[str] = ()
    as_of: str | None = None
    keeps_version: bool = True

    def of(self, store: "Store") -> "Answers":
        """Return the tables of a store, all of one version of it.

        Raises:
            UsageError: There is no such table or parameter.
            QueryError: DuckDB refuses the SQL of an analysis file.
        """
        return store.retried(lambda: self._of_version(store.pinned()))

    def _of_version(self, store: "Store") -> "Answers":
        from sweeper.report.tables import tables

        task_ids = places.job_tasks(store, self.job)
        parameters = dict(map(parse_set_option, self.parameters))
        defaults = _margin_of_jobs(store, self.job, parameters) | ({"job": self.job} if self.job else {})
        with show.shown_warnings():
            answers = tables(
                store, self.names, self.analysis, task_ids, parameters, defaults, keeps_version=self.keeps_version
            )
        return Answers(store, answers, self.job, task_ids, is_earlier=self.as_of is not None)


def _margin_of_jobs(store: "Store", job: str | None, parameters: Mapping[str, "Value"]) -> "dict[str, Value]":
    """Return the margin of the job, or the one common to all jobs of the store that set one."""
    from json import loads

    jobs = {name: loads(row.job_resolved) for name, row in places.stored_jobs(store).items() if job in (None, name)}
    margin_by_job = {name: resolved["margin"] for name, resolved in jobs.items() if resolved.get("margin") is not None}
    margins = set(margin_by_job.values())
    if len(margins) > 1 and "margin" not in parameters:
        margins_by_job = ", ".join(f"{name}: {margin:g}" for name, margin in margin_by_job.items())
        show.warn(
            f"jobs of {store.url} set different margins ({margins_by_job}), so the default is used; "
            "name a job with --job"
        )
    return {"margin": margins.pop()} if len(margins) == 1 else {}


@dataclass(frozen=True, slots=True)
class Answers:
    """The tables of a version of a store, computed from the tasks of one job, or from all (`job`, `task_ids` None).

    `is_earlier` is true for a version that was asked for, whose page doesn't replace that of the store as it is.
    """

    store: "Store"
    tables: Sequence["Table"]
    job: str | None
    task_ids: Sequence[str] | None
    is_earlier: bool = False

    def page(self, output: Path | None = None) -> Path:
        """Write a report to `output`, by default in the store's folder (for a bucket: the working folder)."""
        from sweeper.report import page

        url = self.store.url
        name = f"report-{self.store.version}.html" if self.is_earlier else "report.html"
        path = output or (Path(url) if "://" not in url else Path.cwd()) / name
        return page.write_page(self.store, self.tables, path, self.job, self.task_ids)


def parse_set_option(text: str) -> "tuple[str, Value]":
    """Return the name and the value in the option `--set KEY=VALUE`."""
    from sweeper.report.question import parse_parameter

    name, separator, value = text.partition("=")
    if not separator or not value:
        raise UsageError(f"--set {text}: give KEY=VALUE, such as --set margin=2")
    return name, parse_parameter(value)


def print_tables(
    selection: TableSelection,
    store: str | None,
    format: str | None,
    output: Path | None,
    *,
    full: bool = False,
    only_answers: bool = False,
) -> None:
    """Print the selected tables of a store, or write them to a file, whose suffix decides the format left out.

    Args:
        selection: The tables.
        store: The store.
        format: The format of the tables, if it is given.
        output: A file to write to.
        full: Whether to print all rows, with the rules and settings.
        only_answers: Whether to print the answers alone.

    Raises:
        UsageError: The options contradict each other.
    """
    from .rows import TABLE_FORMATS, choose_format

    format = choose_format(format, output, TABLE_FORMATS)
    if only_answers and (full or format not in ("table", "json")):
        raise UsageError(f"--answers prints sentences, or JSON with --json; leave out {'--full' if full else format}")
    check_output(output)
    with places.opened(store, selection.as_of) as opened_store:
        answers = selection.of(opened_store)
    text = format_answers if only_answers else format_in_full if full else format_tables
    show.write(text(answers.tables, format), output)
    if only_answers or format == "csv":  # whose text has no notes
        show.say(*(f"Note: {remark}" for remark in dict.fromkeys(r for table in answers.tables for r in table.remarks)))


def format_tables(answers: Sequence["Table"], format: str) -> str:
    """Return tables as text: "table" (in short), "markdown", "latex", "csv" or "json".

    Raises:
        UsageError: The format is CSV and there is not exactly one table.
    """
    from sweeper.report import format as formats
    from sweeper.report.answers import sentences
    from sweeper.report.terminal import short_tables_as_text

    if format == "table":
        return short_tables_as_text(answers, show.width(), show.color())
    if format == "json":
        return formats.tables_as_json(answers, {table.name: sentences(table) for table in answers})
    if format == "csv" and len(answers) != 1:
        raise UsageError("CSV holds one table: name it, as in `sweeper tables more_data --format csv`")
    return "\n".join(
        map(
            {"markdown": formats.table_as_markdown, "latex": formats.latex, "csv": formats.table_as_csv}[format],
            answers,
        )
    )


def format_in_full(answers: Sequence["Table"], format: str) -> str:
    """Return tables as `format_tables` does, in the terminal too with all rows, rules and settings."""
    from sweeper.report.terminal import tables_as_text

    return tables_as_text(answers, show.width(), show.color()) if format == "table" else format_tables(answers, format)


def format_answers(answers: Sequence["Table"], format: str) -> str:
    """Return the answers of tables as text ("table") or as JSON ("json")."""
    from json import dumps

    from sweeper.report.answers import sentences
    from sweeper.report.terminal import answers_as_text

    if format == "table":
        return answers_as_text(answers, show.width(), show.color())
    documents = [
        {
            "name": table.name,
            "question": table.question.question,
            "answers": sentences(table),
            "version": table.version,
        }
        for table in answers
    ]
    return dumps(documents, indent=2, ensure_ascii=False)


def print_methods(store: str | None, job: str | None, as_of: str | None = None) -> None:
    """Print the paragraph on methods about a store or a version of it, or about one job of it."""
    from textwrap import fill

    with places.opened(store, as_of) as opened_store:
        text = methods_text(opened_store, job)
    show.write(fill(text, min(show.width(), 100), break_long_words=False, break_on_hyphens=False))


def methods_text(store: "Store", job: str | None) -> str:
    """Return the paragraph on methods about an open store, or about one job of it, with the margin of its jobs."""
    from sweeper.report.methods import methods_paragraph

    margin = _margin_of_jobs(store, job, {}).get("margin", 1.0)
    return methods_paragraph(store, places.job_tasks(store, job), float(margin))


def write_report(selection: TableSelection, store: str | None, output: Path | None) -> None:
    """Write the report and print its path.

    Raises:
        SetupError: The file can't be written, which is found before the report is computed.
    """
    check_output(output, makes_folders=True)
    with places.opened(store, selection.as_of) as opened_store:
        show.write(str(selection.of(opened_store).page(output)))
