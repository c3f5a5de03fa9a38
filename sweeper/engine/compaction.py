"""The compaction of the store while a run goes on, and at its end: a thread of the driver, which holds the lease.

Workers publish a part of each kind for each pack, so a long run makes hundreds of thousands. Whoever reads the store
then reads a few compacted ones. Nothing depends on it: what this thread leaves undone, the next run does.
"""

import logging
import threading
from collections.abc import Callable
from typing import Self

from sweeper.errors import StoreError
from sweeper.store.compaction import unused_memory
from sweeper.store.store import Store

PERIOD = 30.0  # seconds between two looks at the store
PARTS_WHILE_RUNNING = 256  # of a kind, small ones, from which on they are compacted while workers use the machine
PARTS_AT_END = 64  # of a kind, small ones, from which on the store is compacted at the end

_JOIN_SECONDS = 0.1  # between two looks at whether the user wants the run to end at once

_log = logging.getLogger(__name__)


class Compaction:
    """A context manager that compacts a store while its block runs and, if no exception ends it, once more after it."""

    def __init__(
        self, store: Store, is_held: Callable[[], bool], end_requested: Callable[[], bool], period: float = PERIOD
    ):
        """Prepare the thread.

        Args:
            store: The store.
            is_held: Returns True while this process holds the store's lease.
            end_requested: Returns True if the user wants the run to end at once.
            period: The seconds between two looks at the store.
        """
        self._store, self._is_held, self._end_requested, self._period = store, is_held, end_requested, period
        self._compactor = store.compactor()
        self._stopped = threading.Event()
        self._is_finished = False
        self._thread = threading.Thread(target=self._compact_until_stopped, name="sweeper-compaction", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._is_finished = error is None and not self._end_requested()
        self._stopped.set()
        while self._thread.is_alive() and not self._end_requested():
            self._thread.join(_JOIN_SECONDS)

    def _compact_until_stopped(self) -> None:
        """Look at the store now and then; the target of the thread."""
        while not self._stopped.wait(self._period):
            self._try(PARTS_WHILE_RUNNING)
        if self._is_finished:
            self._try(0)

    def _try(self, at_least: int) -> None:
        """Compact what is worth it, and delete what has been replaced for long enough."""
        try:
            if at_least or self._has_many_parts():
                self._store.retried(lambda: self._compactor.publish_all(self._may_go_on, at_least))
                unused_memory.give_back()
            self._compactor.delete_replaced(self._may_go_on)
        except StoreError as error:
            if self._is_wanted():
                _log.warning("the store was not compacted, which the next run tries again: %s", error)

    def _has_many_parts(self) -> bool:
        return any(len(group.parts) >= PARTS_AT_END for group in self._compactor.groups())

    def _is_wanted(self) -> bool:
        return not self._end_requested() and (self._is_finished or not self._stopped.is_set())

    def _may_go_on(self) -> bool:
        return self._is_wanted() and self._is_held()
