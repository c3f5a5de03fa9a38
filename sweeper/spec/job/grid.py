"""The grid of a set of axes: their product, in which zipped axes advance together."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import TypeVar

T = TypeVar("T")
Zipped = Sequence[Sequence[str]]


def expand(axes: Mapping[str, Sequence[T]], zipped: Zipped = ()) -> Iterator[dict[str, T]]:
    """Yield all points of the grid, each a dict with a value of each axis, keys in the order of `axes`.

    The last axis varies fastest. A zipped group varies like its first axis.

    Raises:
        ValueError: The zipped groups have a mistake, as `misfits` reports.
    """
    groups = _groups(axes, zipped)
    for positions in product(*(range(len(axes[group[0]])) for group in groups)):
        position_by_axis = {name: i for group, i in zip(groups, positions, strict=True) for name in group}
        yield {name: values[position_by_axis[name]] for name, values in axes.items()}


def count(axes: Mapping[str, Sequence[T]], zipped: Zipped = ()) -> int:
    """Return the number of points that `expand` yields, without expanding the grid."""
    return prod(len(axes[group[0]]) for group in _groups(axes, zipped))


def misfits(axes: Mapping[str, Sequence[T]], zipped: Zipped) -> list[str]:
    """Return the mistakes in the zipped groups as sentences: unknown axes, unequal lengths, an axis in two groups."""
    mistakes = []
    seen: set[str] = set()
    for group in zipped:
        mistakes += [f"no axis '{name}' to zip" for name in group if name not in axes]
        mistakes += [f"axis '{name}' is zipped twice" for i, name in enumerate(group) if name in {*seen, *group[:i]}]
        seen.update(group)
        lengths = {name: len(axes[name]) for name in group if name in axes}
        if len(set(lengths.values())) > 1:
            values = ", ".join(f"{name} has {n}" for name, n in lengths.items())
            mistakes.append(f"zipped axes differ in length: {values}")
    return mistakes


def _groups(axes: Mapping[str, Sequence[T]], zipped: Zipped) -> list[tuple[str, ...]]:
    """Return the groups of axes that vary together, in the order of their first axes."""
    if mistakes := misfits(axes, zipped):
        raise ValueError("; ".join(mistakes))
    group_by_axis = {name: tuple(group) for group in zipped for name in group}
    return list(dict.fromkeys(group_by_axis.get(name, (name,)) for name in axes))
