"""The command `export`, which writes the results of a store in the form of another program."""

from pathlib import Path
from typing import TYPE_CHECKING

from sweeper import distribution
from sweeper.errors import SetupError, StoreError

from . import places, show

if TYPE_CHECKING:
    from sweeper.store.store import Store


def export_store(path: Path, format: str, store: str | None, job: str | None) -> None:
    """Write the results of a store to a path, and print how to look at them.

    Args:
        path: Where to: for `mlflow` and `wandb` a folder.
        format: The name of the form.
        store: The store.
        job: The job whose tasks are exported; None for all jobs.

    Raises:
        StoreError: The store has no results yet.
        SetupError: The other program's package is not installed, or the path can't be written.
    """
    with places.opened(store) as opened_store:
        count, command = _export_runs(opened_store, path, format, job)
    show.say(f"wrote {count} runs to {path}", f"look at them:  {command}")


def _export_runs(store: "Store", folder: Path, format: str, job: str | None) -> tuple[int, str]:
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
        problem = f"{format} is not installed, or not all of it ({error})"
        raise SetupError(f"{problem}: {distribution.install_command(format)}") from None
    except OSError as error:
        raise SetupError(f"{folder} can't be written ({error.strerror or error})") from None
