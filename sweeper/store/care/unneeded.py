"""The files of a store that nothing needs: weights that no row and no job names, and saved states of ended tasks.

Weights are stored before the row that names them, so young ones may belong to a task that is about to end. They count
as needed for a day.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sweeper.errors import StoreBusy, StoreError
from sweeper.spec.job.resolve import from_json
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import ObjectInfo
from sweeper.store.store import Store

YOUNG = timedelta(days=1)

_NAMED_WEIGHTS = """
    SELECT weights FROM parts_models UNION
    SELECT init_weights FROM parts_models UNION
    SELECT a_weights FROM parts_stitches UNION
    SELECT b_weights FROM parts_stitches UNION
    SELECT a_weights FROM parts_similarities UNION
    SELECT b_weights FROM parts_similarities
"""


class Unneeded(NamedTuple):
    """The files that nothing needs."""

    weights: list[ObjectInfo]
    states: list[ObjectInfo]

    @property
    def bytes(self) -> int:
        """The bytes of all of them."""
        return sum(info.size for info in (*self.weights, *self.states))


def find_unneeded(store: Store) -> Unneeded:
    """Find the files of a store that nothing needs.

    Raises:
        StoreError: Parts are damaged, whose rows may name weights; or the store can't be reached.
    """
    done = store.done()
    if damaged := [damage.path for damage in store.damage if damage.path.startswith(store_paths.ROWS)]:
        raise StoreError(
            f"{store.url} has damaged parts such as {damaged[0]}, whose rows may name weights; "
            f"`sweeper verify --repair {store.url}` moves them away, and `sweeper resume` performs their tasks again"
        )
    needed = {digest for digest in store.sql(_NAMED_WEIGHTS)["weights"].to_pylist() if digest}
    for row in store.runs():
        if row.event == "start":
            needed.update(weights.digest for weights in from_json(row.job_resolved).weights)
    return Unneeded(list(_other_weights(store, needed)), store.scratch.useless(done))


def delete_unneeded(store: Store) -> Unneeded:
    """Delete the files of a store that nothing needs, and return them.

    Raises:
        StoreBusy: Another process drives the store, or took its lease over.
        StoreError: As `find_unneeded`.
    """
    with store.lease() as lease:
        unneeded = find_unneeded(store)
        for info in (*unneeded.weights, *unneeded.states):
            if not lease.is_held():
                raise StoreBusy(f"another process took over {store.url}, so the deletion stopped at {info.path}")
            store.objects.delete(info.path)
    return unneeded


def _other_weights(store: Store, needed: set[str]) -> Iterator[ObjectInfo]:
    """Yield the weights of a store that aren't needed and not young."""
    limit = datetime.now(UTC) - YOUNG
    for info in store.objects.list(store_paths.WEIGHTS):
        digest = store_paths.parse_weights(info.path)
        if digest and digest not in needed and info.modified < limit:
            yield info
