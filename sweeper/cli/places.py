"""The job and the store that a command works on."""

import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import StoreError, UsageError, did_you_mean
from sweeper.resources import job as find_job

from . import edited, show

if TYPE_CHECKING:
    from sweeper.spec.content.folders import Contents
    from sweeper.spec.job.load import Fetch
    from sweeper.spec.job.sweep import DatasetFolder, ResolvedSweep
    from sweeper.spec.records.rows import RunRow
    from sweeper.store.store import Store

RUNS = Path("runs")  # the parent folder of stores without a path of their own


def load_job(
    name: str, overrides: Sequence[str], trust: bool = False, fetch: "Fetch | None" = None
) -> "tuple[ResolvedSweep, str]":
    """Return a resolved job from its file (or name), and its text with the overrides as comments.

    Args:
        name: A job file, or the name of a job that comes with Sweeper.
        overrides: Settings that replace those in the file.
        trust: True allows the user's code that the job names to be run.
        fetch: Gets cards and weights that the job needs (see `load_with_text`).

    Raises:
        JobError: The job has mistakes; the error lists all of them.
    """
    from sweeper.spec.job.load import load_with_text

    file = find_job(name)
    with show.progress() as progress, show.prints_on_stderr():
        sweep, text = load_with_text(file, overrides, trust, fetch, progress)
    return sweep, edited.job_text(text, file, overrides)


def read_folder(dataset: "str | DatasetFolder") -> "Contents | None":
    """Return the contents of a data set in a folder; None for a data set that Sweeper knows by name.

    Raises:
        DataError: The folder holds no data set, or images can't be used.
    """
    from sweeper.spec.content.folders import contents
    from sweeper.spec.job.resolve import locate_dataset

    if isinstance(dataset, str):
        return None
    with show.progress() as progress:
        return contents(*locate_dataset(dataset), progress)


def stored_job(store: "Store", name: str | None) -> "RunRow":
    """Return the start row of the latest run in a store (of the named job, if any). The row contains the job.

    Raises:
        UsageError: The store has several jobs and none is named, or no job of that name.
        StoreError: The store has no job.
    """
    jobs = stored_jobs(store)
    if not jobs:
        command = f"sweeper run JOB --store {shlex.quote(store.url)}"
        raise StoreError(f"{store.url} has no job yet; `{command}` starts one")
    if name is None and len(jobs) > 1:
        raise UsageError(f"{store.url} has several jobs; name one with --job: {', '.join(jobs)}")
    if name is not None and name not in jobs:
        raise no_such_job(store, name, jobs)
    return jobs[name or next(iter(jobs))]


def no_such_job(store: "Store", name: str, job_names: Iterable[str]) -> UsageError:
    """Return the error about a job that a store doesn't have."""
    names = list(job_names)
    hint = did_you_mean(name, names) or f"its jobs: {', '.join(names) or 'none yet'}"
    return UsageError(f"{store.url} has no job {name!r}; {hint}")


def stored_jobs(store: "Store") -> "dict[str, RunRow]":
    """Return the start row of each job's latest run by the job's name."""
    return {row.job: row for row in store.runs() if row.event == "start"}


def job_tasks(store: "Store", name: str | None) -> list[str] | None:
    """Return the ids of a job's tasks, or None (every task of the store) if no job is named."""
    if name is None:
        return None
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.resolve import from_json

    return Plan.of(from_json(stored_job(store, name).job_resolved)).ids()


def store_of(sweep: "ResolvedSweep", store: str | None) -> str:
    """Return the store of a job: the given path or URL, else the job's key `store`, else `runs/<job name>`."""
    return store or sweep.store or str(RUNS / sweep.name)


def exists(store: str) -> bool:
    """Return True if a store exists.

    Raises:
        StoreError: The folder or bucket can't be read.
    """
    from sweeper.store.parts import objects, store_paths

    try:
        objects.open_objects(store).read(store_paths.MARK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def check_new_store(store: str) -> None:
    """Check that a store can be made at a path, without making it.

    Raises:
        StorePlaceError: It can't.
    """
    from sweeper.store.parts import objects
    from sweeper.store.store_place import check_place

    check_place(objects.open_objects(store))


@contextmanager
def opened(store: str | None, as_of: str | None = None) -> Iterator["Store"]:
    """Open the store of a command without a job, and warn about damaged parts when the context ends.

    Args:
        store: Folder or URL of the store; None for the only one in `runs/`.
        as_of: The digest of a version, or a time: the store is opened as it was then.

    Raises:
        UsageError: No store is named and `runs/` doesn't contain exactly one; or `as_of` is neither digest nor time.
        StoreError: There is no store, or no such version of it.
    """
    opened_store = open_store(store or only_store())
    if as_of is not None:
        opened_store = opened_store.as_of(as_of)
    try:
        yield opened_store
    finally:
        warn_of_damage(opened_store)


def open_store(url: str, create: bool = False) -> "Store":
    """Open a store as `Store.open` does, without importing pandas."""
    with _without_pandas():
        import pyarrow.dataset  # noqa: F401
    from sweeper.store.store import Store

    return Store.open(url, create=create)


class _NoPandas:
    """An import finder that hides pandas."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not imported here", name=name)


@contextmanager
def _without_pandas() -> Iterator[None]:
    """Hide pandas from imports.

    `pyarrow.dataset` imports pandas where it is installed; that takes 0.3 s and no store needs it.
    """
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def warn_of_damage(store: "Store") -> None:
    """Warn about damaged parts and weights of a store; the rows of the parts are left out of every result."""
    if damage := store.damage:
        show.warn(
            f"{len(damage)} damaged file(s) of {store.url} are ignored; "
            "the next run moves them to `damaged/` and repeats their tasks"
        )
        show.say(*(f"  {part}: {reason}" for part, reason in damage))


def only_store() -> str:
    """Return the store in `runs/`.

    Raises:
        UsageError: There is none, or several.
    """
    stores = sorted(path.parent for path in RUNS.glob("*/sweeper.json")) if RUNS.is_dir() else []
    if len(stores) == 1:
        return str(stores[0])
    if not stores:
        raise UsageError("no store in runs/; `sweeper run JOB` makes one, and --store or SWEEPER_STORE names another")
    raise UsageError(f"several stores in runs/; name one with --store or SWEEPER_STORE: {', '.join(map(str, stores))}")
