"""Arguments and options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

from sweeper.errors import UsageError

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
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="DIGEST|TIME",
        help="Read the store as it was: in the version of this digest, which is printed under tables, or at a time "
        "such as 2026-03-01T14:30 (UTC).",
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
    from sweeper.cli import notify

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
