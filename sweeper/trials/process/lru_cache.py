"""What a process keeps between packs: values by key, the least recently used dropped first, within a byte budget."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Remembers what was made. Not for threads: a worker has one.

    A value larger than the whole budget is handed out and not kept.
    """

    def __init__(self, budget: int):
        self.budget = budget
        self.bytes = 0
        self._values: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, make: Callable[[], tuple[V, int]]) -> V:
        """The value under `key`; where there is none, what `make()` returns, as (value, bytes)."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key][0]
        value, size = make()
        if size <= self.budget:
            self._values[key] = value, size
            self.bytes += size
            while self.bytes > self.budget:
                _, (_, dropped) = self._values.popitem(last=False)
                self.bytes -= dropped
        return value

    def clear(self) -> None:
        """Drops everything: what a worker does when its device runs out of memory."""
        self._values.clear()
        self.bytes = 0
