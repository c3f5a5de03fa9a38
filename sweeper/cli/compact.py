"""The command `compact`, which makes few large parts of the many small parts of a store."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from . import places, show

if TYPE_CHECKING:
    from sweeper.store.compaction.compactor import Compactor, PartGroup
    from sweeper.store.store import Store


def compact_store(store: str | None, dry_run: bool, grace: float, wait: bool) -> None:
    """Compact a store and print what was done; outages of the store are waited out as by a run.

    Args:
        store: The store; None: the only one in `runs/`.
        dry_run: True prints what would be done, and changes nothing.
        grace: The seconds between the publication of a compacted part and the deletion of those that it replaces.
        wait: True waits while another process drives the store.

    Raises:
        StoreBusy: Another process drives the store.
        StoreError: The store can't be read or written.
    """
    from sweeper.engine.outage import Outage, begin_and_end
    from sweeper.spec.job.sweep import Engine

    outage = Outage(Engine().wait_for_store, begin_and_end(show.say))
    with places.opened(store) as opened_store, show.progress() as progress, ExitStack() as stack:
        compactor = opened_store.compactor(grace=grace, progress=progress)
        if dry_run:
            show.write("\n".join(_plan_lines(opened_store.url, compactor.groups())))
            return
        lease = opened_store.lease(wait=wait)  # one object for all tries, which knows what an earlier one has written
        outage.wait_out(lambda: stack.enter_context(lease))
        # Each of these may be done again: what is published or deleted already stays so.
        before = outage.wait_out(lambda: _count(opened_store))
        outage.wait_out(lambda: opened_store.retried(lambda: compactor.publish_all(lease.is_held)))
        outage.wait_out(lambda: _delete_replaced(compactor, lease.is_held, progress))
        after = outage.wait_out(lambda: _count(opened_store))
    show.write(f"{opened_store.url}: {after:,} parts" + (f", {before:,} before" if after != before else ""))


def _delete_replaced(
    compactor: "Compactor", is_held: Callable[[], bool], progress: Callable[[str, int, int], None]
) -> None:
    """Delete the replaced parts as soon as their grace period is over."""
    while (waiting := compactor.delete_replaced(is_held)).seconds:
        end = time.monotonic() + waiting.seconds
        while (left := end - time.monotonic()) > 0:
            progress("waiting for queries that have begun", round(waiting.seconds - left), round(waiting.seconds))
            time.sleep(min(left, 1.0))


def _plan_lines(url: str, groups: "Sequence[PartGroup]") -> list[str]:
    """Return the lines that say what would be done."""
    if not groups:
        return [f"{url}: nothing to compact"]
    lines = [
        f"  {group.kind}: {len(group.parts):,} parts, {show.format_bytes(group.size)}, would become one"
        for group in groups
    ]
    return [f"{url}: nothing was changed (--dry-run)", *lines]


def _count(store: "Store") -> int:
    """Return the number of the parts of a store, with those that are replaced but not deleted."""
    from sweeper.store.parts import store_paths

    return sum(store_paths.parse_part(info.path) is not None for info in store.objects.list(store_paths.ROWS))
