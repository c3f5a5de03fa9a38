"""The commands that show and export the results of a store."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from sweeper.errors import UsageError

from .formats import AuditFormat, ExportFormat, RowFormat, TableFormat
from .options import (
    AnalysisOption,
    AsOfOption,
    JobNameOption,
    JsonOption,
    OutputOption,
    SetOption,
    StoreOption,
    TimeoutOption,
    TrustOption,
)


class SqlCommand(TyperCommand):
    """The command `sql`, whose query may begin with a comment, which is not an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, with a space before a comment."""
        is_comment = re.compile(r"--[^\s=]*\s").match
        return super().parse_args(ctx, [f" {arg}" if is_comment(arg) else arg for arg in args])


def status(
    store: StoreOption = None,
    job: JobNameOption = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Repeat until no task is missing: in place, or off a terminal once a minute."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show which tasks are done, missing and failed, what runs on which node, and the time left. Does not use Ray."""
    from sweeper.cli import status

    status.print_status(store, job, watch, json)


def sql(
    query: Annotated[
        str | None,
        typer.Argument(
            help="SQL, or - to read it from stdin; without it, list the views, their columns, table macros and samples."
        ),
    ] = None,
    store: StoreOption = None,
    format: Annotated[
        RowFormat | None,
        typer.Option("--format", "-f", help="Format of the rows; default: that of the file's suffix, or table."),
    ] = None,
    output: OutputOption = None,
    json: JsonOption = False,
    as_of: AsOfOption = None,
    timeout: TimeoutOption = None,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="A prompt with a history and completion of views and columns.")
    ] = False,
) -> None:
    """Query the store in SQL (DuckDB), read-only.

    Each of several statements that has a result prints it. A column whose name repeats is renamed, with a warning. CSV
    and JSON have times as DuckDB prints them, bytes as hexadecimal digits, and lists, structs and maps as JSON; JSON
    has null for numbers that aren't finite. Parquet keeps DuckDB's types; those that it lacks, such as INTERVAL, are
    text. Tables and Markdown are for reading: their numbers are rounded and bytes are counted.

    On a terminal a table shows the columns that fit its width, cuts long texts, and names the columns that it leaves
    out. Files and pipes have all columns and texts.

    A query uses at most half of the machine's memory, or the size in SWEEPER_QUERY_MEMORY (such as 8GB), and moves what
    doesn't fit to a temporary folder in TMPDIR. Ctrl-C ends it at once.
    """
    from sweeper.cli import query as queries
    from sweeper.cli import reading

    row_format = RowFormat.json if json else format
    if interactive:
        if query is not None:
            raise UsageError("-i reads queries from the terminal; leave out either -i or the query")
        queries.print_answers(store, row_format, output, timeout, as_of)
        return
    with reading.ended_by_signal_or_time(timeout):
        queries.print_answer(query, store, row_format, output, as_of)


def tables(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Names of the tables; default: all.")
    ] = None,
    store: StoreOption = None,
    job: JobNameOption = None,
    analysis: AnalysisOption = None,
    parameters: SetOption = None,
    format: Annotated[
        TableFormat | None,
        typer.Option("--format", "-f", help="Format of the tables; default: that of the file's suffix, or table."),
    ] = None,
    output: OutputOption = None,
    full: Annotated[bool, typer.Option("--full", help="Print all rows, with the rules and settings.")] = False,
    answers: Annotated[bool, typer.Option("--answers", help="Print the answers alone, as sentences.")] = False,
    json: JsonOption = False,
    as_of: AsOfOption = None,
    timeout: TimeoutOption = None,
) -> None:
    """Print the answers to the questions of analysis/*.sql, with intervals, and their tables in short.

    The answers are computed from the rows by the templates in the headers of these files.

    A note under each table has the digest of the version of the store that it shows. The store keeps the list of the
    parts of this version, so that --as-of gives the same numbers after more results came or parts were compacted.
    """
    from sweeper.cli import query as queries
    from sweeper.cli import reading

    selection = queries.TableSelection(names or [], job, analysis or [], parameters or [], as_of)
    with reading.ended_by_signal_or_time(timeout):
        queries.print_tables(
            selection, store, TableFormat.json if json else format, output, full=full, only_answers=answers
        )


def report(
    store: StoreOption = None,
    job: JobNameOption = None,
    analysis: AnalysisOption = None,
    parameters: SetOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: report.html in the store.")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", metavar="DIR", help="Write each chart to this folder, and the page only with -o."),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Serve the page on this machine, and write it again when the store has changed."),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Port of 127.0.0.1 for --watch; default: a free one."),
    ] = None,
    as_of: AsOfOption = None,
    timeout: TimeoutOption = None,
) -> None:
    """Write one self-contained HTML page with the tables, interactive charts and trained models of a store.

    With --figures each chart is written as SVG, PNG, PDF and Vega-Lite JSON instead, in files named by question and
    panel. With --watch a browser on this machine shows the page while a sweep runs; it says when there are new results.
    """
    from sweeper.cli import figures as figure_files
    from sweeper.cli import query as queries
    from sweeper.cli import reading
    from sweeper.cli import watch_report as watching

    if watch and (as_of or figures or timeout):
        raise UsageError("--watch shows a store that grows, until Ctrl-C; leave out --as-of, --figures and --timeout")
    if port is not None and not watch:
        raise UsageError("--port is the port of --watch; give both or none")
    selection = queries.TableSelection((), job, analysis or [], parameters or [], as_of)
    with reading.ended_by_signal_or_time(timeout):
        if watch:
            watching.watch_report(selection, store, output, port or 0)
        elif figures:
            figure_files.report_figures(selection, store, figures, output)
        else:
            queries.write_report(selection, store, output)


def settle(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Names of the tables; default: all.")
    ] = None,
    store: StoreOption = None,
    job: JobNameOption = None,
    parameters: SetOption = None,
    json: JsonOption = False,
    timeout: TimeoutOption = None,
) -> None:
    """Say how many more training runs are expected to decide each undecided verdict on a mean, and what they cost."""
    from sweeper.cli import query as queries
    from sweeper.cli import reading
    from sweeper.cli import settle as settling

    selection = queries.TableSelection(names or [], job, [], parameters or [])
    with reading.ended_by_signal_or_time(timeout):
        settling.print_settlements(selection, store, json)


def methods(
    store: StoreOption = None, job: JobNameOption = None, as_of: AsOfOption = None, timeout: TimeoutOption = None
) -> None:
    """Write the paragraph on methods that the checklist of a paper asks for, with the numbers of a store."""
    from sweeper.cli import query as queries
    from sweeper.cli import reading

    with reading.ended_by_signal_or_time(timeout):
        queries.print_methods(store, job, as_of)


def audit(
    figures: Annotated[
        list[str] | None, typer.Argument(metavar="FIGURE", help="Figures, such as 2C; default: all.")
    ] = None,
    store: StoreOption = None,
    job: JobNameOption = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--set", metavar="margin=..", help="Tolerance for sizes, in points (or CKA).")
    ] = None,
    format: Annotated[
        AuditFormat | None,
        typer.Option("--format", "-f", help="Format of the audit; default: that of the file's suffix, or table."),
    ] = None,
    output: OutputOption = None,
    full: Annotated[bool, typer.Option("--full", help="Print all points, rules and deviations.")] = False,
    json: JsonOption = False,
    as_of: AsOfOption = None,
    timeout: TimeoutOption = None,
) -> None:
    """Compare a store with the figures of Bansal et al. (2021): signs, sizes, order of curves, settings of the runs.

    A line for each figure comes first. All points follow for figures that are named, or with --full.
    """
    from sweeper.cli import audit as audits
    from sweeper.cli import reading

    with reading.ended_by_signal_or_time(timeout):
        request = audits.AuditRequest(figures or [], store, job, parameters or [], as_of)
        audits.print_audit(request, AuditFormat.json if json else format, output, full=full)


def export(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="File or folder to write.")],
    format: Annotated[
        ExportFormat | None, typer.Option("--to", help="The format; default: that of the suffix of PATH.")
    ] = None,
    views: Annotated[
        list[str] | None,
        typer.Option("--view", metavar="VIEW", help="A view to write; may be repeated. Default: those of results."),
    ] = None,
    bitmaps: Annotated[
        bool, typer.Option("--bitmaps", help="Write the columns with one bit per test image, too.")
    ] = False,
    license: Annotated[
        str | None,
        typer.Option("--license", metavar="ID", help="Licence on the card of huggingface, such as cc-by-4.0."),
    ] = None,
    store: StoreOption = None,
    job: JobNameOption = None,
    as_of: AsOfOption = None,
) -> None:
    """Write the results of a store, of a running job too, as files or for another program. Nothing is sent.

    parquet (.parquet): one view, by default stitches with the settings of their models. csv (.csv): the same as text; a
    PATH without a suffix is a folder with a file for each view. duckdb (.duckdb): a table for each view, by default
    models, stitches and similarities. huggingface: a folder with a Parquet file for each view and a card, README.md,
    which `datasets` loads and `hf upload` publishes. delta: a folder with a Delta table for each view.

    mlflow: a database of MLflow, mlflow.db. wandb: offline runs of Weights & Biases, for `wandb sync`. Both have one
    run for each group of results that differ only in seeds: settings as parameters, means of errors, penalties and
    gains as metrics, over the number of the cut.

    An export appears whole or not at all. It replaces an earlier one, but nothing that Sweeper didn't write.
    """
    from sweeper.cli import export

    export.export_store(export.ExportRequest(path, format, store, job, as_of, views or (), bitmaps, license))


def explain(
    task: Annotated[
        str, typer.Argument(metavar="TASK|JOB", help="The id of a task, or the first digits of it; or a job.")
    ],
    store: StoreOption = None,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """Show one task of a store: its specification, results, attempts and failures.

    For a job, show instead which of its tasks are new since it last ran in its store, which settings made them so, and
    which done tasks it no longer names.
    """
    from sweeper.cli import explain, tasks

    if tasks.is_job(task):
        explain.print_changes(task, store, trust, json)
    else:
        explain.print_task(task, store, json)


def diff(
    left: Annotated[str, typer.Argument(metavar="STORE|RUN", help="Folder or URL of a store, or the id of a run.")],
    right: Annotated[str, typer.Argument(metavar="STORE|RUN", help="The same, to compare it with.")],
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Compare two stores or runs: settings of their tasks that differ, and values that differ beyond their intervals.

    A run stands for the job as it was then, with the results that its store has now; `sweeper sql "FROM runs"` lists
    them. Values of the tables differ if their intervals don't overlap. A setting that has one value on each side, and
    another on the other, is what is compared. The exit code is 0 whatever the result.
    """
    from sweeper.cli import diff, reading

    with reading.ended_by_signal_or_time():
        diff.print_difference(left, right, store, json)
