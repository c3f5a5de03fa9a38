"""The repair of a store: what the full check finds damaged is moved to `damaged/`, so that the next run makes it again.

Nothing is deleted. The repair holds the store's lease, so no driver works meanwhile.
"""

from contextlib import suppress
from typing import NamedTuple

from sweeper.errors import StoreBusy
from sweeper.store.care.full_check import Progress, StoreCheck, check_all_files
from sweeper.store.lease import Lease
from sweeper.store.parts import store_paths
from sweeper.store.parts.verify import Damage
from sweeper.store.store import Store


class Repair(NamedTuple):
    """The result of the full check of a store, and what was moved after it."""

    check: StoreCheck
    moved: list[Damage]


def repair_store(store: Store, progress: Progress = lambda step, done, total: None) -> Repair:
    """Check all files of a store, and move the damaged ones to `damaged/`.

    Raises:
        StoreBusy: Another process drives the store.
        StoreError: The store can't be reached.
    """
    with store.lease() as lease:
        check = check_all_files(store, progress)
        moved = [damage for damage in check.damaged if _move(store, lease, damage.path)]
    return Repair(check, moved)


def _move(store: Store, lease: Lease, path: str) -> bool:
    """Move a damaged file; return False if it has gone, or is sound meanwhile.

    Raises:
        StoreBusy: Another process took the lease over.
    """
    if not lease.is_held():
        raise StoreBusy(f"another process took over {store.url}, so the repair stopped; nothing was deleted")
    if (store_paths.parse_lease(path) or 0) >= lease.number:  # its number must not be used again
        return False
    if digest := store_paths.parse_weights(path):
        return store.set_aside_weights(digest)
    with suppress(FileNotFoundError):
        store.objects.move(path, store_paths.DAMAGED + path)
        return True
    return False
