"""The grid of a set of axes: their product, in which zipped axes advance together."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import TypeVar

T = TypeVar("T")
Zipped = Sequence[Sequence[str]]


def expand(axes: Mapping[str, Sequence[T]], zipped: Zipped = ()) -> Iterator[dict[str, T]]:
    """Every point of the grid, as a dict with a value of each axis, keys in the order of `axes`.

    The last axis moves fastest. A zipped group moves where its first axis stands. Raises ValueError where
    `misfits` finds something.
    """
    groups = _groups(axes, zipped)
    for places in product(*(range(len(axes[group[0]])) for group in groups)):
        place = {name: i for group, i in zip(groups, places, strict=True) for name in group}
        yield {name: values[place[name]] for name, values in axes.items()}


def count(axes: Mapping[str, Sequence[T]], zipped: Zipped = ()) -> int:
    """How many points `expand` would yield, without expanding."""
    return prod(len(axes[group[0]]) for group in _groups(axes, zipped))


def misfits(axes: Mapping[str, Sequence[T]], zipped: Zipped) -> list[str]:
    """What is wrong with the zipped groups, a sentence each: unknown axes, unequal lengths, an axis in two groups."""
    found = []
    seen: set[str] = set()
    for group in zipped:
        found += [f"no axis '{name}' to zip" for name in group if name not in axes]
        found += [f"axis '{name}' is zipped twice" for i, name in enumerate(group) if name in {*seen, *group[:i]}]
        seen.update(group)
        lengths = {name: len(axes[name]) for name in group if name in axes}
        if len(set(lengths.values())) > 1:
            found.append("zipped axes differ in length: " + ", ".join(f"{name} has {n}" for name, n in lengths.items()))
    return found


def _groups(axes: Mapping[str, Sequence[T]], zipped: Zipped) -> list[tuple[str, ...]]:
    """The axes as groups that move together, in the order of their first axes."""
    if found := misfits(axes, zipped):
        raise ValueError("; ".join(found))
    group_of = {name: tuple(group) for group in zipped for name in group}
    return list(dict.fromkeys(group_of.get(name, (name,)) for name in axes))
