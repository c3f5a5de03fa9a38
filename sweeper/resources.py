"""Paths of the jobs and analyses that come with Sweeper.

A wheel carries them inside the package, as `_jobs` and `_analysis`; in a checkout (and so in an editable install,
which imports from the checkout) they are the folders `jobs` and `analysis` beside it. The package's own SQL (views and
macros) lies in `store/query/sql` and `report/audit/sql`.
"""

import functools
from importlib.resources import files
from pathlib import Path

from .errors import UsageError

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
        UsageError: There is no such file and no such job; the message lists the jobs.
    """
    given = Path(name)
    inside = name.removeprefix("jobs/").removesuffix(".yaml")
    ours = jobs_dir() / f"{inside}.yaml"
    for path in (given, ours):
        if path.is_file():
            return path
    raise UsageError(f"no job file {name}, nor a job of that name in Sweeper; its jobs: {', '.join(job_names())}")


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
    inside = _PACKAGE / f"_{name}"
    return inside if inside.is_dir() else _PACKAGE.parent / name
