"""The end row of a run whose driver is gone, which the driver's guard writes (`guard_process.py`)."""

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any

from sweeper.errors import StoreBusy
from sweeper.spec.records.rows import RunRow
from sweeper.store.store import Store

from .work import load_object


def write_for_dead_driver(opener: str, url: str, fields: Mapping[str, Any], outcome: str) -> None:
    """Write the end row of a run, with the counts that the store has, and release the lease that its driver held.

    Args:
        opener: "module:class" of the store.
        url: The store.
        fields: The fields of the row that the driver knew at its start.
        outcome: "failed" or "interrupted".
    """
    store: Store = load_object(opener).open(url)  # type: ignore[attr-defined]
    with ExitStack() as stack:
        with suppress(StoreBusy):  # the next driver was faster
            stack.enter_context(store.lease())  # takes the dead driver's lease, and releases it
        done, failed = _count(store, fields["run"])
        row = RunRow(event="end", outcome=outcome, done=done, failed=failed, **fields)
        store.commit([row], run=row.run, worker="guard")


def _count(store: Store, run: str) -> tuple[int, int]:
    """Return how many tasks a run finished, and how many failed in it and are not done."""
    run_text = run.replace("'", "''")
    done = store.sql(f"SELECT count(DISTINCT task) AS n FROM attempts WHERE run = '{run_text}' AND outcome = 'done'")
    failed = store.sql(f"SELECT count(DISTINCT task) AS n FROM failures WHERE run = '{run_text}' AND final")
    return done["n"][0].as_py(), failed["n"][0].as_py()
