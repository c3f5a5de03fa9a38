"""The command `export`, which writes the results of a store in the form of another program."""

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper import distribution
from sweeper.errors import SetupError, StoreError, UsageError

from . import places, reading, show

if TYPE_CHECKING:
    from sweeper.report.export.exported_views import ExportedView, Origin, ViewSelection
    from sweeper.store.store import Store

    Writer = Callable[[Iterable[ExportedView], Origin, Path], None]

FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".duckdb": "duckdb", ".db": "duckdb"}
TRACKERS = ("mlflow", "wandb")
_FOLDERS = ("huggingface", "delta")
_LICENSE = r"[a-z0-9][a-z0-9.+-]*"  # https://huggingface.co/docs/hub/repositories-licenses
_STITCHES = ("stitches",)  # the view that a file for one view has by default


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What `export` is called with.

    `format` None is that of the suffix of `path`; without `views` the views of results are written.
    """

    path: Path
    format: str | None = None
    store: str | None = None
    job: str | None = None
    as_of: str | None = None
    views: Sequence[str] = ()
    bitmaps: bool = False
    license: str | None = None


def export_store(request: ExportRequest) -> None:
    """Write the results of a store to a path, and say what was written.

    Raises:
        StoreError: The store has no results yet.
        UsageError: The options contradict each other, or something else is at the path.
        SetupError: A package is not installed, or the path can't be written.
    """
    format = choose_export_format(request.path, request.format)
    if format in TRACKERS:
        _export_tracker_runs(request, format)
        return
    if request.license is not None and (format != "huggingface" or not re.fullmatch(_LICENSE, request.license)):
        raise UsageError(
            f"--license {request.license}: it is for --to huggingface, and its value is an identifier such as cc-by-4.0"
        )
    with reading.ended_by_signal_or_time():
        _export_views(request, format)


def choose_export_format(path: Path, format: str | None) -> str:
    """Return the format that is named, else that of the suffix of a path.

    Raises:
        UsageError: None is named and the suffix is that of none, or the suffix is that of another format.
    """
    expected = FORMATS.get(path.suffix.lower())
    if format is None and expected is None:
        suffix = f"no format has the suffix {path.suffix}" if path.suffix else "it has no suffix that tells the format"
        raise UsageError(f"{path}: {suffix}; the suffixes are {', '.join(FORMATS)}, and --to names any format")
    if format is not None and expected not in (None, format):
        raise UsageError(
            f"{path}: a file with the suffix {path.suffix} is {expected}, not {format}; change one of the two"
        )
    return format or str(expected)


def _export_views(request: ExportRequest, format: str) -> None:
    from sweeper.report.export.earlier_export import check_replaceable
    from sweeper.report.export.exported_views import RESULTS, ViewSelection

    is_folder = _is_folder(request.path, format)
    holds_one = format in ("parquet", "csv") and not is_folder
    selection = ViewSelection(request.views, _STITCHES if holds_one else RESULTS, request.bitmaps, request.job)
    selection.check()
    if holds_one and len(selection.views) > 1:
        raise UsageError(
            f"{request.path}: a {format} file holds one view, and {len(selection.views)} are named; name one, or write "
            "a DuckDB file (.duckdb) or a folder of CSV files (--to csv FOLDER)"
        )
    _check_place(request.path, is_folder)
    check_replaceable(request.path)
    with places.opened(request.store, request.as_of) as store:
        counts, remark = store.retried(lambda: _write(store.pinned(), request, selection, format))
    written = ", ".join(f"{count:,} {view}" for view, count in counts.items())
    empty = [name for name in request.views if name not in counts]
    if empty:
        show.warn(f"{', '.join(empty)}: left out, because the view has no rows")
    show.say(f"wrote {written} to {request.path}", remark)
    if format == "huggingface":
        _say_next_steps(request)


def _say_next_steps(request: ExportRequest) -> None:
    """Say how a data set of Hugging Face is published, and what its card lacks."""
    if request.license is None:
        show.say("the card says `license: unknown`; --license ID names one, such as cc-by-4.0")
    show.say(f"publish it:  hf upload USER/NAME {shlex.quote(str(request.path))} --repo-type dataset")


def _is_folder(path: Path, format: str) -> bool:
    """Return True if a format is written as a folder: CSV where the path is one, or has no suffix and is no device."""
    return format in _FOLDERS or (format == "csv" and (path.is_dir() or (not path.suffix and not path.exists())))


def _check_place(path: Path, is_folder: bool) -> None:
    """Check that what is at a path, if anything, is what is written there: a file or a folder.

    Raises:
        UsageError: It isn't.
    """
    if path.is_dir() and not is_folder:
        raise UsageError(f"{path} is a folder; name a file")
    if path.exists() and not path.is_dir() and is_folder:
        raise UsageError(f"{path} is a file; name a folder")


def _writer(store: "Store", request: ExportRequest, format: str) -> "Writer":
    """Return the function that writes views of a pinned store in a format."""
    is_folder = _is_folder(request.path, format)
    module, name = {
        "parquet": ("to_files", "to_parquet"),
        "csv": ("to_files", "to_csv_folder" if is_folder else "to_csv"),
        "duckdb": ("to_duckdb", "to_duckdb"),
        "huggingface": ("to_huggingface", "to_huggingface"),
        "delta": ("to_delta", "to_delta"),
    }[format]
    write = getattr(import_module(f"sweeper.report.export.{module}"), name)
    if format != "huggingface":
        return write
    from sweeper.report.export.dataset_card import CardSubject

    from .query import methods_text

    jobs = request.job or ", ".join(places.stored_jobs(store))
    subject = CardSubject(
        f"Model stitching: {jobs}" if jobs else "Model stitching",
        request.license or "unknown",
        methods_text(store, request.job),
    )
    return partial(write, subject=subject)


def _write(
    store: "Store", request: ExportRequest, selection: "ViewSelection", format: str
) -> tuple[dict[str, int], str]:
    """Write the views of a pinned store; return the number of rows by view, and the remark on the version.

    Raises:
        StoreError: The views have no rows.
        SetupError: A package is not installed, or the path can't be written.
    """
    from sweeper.report.export.exported_views import Origin, read_views
    from sweeper.report.tables import remark_on_version

    written = list["ExportedView"]()

    def noted(views: "Iterable[ExportedView]") -> "Iterable[ExportedView]":
        for view in views:
            written.append(view)
            yield view
        if not written:
            names = " or ".join(selection.views)
            raise StoreError(f"{store.url} has no results in the view {names} yet; --view names another one")

    write = _writer(store, request, format)
    origin = Origin(store.version, distribution.version())
    with store.connect(places.job_tasks(store, request.job)) as connection:
        try:
            write(noted(read_views(connection, selection)), origin, request.path)
        except ImportError as error:
            raise _not_installed(format, error) from None
    return {view.name: view.count for view in written}, remark_on_version(store)


def _export_tracker_runs(request: ExportRequest, format: str) -> None:
    """Write the results as runs of an experiment tracker, and print how to look at them."""
    if request.views or request.bitmaps:
        option = "--view" if request.views else "--bitmaps"
        raise UsageError(f"{option}: {format} gets the results as runs; leave the option out, or choose another format")
    with places.opened(request.store, request.as_of) as store:
        count, command = _write_runs(store, request.path, format, request.job)
    show.say(f"wrote {count} runs to {request.path}", f"look at them:  {command}")


def _write_runs(store: "Store", folder: Path, format: str, job: str | None) -> tuple[int, str]:
    """Write the groups of results as runs of an experiment tracker; return their number, and a command to see them."""
    from sweeper.report.export.groups import result_groups

    results = result_groups(store, places.job_tasks(store, job))
    if not results:
        raise StoreError(f"{store.url} has no results yet")
    name = job or ", ".join(places.stored_jobs(store)) or "sweeper"
    try:
        if format == "mlflow":
            from sweeper.report.export.to_mlflow import to_mlflow

            return len(results), to_mlflow(results, folder, name, store.url)
        from sweeper.report.export.to_wandb import to_wandb

        return len(results), to_wandb(results, folder, name, store.url)
    except ImportError as error:
        raise _not_installed(format, error) from None
    except OSError as error:
        raise SetupError(f"{folder} can't be written ({error.strerror or error})") from None


def _not_installed(format: str, error: ImportError) -> SetupError:
    """Return the error for a package that an extra of the name of the format installs."""
    problem = f"{format} is not installed, or not all of it ({error})"
    return SetupError(f"{problem}: {distribution.install_command(format)}")
