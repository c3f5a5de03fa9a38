"""The driver of a store as another process sees it: which process it is, and how long ago its last heartbeat was.

Two clocks may differ, so an age in seconds is certain only where one clock was read twice: if the driver runs on this
machine, or if two looks of this process saw the driver's heartbeats go on, or stay away. From a single look, the age is
estimated by the time that the storage gave to the newest lease object.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from sweeper.store.holder import Holder, newest_lease, number_of, read_lease
from sweeper.store.parts.objects import ObjectInfo, Objects

_TOLERANCE = 5.0  # seconds that a time may lie in the future, as buckets give whole seconds and clocks differ a little


class SeenDriver(NamedTuple):
    """The process that holds a store, as it was seen in a look."""

    holder: Holder
    age: float | None  # seconds since its last heartbeat; None if it is unknown, because clocks differ
    clock_ahead: float  # seconds by which its clock is ahead of that of the storage; negative: behind

    @property
    def is_silent(self) -> bool:
        """True if its last heartbeat is older than the time after which another process may take over."""
        return self.age is not None and self.age > self.holder.silence


class DriverWatch:
    """Looks at the driver of a store.

    Args:
        objects: The storage of the store.
        clock: A monotonic clock of this machine, in seconds.
        now: Returns the time of this machine's clock.
    """

    def __init__(
        self,
        objects: Objects,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ):
        self._objects, self._clock, self._now = objects, clock, now
        self._number = 0
        self._since = 0.0  # when this number was first seen
        self._has_changed = False  # True: another number was seen before it

    def look(self) -> SeenDriver | None:
        """Return the driver of the store; None if there is none, or if it has ended on this machine.

        Raises:
            StoreError: The store can't be reached.
        """
        info = newest_lease(self._objects)
        number = number_of(info)
        if number != self._number:
            self._has_changed = self._number > 0
            self._number, self._since = number, self._clock()
        holder = read_lease(self._objects, number) if info else None
        if info is None or holder is None or holder.free or holder.has_ended:
            return None
        clock_ahead = (datetime.fromisoformat(holder.at) - info.modified).total_seconds()
        return SeenDriver(holder, self._age(holder, info), clock_ahead)

    def _age(self, holder: Holder, info: ObjectInfo) -> float | None:
        """Return the seconds since the last heartbeat; None if they are unknown."""
        seen_seconds = self._clock() - self._since
        if self._has_changed:
            return seen_seconds
        time_of_heartbeat = datetime.fromisoformat(holder.at) if holder.is_on_this_machine else info.modified
        seconds = (self._now() - time_of_heartbeat).total_seconds()
        if seconds < -_TOLERANCE:
            return seen_seconds if seen_seconds > holder.silence else None
        return max(seconds, seen_seconds)
