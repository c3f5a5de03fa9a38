"""Which job and which store a command is about."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import StoreError, UsageError
from sweeper.resources import job as find_job

from . import show

if TYPE_CHECKING:
    from sweeper.spec.sweep import Sweep
    from sweeper.store.store import Store

RUNS = Path("runs")  # where stores lie that nobody named


def load_job(name: str, overrides: Sequence[str]) -> "Sweep":
    """The job of a file (or of a job that comes along), resolved. Raises JobError with every mistake."""
    from sweeper.spec.load import load

    return load(find_job(name), overrides)


def kept_job(store: "Store", name: str | None) -> "Sweep":
    """The job of the store's latest run (of that name, if one is given), as it was resolved then.

    Raises UsageError where a store keeps several jobs and none is named, StoreError where it keeps none.
    """
    from sweeper.spec.resolve import from_json

    names = job_names(store)
    if not names:
        raise StoreError(f"{store.url} keeps no job yet: `sweeper run JOB --store {store.url}` starts one")
    if name is None and len(names) > 1:
        raise UsageError(f"which job? {store.url} keeps several; name one with --job: {', '.join(names)}")
    if name is not None and name not in names:
        raise UsageError(f"{store.url} keeps no job {name!r}; it keeps {', '.join(names)}")
    kept = store.last_job(name)
    assert kept is not None
    return from_json(kept.job_resolved)


def job_names(store: "Store") -> list[str]:
    """The jobs that a store keeps, by the start of their first run."""
    return list(dict.fromkeys(row.job for row in store.runs() if row.event == "start"))


def job_tasks(store: "Store", name: str | None) -> list[str] | None:
    """The ids of a kept job's tasks; None (every task of the store) where no job is named."""
    if name is None:
        return None
    from sweeper.plan.plan import Plan

    return Plan.of(kept_job(store, name)).ids()


def store_of(sweep: "Sweep", store: str | None) -> str:
    """Where a job's results go: what the user says, what the job says, or a folder of its name."""
    return store or sweep.store or str(RUNS / sweep.name)


def exists(store: str) -> bool:
    """Whether there is a store. Raises StoreError where that can't be found out."""
    from sweeper.store import layout, objects

    try:
        objects.connect(store).read(layout.MARK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@contextmanager
def opened(store: str | None) -> Iterator["Store"]:
    """The store that is meant by a command without a job, for as long as it answers; damage is told at the end.

    Raises UsageError where nobody says and `runs/` doesn't hold exactly one, StoreError where there is none.
    """
    from sweeper.store.store import Store

    found = Store.open(store or _only_store())
    try:
        yield found
    finally:
        tell_damage(found)


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
