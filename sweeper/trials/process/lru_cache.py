"""A cache of values that a process keeps between packs, within a byte budget."""

from collections.abc import Callable, Hashable
from operator import itemgetter
from typing import Generic, TypeVar

from cachetools import LRUCache

V = TypeVar("V")


class Cache(Generic[V]):
    """A cache that drops the least recently used values first. It is not thread-safe, as a worker has one thread.

    A value larger than the whole budget is returned and not cached.

    Attributes:
        budget: The most bytes of cached values.
    """

    def __init__(self, budget: int):
        self.budget = budget
        self._values: LRUCache[Hashable, tuple[V, int]] = LRUCache(budget, getsizeof=itemgetter(1))

    def __len__(self) -> int:
        return len(self._values)

    @property
    def bytes(self) -> int:
        """The bytes of the values in the cache."""
        return int(self._values.currsize)

    def get(self, key: Hashable, make: Callable[[], tuple[V, int]]) -> V:
        """Return the value under `key`; if there is none, call `make`, which returns the value and its bytes."""
        if key in self._values:
            return self._values[key][0]
        value, size = make()
        if size <= self.budget:
            self._values[key] = value, size
        return value

    def clear(self) -> None:
        """Remove all values, for example when the device runs out of memory."""
        self._values.clear()
