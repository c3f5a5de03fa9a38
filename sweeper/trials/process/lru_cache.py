"""A cache of values that a process keeps between packs, within a byte budget."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """A cache that drops the least recently used values first. It is not thread-safe, as a worker has one thread.

    A value larger than the whole budget is returned and not cached.

    Attributes:
        budget: the most bytes of cached values.
        bytes: the bytes of the values in the cache.
    """

    def __init__(self, budget: int):
        self.budget = budget
        self.bytes = 0
        self._values: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, make: Callable[[], tuple[V, int]]) -> V:
        """Return the value under `key`; if there is none, call `make`, which returns the value and its bytes."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key][0]
        value, size = make()
        if size <= self.budget:
            self._values[key] = value, size
            self.bytes += size
            while self.bytes > self.budget:
                _, (_, dropped_bytes) = self._values.popitem(last=False)
                self.bytes -= dropped_bytes
        return value

    def clear(self) -> None:
        """Remove all values, for example when the device runs out of memory."""
        self._values.clear()
        self.bytes = 0
