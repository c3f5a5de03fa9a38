"""The commands of `sweeper`. Each imports its modules when it is called, so that `--help` loads Typer alone."""

import os
import re
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from sweeper.errors import SweeperError, UsageError, is_shown_in_full

JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="A job file, or the name of a job that comes with Sweeper.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Override a key of the job, such as models.weak.width=4,8."),
]
EngineOverrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Override a setting of the engine, such as engine.workers=8."),
]


def _not_empty(store: str | None) -> str | None:
    """Return the option --store.

    Raises:
        UsageError: It is empty, as `--store "$STORE"` is where the variable is not set; another store would be used.
    """
    if store is not None and not store.strip():
        raise UsageError('--store "": the name of the store is empty; give a folder or URL, or leave the option out')
    return store


StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", callback=_not_empty, envvar="SWEEPER_STORE", help="Folder or URL (s3://, gs://, az://) of the store."
    ),
]
StoreArgument = Annotated[
    str | None, typer.Argument(metavar="STORE", help="Folder or URL of the store, in place of --store.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait while another run uses the store.")]
TakeOverOption = Annotated[
    bool,
    typer.Option(
        "--take-over",
        help="Take the store over at once from a run on another machine that you know is dead.",
    ),
]
RetryFailedOption = Annotated[
    bool,
    typer.Option("--retry-failed", help="Try the tasks again that have failed for good. Otherwise they stay failed."),
]
JobNameOption = Annotated[
    str | None, typer.Option("--job", metavar="NAME", help="Use only this one of the jobs in the store.")
]
AnalysisOption = Annotated[
    list[Path] | None,
    typer.Option("--analysis", metavar="DIR", help="Folder with more analysis files (*.sql); may be repeated."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Set a parameter of the tables, such as margin=2; may be repeated."
    ),
]


def _not_stdout(output: Path | None) -> Path | None:
    """Return the option --output; `-` is stdout, as with other commands."""
    return None if output == Path("-") else output


TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", min=0.001, help="End without an answer after this time."),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", callback=_not_stdout, help="Write to this file instead of stdout (-)."
    ),
]

TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust", help="Allow importing and running code that is not part of Sweeper, such as package.module:callable."
    ),
]


AddressOption = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="URL|FILE.yaml",
        envvar="RAY_API_SERVER_ADDRESS",
        help="URL of the cluster's job server, or the file of a cluster that `ray up` has started.",
    ),
]
JOB_SERVER = "http://127.0.0.1:8265"  # where `ray dashboard CLUSTER.yaml` opens it


def _checked_url(url: str | None) -> str | None:
    """Return the option --notify.

    Raises:
        UsageError: It is not the URL of a server.
    """
    from . import notify

    return notify.check_url(url)


NotifyOption = Annotated[
    str | None,
    typer.Option(
        "--notify",
        metavar="URL",
        callback=_checked_url,
        envvar="SWEEPER_NOTIFY",
        help="Post one line of text to this URL when the run ends.",
    ),
]


class TableFormat(StrEnum):
    """The formats of `sweeper tables`."""

    table = "table"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"
    json = "json"


class AuditFormat(StrEnum):
    """The formats of `sweeper audit`."""

    table = "table"
    markdown = "markdown"
    json = "json"


class ExportFormat(StrEnum):
    """The formats of `sweeper export`."""

    mlflow = "mlflow"
    wandb = "wandb"


class RowFormat(StrEnum):
    """The formats of `sweeper sql`."""

    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"
    parquet = "parquet"


class _SqlCommand(TyperCommand):
    """The command `sql`, whose query may begin with a comment, which is not an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_comment = re.compile(r"--[^\s=]*\s").match
        return super().parse_args(ctx, [f" {arg}" if is_comment(arg) else arg for arg in args])


class _Commands(TyperGroup):
    """The group of all commands, which prints a `SweeperError` as a message without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SweeperError as error:
            if is_shown_in_full(error):
                raise
            from . import show

            show.print_error(error)
            raise typer.Exit(error.exit_code) from None


app = typer.Typer(
    name="sweeper",
    cls=_Commands,
    help="Compare the representations of trained networks by model stitching.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(requested: bool) -> None:
    if requested:
        from sweeper.distribution import version

        typer.echo(version())
        raise typer.Exit


@app.callback()
def sweeper(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Write data to stdout, messages to stderr.

    Exit codes: 0 complete, 1 error, 2 usage (a wrong job, query, path or set-up too), 3 finished with failed tasks,
    4 store busy, 130 interrupted.
    """


@app.command()
def demo(overrides: Overrides = None, store: StoreOption = None) -> None:
    """Run a small sweep on the embedded cluttered digits, then show its tables and write its report. Takes minutes."""
    from . import interruptible, sweep

    raise typer.Exit(interruptible.call(partial(sweep.run_demo, overrides or [], store)))


@app.command()
def plan(
    job: JobArgument,
    overrides: Overrides = None,
    store: StoreOption = None,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """Show the tasks of a job, how many are already done, and the estimated cost of the others. Starts nothing."""
    from . import plan

    plan.print_plan(job, overrides or [], store, json, trust)


@app.command()
def run(
    job: JobArgument,
    overrides: Overrides = None,
    store: StoreOption = None,
    wait: WaitOption = False,
    take_over: TakeOverOption = False,
    trust: TrustOption = False,
    retry_failed: RetryFailedOption = False,
    notify: NotifyOption = None,
    allow_failures: Annotated[
        bool,
        typer.Option(
            "--allow-failures",
            help="End with exit code 0 instead of 3 if tasks have failed, for launchers that repeat.",
        ),
    ] = False,
) -> None:
    """Run the tasks of a job whose results are not in the store yet."""
    from . import interruptible, sweep

    call = partial(sweep.run_job, job, overrides or [], store, wait, trust, retry_failed, notify, take_over=take_over)
    code = interruptible.call(call)
    raise typer.Exit(0 if allow_failures and code == sweep.EXIT_CODES["failed"] else code)


@app.command()
def resume(
    overrides: EngineOverrides = None,
    store: StoreOption = None,
    job: JobNameOption = None,
    wait: WaitOption = False,
    take_over: TakeOverOption = False,
    trust: TrustOption = False,
    retry_failed: RetryFailedOption = False,
    notify: NotifyOption = None,
) -> None:
    """Continue a job from its store, without its job file."""
    from . import interruptible, sweep

    call = partial(
        sweep.resume_job, overrides or [], store, job, wait, trust, retry_failed, notify, take_over=take_over
    )
    raise typer.Exit(interruptible.call(call))


@app.command()
def submit(
    job: JobArgument,
    overrides: Overrides = None,
    store: StoreOption = None,
    address: AddressOption = JOB_SERVER,
    environment: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="NAME[=VALUE]",
            help="Environment variable of the driver and its workers; without a value, as here. May be repeated.",
        ),
    ] = None,
    data_on_cluster: Annotated[
        bool,
        typer.Option(
            "--data-on-cluster", help="Check the job without its data set and weights, which only the cluster has."
        ),
    ] = False,
    wait: WaitOption = False,
    trust: TrustOption = False,
    retry_failed: RetryFailedOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="Print the driver's name and end, without following its log.")
    ] = False,
) -> None:
    """Run a job on a cluster from a machine that is not a part of it, such as a laptop.

    Checks the job here, sends it with its code and this version of Sweeper, and starts the driver on the cluster's
    head. Then follows the driver's log and ends with its exit code. Ctrl-C ends only the following: the driver goes on.
    The cluster must require Ray's token.
    """
    from . import submit

    options = submit.SubmitOptions(
        address, store, environment or [], wait, trust, retry_failed, data_on_cluster, dry_run, follow=not no_follow
    )
    raise typer.Exit(submit.submit_job(job, overrides or [], options))


DriverArgument = Annotated[str, typer.Argument(metavar="DRIVER", help="Name of the driver, which `submit` prints.")]


@app.command()
def follow(driver: DriverArgument, address: AddressOption = JOB_SERVER) -> None:
    """Follow the log of a driver that `submit` has started, and end with its exit code."""
    from . import submit

    raise typer.Exit(submit.follow_driver(driver, address))


@app.command()
def stop(driver: DriverArgument, address: AddressOption = JOB_SERVER) -> None:
    """Stop a driver that `submit` has started; finished tasks are kept."""
    from . import submit

    raise typer.Exit(submit.stop_driver(driver, address))


@app.command()
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
    from . import status

    status.print_status(store, job, watch, json)


@app.command(cls=_SqlCommand)
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
    timeout: TimeoutOption = None,
) -> None:
    """Query the store in SQL (DuckDB), read-only.

    Each of several statements that has a result prints it. A column whose name repeats is renamed, with a warning. CSV
    and JSON have times as DuckDB prints them, bytes as hexadecimal digits, and lists, structs and maps as JSON; JSON
    has null for numbers that aren't finite. Parquet keeps DuckDB's types; those that it lacks, such as INTERVAL, are
    text. Tables and Markdown are for reading: their numbers are rounded and bytes are counted.

    A query uses at most half of the machine's memory, or the size in SWEEPER_QUERY_MEMORY (such as 8GB), and moves what
    doesn't fit to a temporary folder in TMPDIR. Ctrl-C ends it at once.
    """
    from . import query as queries
    from . import reading

    with reading.ended_by_signal_or_time(timeout):
        queries.print_answer(query, store, RowFormat.json if json else format, output)


@app.command()
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
    json: JsonOption = False,
    timeout: TimeoutOption = None,
) -> None:
    """Print the analysis tables (analysis/*.sql) of a store, with intervals and verdicts."""
    from . import query as queries
    from . import reading

    selection = queries.TableSelection(names or [], job, analysis or [], parameters or [])
    with reading.ended_by_signal_or_time(timeout):
        queries.print_tables(selection, store, TableFormat.json if json else format, output)


@app.command()
def report(
    store: StoreOption = None,
    job: JobNameOption = None,
    analysis: AnalysisOption = None,
    parameters: SetOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: report.html in the store.")
    ] = None,
    timeout: TimeoutOption = None,
) -> None:
    """Write one self-contained HTML page with the tables, charts and trained models of a store."""
    from . import query as queries
    from . import reading

    selection = queries.TableSelection((), job, analysis or [], parameters or [])
    with reading.ended_by_signal_or_time(timeout):
        queries.write_report(selection, store, output)


@app.command()
def export(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Where to write: for mlflow and wandb a folder.")],
    format: Annotated[ExportFormat, typer.Option("--to", help="The program whose format is written.")],
    store: StoreOption = None,
    job: JobNameOption = None,
) -> None:
    """Write the results of a store, of a running job too, in the format of another program. Nothing is sent.

    mlflow: a database of MLflow, mlflow.db. wandb: offline runs of Weights & Biases, for `wandb sync`. Both have one
    run for each group of results that differ only in seeds: settings as parameters, means of errors, penalties and
    gains as metrics, over the number of the cut.
    """
    from . import export

    export.export_store(path, format, store, job)


@app.command()
def data(
    name: Annotated[str, typer.Argument(metavar="JOB|FOLDER|NAME", help="A job, a folder, or a known data set.")],
    sheet: Annotated[
        Path | None, typer.Option("--show", metavar="FILE.png", help="Write a picture with images of each class.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what is read as a data set: splits, files, images, classes, shape, values, and what is left out."""
    from . import data

    data.print_data(name, json, sheet)


@app.command()
def cuts(
    model: Annotated[
        str,
        typer.Argument(help="An architecture: resnet18k, torchvision:NAME, timm:NAME, FILE.py:CLASS, MODULE:CALLABLE."),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="A setting, such as width=16.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting, such as width=16; may be repeated."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Data set whose image shape and classes to use.")
    ] = None,
    image: Annotated[str | None, typer.Option("--image", metavar="CxHxW", help="Shape of an input image.")] = None,
    classes: Annotated[int | None, typer.Option("--classes", min=1, help="Number of classes.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", help="File of weights, `pretrained`, or a set of torchvision's, for external networks."
        ),
    ] = None,
    new_head: Annotated[
        bool, typer.Option("--new-head", help="Leave out the last layer of the weights, as `head: probe` does.")
    ] = False,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """List the cuts of an architecture: the places where it can be divided into a bottom and a top.

    An external network (torchvision:, timm:, a class or function of your own) is built, traced, and divided at each
    cut on random images; its weights are random unless --weights names some. The default input is the digits data
    set for an architecture of Sweeper, and for an external network the images of published weights, or 3x224x224,
    with 1000 classes.
    """
    from . import cards

    cards.print_cuts(
        model,
        [*(overrides or []), *(settings or [])],
        cards.InputOptions(dataset, image, classes),
        trust,
        json,
        cards.WeightOptions(weights, new_head),
    )


@app.command()
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
    from . import explain, tasks

    if tasks.is_job(task):
        explain.print_changes(task, store, trust, json)
    else:
        explain.print_task(task, store, json)


@app.command()
def rerun(
    task: Annotated[str, typer.Argument(help="The id of a task, or the first digits of it.")],
    overrides: EngineOverrides = None,
    here: Annotated[
        bool,
        typer.Option(
            "--here",
            help="Perform it in this process, without Ray. What it raises is shown with the full traceback, and "
            "`python -m pdb -m sweeper rerun TASK --here` stops where it is raised.",
        ),
    ] = False,
    no_commit: Annotated[
        bool,
        typer.Option(
            "--no-commit",
            help="With --here: store neither the result nor a failure. A task that is done can be performed only so.",
        ),
    ] = False,
    store: StoreOption = None,
    job: JobNameOption = None,
    wait: WaitOption = False,
    trust: TrustOption = False,
) -> None:
    """Perform one task again, also one that has failed for good; its models must be done.

    The job is read from the store. Without --here this is a small run of its own. The result is stored as that of
    any run, while no other run uses the store.
    """
    from . import interruptible, rerun

    request = rerun.Request(task, overrides or [], store, job, trust)
    if here:
        raise typer.Exit(rerun.rerun_here(request, commit=not no_commit))
    raise typer.Exit(interruptible.call(partial(rerun.rerun_in_a_run, request, wait, no_commit)))


@app.command()
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
    json: JsonOption = False,
    timeout: TimeoutOption = None,
) -> None:
    """Compare a store with the figures of Bansal et al. (2021): signs, sizes, order of curves, settings of the runs."""
    from . import audit as audits
    from . import reading

    with reading.ended_by_signal_or_time(timeout):
        audits.print_audit(figures or [], store, job, parameters or [], AuditFormat.json if json else format, output)


@app.command()
def verify(
    place: StoreArgument = None,
    store: StoreOption = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Move what is damaged to damaged/, and say which tasks run again and how."),
    ] = False,
    gc: Annotated[
        bool, typer.Option("--gc", help="Instead, list the weights and saved states that nothing needs.")
    ] = False,
    delete: Annotated[bool, typer.Option("--delete", help="With --gc: delete them.")] = False,
    json: JsonOption = False,
) -> None:
    """Read every file of a store and compare it with what it should be. Without options nothing is changed.

    Compared are the digests of all parts and weights, each value with the schema of its rows, and the weights of each
    model with its row. The exit code is 1 if something is damaged or lost. Models with several weights, and tasks with
    several different results, are named, too: they are not damage, and `sweeper sql` shows each task once.
    """
    from . import verify

    raise typer.Exit(
        verify.verify_store(verify.VerifyRequest(verify.one_store(place, store), repair, gc, delete, json))
    )


@app.command()
def merge(
    into: Annotated[str, typer.Argument(metavar="A", help="Folder or URL of the store that is added to.")],
    source: Annotated[str, typer.Argument(metavar="B", help="Folder or URL of the store that is added.")],
    json: JsonOption = False,
) -> None:
    """Add the results of store B to store A. B is not changed, and nothing in A is replaced.

    Parts and weights that A lacks are copied, after their digests were compared. Each task then counts once.
    """
    from . import merge

    raise typer.Exit(merge.print_merge(into, source, json))


@app.command()
def compact(
    place: StoreArgument = None,
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")] = False,
    grace: Annotated[
        float,
        typer.Option(
            "--grace", metavar="SECONDS", min=0, help="Time for running queries before replaced parts are deleted."
        ),
    ] = 60.0,
    wait: WaitOption = False,
) -> None:
    """Replace the many small parts of a store by few large ones, so that queries are fast. No result changes.

    The rows of a kind are merged into parts of at most 128 MB, sorted by what queries select. The new parts are
    published, and after the time of --grace read back; then the parts that they replace are deleted. Other processes
    may read and write meanwhile. Ctrl-C, or any other end, loses nothing; the same command goes on.
    """
    from . import compact, reading, verify

    with reading.ended_by_signal_or_time():
        compact.compact_store(verify.one_store(place, store), dry_run, grace, wait)


@app.command()
def schema(
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="A key of a job, such as models.samples: describe it alone.")
    ] = None,
) -> None:
    """Print the JSON Schema of a job file, or the description, type and default of one key."""
    from . import cards

    cards.print_schema(key)


@app.command()
def doctor(
    job: Annotated[
        str | None,
        typer.Argument(metavar="JOB", help="A job, whose store and cluster (engine.address) are checked, too."),
    ] = None,
    overrides: Overrides = None,
    store: StoreOption = None,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """Check that a run can start, and say how to fix what is wrong.

    Of this machine: Python, libraries, GPUs and their driver, memory, /dev/shm, disks, open files, network and ports,
    Ray's token. Of the store: whether it can be written and read back, and its clock. Of a cluster: whether it answers,
    to whom, and the versions, clock and GPUs of each node. The exit code is 1 if a check failed.
    """
    from . import doctor

    raise typer.Exit(doctor.print_diagnosis(job, overrides or [], store, trust, json))


def main() -> int:
    """Run the command in `sys.argv` and return its exit code."""
    _open_streams()
    try:
        app()
    except SystemExit as end:
        return _exit_code(end)
    except Exception as error:
        if is_shown_in_full(error):
            raise
        return _unexpected(error)
    return 0


def _open_streams() -> None:
    """Replace each standard stream that the caller closed, as in `sweeper status >&-`, by one to nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 (for the whole process)


def _unexpected(error: Exception) -> int:
    """Print an exception that no command expected, and return the exit code."""
    from . import show, translate

    translated = translate.translate(error)
    if translated is None or os.environ.get("SWEEPER_DEBUG"):
        show.print_defect(error)
        return 1
    show.print_error(translated)
    return translated.exit_code


def _exit_code(end: SystemExit) -> int:
    """Flush stdout and return the exit code. A closed pipe, as in `sweeper sql ... | head`, is not an error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None  # the interpreter would otherwise flush it again at exit and print an error
    return end.code if isinstance(end.code, int) else int(end.code is not None)
