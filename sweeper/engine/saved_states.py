"""The saved states of the pack that a worker performs: when one is saved, and where it is kept.

A state may have passed tasks whose rows are still buffered, so the rows are committed before a state replaces another
or is dropped. A store that refuses a state costs nothing but the safety that it would have given: the pack goes on.
"""

import logging
import time
from collections.abc import Callable, Sequence

from sweeper.errors import StoreError

from .work import ScratchStore, StoreRefusedError, Work

_log = logging.getLogger(__name__)


class SavedStates:
    """The states of a pack; the `States` of `sweeper.trials`."""

    def __init__(self, scratch: ScratchStore, every: float, clock: Callable[[], float] = time.monotonic):
        """Prepare for a pack.

        Args:
            scratch: Where the states are kept.
            every: The seconds between two states, and from the start of a task to its first one.
            clock: Returns seconds.
        """
        self.work: Work | None = None  # set by the worker, before the first task begins
        self._scratch, self._every, self._clock = scratch, every, clock
        self._since = clock()

    def due(self) -> bool:
        """Return True if a state should be saved now: not before a task has taken long, so short tasks save nothing."""
        idle = self.work.idle if self.work else self._every
        return min(idle, self._clock() - self._since) >= self._every

    def read(self, computation: str) -> Sequence[tuple[str, bytes]]:
        """Return the names and contents of the states of a computation."""
        return self._scratch.read(computation)

    def write(self, computation: str, content: bytes) -> str | None:
        """Keep a state and return its name; None, and a log line, if the store refuses it.

        The next state is due `every` seconds after the start of this call, but at least half of that after its end, so
        that a slow store doesn't stop the work.
        """
        start = self._clock()
        try:
            self._commit_rows()
            return self._scratch.write(computation, content)
        except (StoreError, StoreRefusedError, OSError) as error:
            _log.warning("a state was not saved, so a killed worker would lose more of its task: %s", error)
            return None
        finally:
            self._since = max(start, self._clock() - self._every / 2)

    def drop(self, name: str) -> None:
        """Delete a state; if the store refuses that, it stays until the end of the run."""
        try:
            self._commit_rows()
            self._scratch.drop(name)
        except (StoreError, StoreRefusedError, OSError) as error:
            _log.warning("the saved state %s was not deleted: %s", name, error)

    def ignore(self, name: str, reason: str) -> None:
        """Delete a state that can't be used, with a log line."""
        _log.warning("the saved state %s was deleted, and its tasks start anew: %s", name, reason)
        self.drop(name)

    def _commit_rows(self) -> None:
        if self.work:
            self.work.commit()
