"""Where the jobs and analyses that come with Sweeper lie.

A wheel carries them inside the package, as `_jobs` and `_analysis`; in a checkout (and so in an editable install,
which imports from the checkout) they are the folders `jobs` and `analysis` beside it.
"""

from pathlib import Path

from .errors import UsageError

_PACKAGE = Path(__file__).resolve().parent


def jobs_dir() -> Path:
    """The folder of the jobs that come with Sweeper."""
    return _folder("jobs")


def analysis_dir() -> Path:
    """The folder of the SQL files, one a table, that come with Sweeper."""
    return _folder("analysis")


def paper_dir() -> Path:
    """The folder of the paper's curves, and of what stands for them."""
    return analysis_dir() / "paper"


def job(name: str) -> Path:
    """A job's file by path ("my/job.yaml") or by the name of one that comes with Sweeper ("demo",
    "paper/more-data", "jobs/demo.yaml").

    Raises UsageError where there is neither, naming the jobs that there are.
    """
    given = Path(name)
    inside = name.removeprefix("jobs/").removesuffix(".yaml")
    ours = jobs_dir() / f"{inside}.yaml"
    for path in (given, ours):
        if path.is_file():
            return path
    raise UsageError(f"no job file {name}, and none that comes with Sweeper is called so: {', '.join(job_names())}")


def job_names() -> list[str]:
    """The names by which `job` finds what comes with Sweeper; files in `launch/` are no jobs."""
    folder = jobs_dir()
    paths = (path.relative_to(folder) for path in folder.rglob("*.yaml"))
    return sorted(path.with_suffix("").as_posix() for path in paths if path.parts[0] != "launch")


def _folder(name: str) -> Path:
    inside = _PACKAGE / f"_{name}"
    return inside if inside.is_dir() else _PACKAGE.parent / name
