"""The commands of `sweeper`. Each imports what it needs when it is called, so that `--help` costs Typer alone."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sweeper.errors import SweeperError

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="A job file, or the name of one that comes along.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Such as models.weak.width=4,8.")]
EngineOverrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Such as engine.workers=8; of the engine only.")
]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", envvar="SWEEPER_STORE", help="Folder or URL (s3://, gs://, az://) of the results."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait while another run holds the store.")]
JobNameOption = Annotated[str | None, typer.Option("--job", metavar="NAME", help="Of the jobs in the store, this one.")]
AnalysisOption = Annotated[
    list[Path] | None, typer.Option("--analysis", metavar="DIR", help="A folder with more .sql files; may be repeated.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the tables; may be repeated.")
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to stdout.")
]


TrustOption = Annotated[
    bool, typer.Option("--trust", help="Import and run code of yours that is named as package.module:callable.")
]


class TableFormat(StrEnum):
    table = "table"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"
    json = "json"


class AuditFormat(StrEnum):
    table = "table"
    markdown = "markdown"
    json = "json"


class RowFormat(StrEnum):
    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"
    parquet = "parquet"


class _Commands(TyperGroup):
    """Ends every command: what a user can put right is said in a line or few, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SweeperError as error:
            from . import show

            show.error(error)
            raise typer.Exit(error.exit_code) from None


app = typer.Typer(
    name="sweeper",
    cls=_Commands,
    help="Which network's representations are better, and which are the same? Asked by model stitching.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("sweeper"))
        raise typer.Exit


@app.callback()
def sweeper(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Data goes to stdout, talk to stderr. Exit codes: 0 complete, 1 error, 2 usage, 3 finished with failed tasks,
    4 store busy, 130 interrupted."""


@app.command()
def demo(overrides: Overrides = None, store: StoreOption = None) -> None:
    """Run the demo, some minutes on two cores: a sweep over the embedded digits, its tables, its page."""
    from . import sweep

    raise typer.Exit(sweep.demo(overrides or [], store))


@app.command()
def plan(
    job: JobArgument,
    overrides: Overrides = None,
    store: StoreOption = None,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """Say what a job asks for, what the store already has and what the rest costs. Starts nothing."""
    from . import plan

    plan.plan(job, overrides or [], store, json, trust)


@app.command()
def run(
    job: JobArgument,
    overrides: Overrides = None,
    store: StoreOption = None,
    wait: WaitOption = False,
    trust: TrustOption = False,
) -> None:
    """Run what the store doesn't have yet."""
    from . import sweep

    raise typer.Exit(sweep.run(job, overrides or [], store, wait, trust))


@app.command()
def resume(
    overrides: EngineOverrides = None,
    store: StoreOption = None,
    job: JobNameOption = None,
    wait: WaitOption = False,
    trust: TrustOption = False,
) -> None:
    """Go on with the job that the store keeps."""
    from . import sweep

    raise typer.Exit(sweep.resume(overrides or [], store, job, wait, trust))


@app.command()
def status(
    store: StoreOption = None,
    job: JobNameOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Again every few seconds, until nothing is missing.")] = False,
    json: JsonOption = False,
) -> None:
    """Say what is done, missing, failed and blocked, and whether a run is alive. Needs the store alone, no Ray."""
    from . import status

    status.status(store, job, watch, json)


@app.command()
def sql(
    query: Annotated[str | None, typer.Argument(help="Without one: the views, their columns, and samples.")] = None,
    store: StoreOption = None,
    format: Annotated[RowFormat, typer.Option("--format", "-f", help="How to print rows.")] = RowFormat.table,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Ask the store in SQL (DuckDB's), read-only."""
    from . import query as queries

    queries.sql(query, store, RowFormat.json if json else format, output)


@app.command()
def tables(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Default: all of them.")] = None,
    store: StoreOption = None,
    job: JobNameOption = None,
    analysis: AnalysisOption = None,
    parameters: SetOption = None,
    format: Annotated[TableFormat, typer.Option("--format", "-f", help="How to print them.")] = TableFormat.table,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Answer the questions of analysis/*.sql from the store."""
    from . import query as queries

    asked = queries.Asked(names or [], job, analysis or [], parameters or [])
    queries.tables(asked, store, TableFormat.json if json else format, output)


@app.command()
def report(
    store: StoreOption = None,
    job: JobNameOption = None,
    analysis: AnalysisOption = None,
    parameters: SetOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Default: report.html in the store.")] = None,
) -> None:
    """Write one self-contained HTML page: tables, charts, the zoo."""
    from . import query as queries

    queries.report(queries.Asked((), job, analysis or [], parameters or []), store, output)


@app.command()
def cuts(
    model: Annotated[
        str, typer.Argument(help="An architecture: resnet18k, torchvision:NAME, timm:NAME or package.module:callable.")
    ],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Such as width=16.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="The same; may be repeated.")
    ] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="The named data set whose images it takes.")] = None,
    image: Annotated[str | None, typer.Option("--image", metavar="CxHxW", help="Or: images of this shape.")] = None,
    classes: Annotated[int | None, typer.Option("--classes", min=1, help="And so many classes.")] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", help="A file, or a set of torchvision's, of one from elsewhere.")
    ] = None,
    trust: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """List the places where an architecture can be cut. One from elsewhere is made, with random weights unless some are
    named, traced, and each cut is tried on random images. Without a data set or shape: the digits, or 3x224x224 and
    1000 classes."""
    from . import cards

    cards.cuts(
        model, [*(overrides or []), *(settings or [])], cards.Asked(dataset, image, classes), trust, json, weights
    )


@app.command()
def explain(
    task: Annotated[str, typer.Argument(help="The id of a task, or the beginning of one.")],
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show everything the store knows of one task: its spec, its results, its attempts and failures."""
    from . import query as queries

    queries.explain(task, store, json)


@app.command()
def audit(
    figures: Annotated[list[str] | None, typer.Argument(metavar="FIGURE", help="Such as 2C; default: all.")] = None,
    store: StoreOption = None,
    job: JobNameOption = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--set", metavar="margin=..", help="The margin of sizes, in points (or CKA).")
    ] = None,
    format: Annotated[AuditFormat, typer.Option("--format", "-f", help="How to print it.")] = AuditFormat.table,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Set what the store holds beside the figures of the paper: signs, sizes, order, and how the runs differ."""
    from . import audit as audits

    audits.audit(figures or [], store, job, parameters or [], AuditFormat.json if json else format, output)


@app.command()
def schema(
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="A key of a job, such as models.samples: describe it alone.")
    ] = None,
) -> None:
    """Print the JSON Schema of a job file, or the description, type and default of one key."""
    from . import cards

    cards.schema(key)


@app.command()
def doctor(store: StoreOption = None, json: JsonOption = False) -> None:
    """Check this machine: Python, libraries, devices, memory, disk, Ray's token, the store."""
    from . import doctor

    raise typer.Exit(doctor.doctor(store, json))


def main() -> int:
    """The entry point: runs a command and returns its exit code."""
    try:
        app()
    except SystemExit as end:
        return _code(end)
    except Exception as error:  # whatever isn't a SweeperError is a defect of ours
        from . import show

        show.defect(error)
        return 1
    return 0


def _code(end: SystemExit) -> int:
    """The exit code, once what was printed is out: a reader that has gone away (`| head`) is no error of ours."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None  # the interpreter would flush it again and complain
    return end.code if isinstance(end.code, int) else int(end.code is not None)
