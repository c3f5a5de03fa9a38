"""Which job and which store a command is about."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import StoreError, UsageError
from sweeper.resources import job as find_job

from . import show

if TYPE_CHECKING:
    from sweeper.spec.job.sweep import Sweep
    from sweeper.spec.records.rows import RunRow
    from sweeper.store.store import Store

RUNS = Path("runs")  # where stores lie that nobody named


def load_job(name: str, overrides: Sequence[str], trust: bool = False) -> "tuple[Sweep, str]":
    """The job of a file (or of a job that comes along), resolved, and its text with the overrides as comments.

    Raises JobError with every mistake.
    """
    from sweeper.spec.job.load import read

    sweep, text = read(find_job(name), overrides, trust)
    return sweep, "".join([text, *(f"# {override}\n" for override in overrides)])


def kept_job(store: "Store", name: str | None) -> "RunRow":
    """The start of the store's latest run (of the job of that name, if one is given), which keeps the job.

    Raises UsageError where a store keeps several jobs and none is named, StoreError where it keeps none.
    """
    kept = kept_jobs(store)
    if not kept:
        raise StoreError(f"{store.url} keeps no job yet: `sweeper run JOB --store {store.url}` starts one")
    if name is None and len(kept) > 1:
        raise UsageError(f"which job? {store.url} keeps several; name one with --job: {', '.join(kept)}")
    if name is not None and name not in kept:
        raise no_such_job(store, name, kept)
    return kept[name or next(iter(kept))]


def no_such_job(store: "Store", name: str, kept: Iterable[str]) -> UsageError:
    return UsageError(f"{store.url} keeps no job {name!r}; it keeps {', '.join(kept) or 'none yet'}")


def kept_jobs(store: "Store") -> "dict[str, RunRow]":
    """The start of each job's latest run, by the job's name."""
    return {row.job: row for row in store.runs() if row.event == "start"}


def job_tasks(store: "Store", name: str | None) -> list[str] | None:
    """The ids of a kept job's tasks; None (every task of the store) where no job is named."""
    if name is None:
        return None
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.resolve import from_json

    return Plan.of(from_json(kept_job(store, name).job_resolved)).ids()


def store_of(sweep: "Sweep", store: str | None) -> str:
    """Where a job's results go: what the user says, what the job says, or a folder of its name."""
    return store or sweep.store or str(RUNS / sweep.name)


def exists(store: str) -> bool:
    """Whether there is a store. Raises StoreError where that can't be found out."""
    from sweeper.store.parts import objects, store_paths

    try:
        objects.connect(store).read(store_paths.MARK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@contextmanager
def opened(store: str | None) -> Iterator["Store"]:
    """The store that is meant by a command without a job, for as long as it answers; damage is told at the end.

    Raises UsageError where nobody says and `runs/` doesn't hold exactly one, StoreError where there is none.
    """
    found = open_store(store or _only_store())
    try:
        yield found
    finally:
        tell_damage(found)


def open_store(url: str, create: bool = False) -> "Store":
    """`Store.open`, with less to import before it."""
    with _without_pandas():
        import pyarrow.dataset  # noqa: F401
    from sweeper.store.store import Store

    return Store.open(url, create=create)


class _NoPandas:
    """A finder that finds no pandas."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not imported here", name=name)


@contextmanager
def _without_pandas() -> Iterator[None]:
    """`pyarrow.dataset` imports pandas where that is installed: 0.3 s of a command that should take less than one, and
    no store needs it."""
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def tell_damage(store: "Store") -> None:
    """A part that isn't what its name says is left out of every answer: say so, loudly."""
    if damage := store.damage:
        show.warn(f"{len(damage)} damaged part(s) of {store.url} are left out; the next run sets them aside")
        show.say(*(f"  {part}: {reason}" for part, reason in damage))


def _only_store() -> str:
    found = sorted(path.parent for path in RUNS.glob("*/sweeper.json")) if RUNS.is_dir() else []
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise UsageError("which store? There is none in runs/; name one with --store or SWEEPER_STORE")
    raise UsageError(f"which store? Name one with --store or SWEEPER_STORE: {', '.join(map(str, found))}")
