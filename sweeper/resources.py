"""Paths of the jobs and analyses that come with Sweeper.

A wheel carries them inside the package, as `_jobs` and `_analysis`. In a checkout (and so in an editable install, which
imports from the checkout) they are the folders `jobs` and `analysis` next to the package. The package's own SQL (views
and macros) lies in `store/query/sql` and `report/audit/sql`.
"""

import functools
from importlib.resources import files
from pathlib import Path

from .errors import UsageError, did_you_mean

_MOST_NAMES = 5  # in an error message

_PACKAGE = Path(__file__).resolve().parent


def jobs_dir() -> Path:
    """Return the folder of the jobs that come with Sweeper."""
    return _folder("jobs")


def analysis_dir() -> Path:
    """Return the folder of the analysis files (SQL, one per table) that come with Sweeper."""
    return _folder("analysis")


def paper_dir() -> Path:
    """Return the folder with the paper's curves and the definitions of its figures for `sweeper audit`."""
    return analysis_dir() / "paper"


def job(name: str) -> Path:
    """Return a job's file.

    Args:
        name: A path ("my/job.yaml"), or the name of a job that comes with Sweeper ("demo", "paper/more-data",
            "jobs/demo.yaml").

    Raises:
        UsageError: There is no such file and no such job; the message names the closest one, if any is close.
    """
    if not name.strip():
        raise UsageError("the name of the job is empty; give a job file, or a job that comes with Sweeper: demo")
    job_name = name.removeprefix("jobs/").removesuffix(".yaml")
    for path in (Path(name), jobs_dir() / f"{job_name}.yaml"):
        if path.exists() and not path.is_dir():  # a pipe, too, as in `sweeper plan <(generate)`
            return path
    folder = Path(name) if Path(name).is_dir() else Path(name).parent
    files = sorted(path.as_posix() for path in folder.glob("*.y*ml"))
    if folder == Path(name):
        names = f"it has {', '.join(files[:_MOST_NAMES])}" if files else "name a YAML file"
        raise UsageError(f"{name} is a folder, not a job file; {names}")
    suggestion = did_you_mean(name, files) or did_you_mean(job_name, job_names())
    names = ", ".join([*files[: _MOST_NAMES - 2], "demo", "paper/more-data"])
    raise UsageError(
        f"there is no job file {name}, and no job of that name comes with Sweeper; "
        f"{suggestion or f'there are {names}, ...'}"
    )


def job_names() -> list[str]:
    """Return the names of the jobs that come with Sweeper; files in `launch/` are not jobs."""
    folder = jobs_dir()
    paths = (path.relative_to(folder) for path in folder.rglob("*.yaml"))
    return sorted(path.with_suffix("").as_posix() for path in paths if path.parts[0] != "launch")


@functools.cache
def sql_text(name: str, folder: str = "store/query/sql") -> str:
    """Return the text of a view's or macro's SQL file in a folder of the package."""
    return files("sweeper").joinpath(folder, f"{name}.sql").read_text(encoding="utf-8")


def _folder(name: str) -> Path:
    in_package = _PACKAGE / f"_{name}"
    return in_package if in_package.is_dir() else _PACKAGE.parent / name
