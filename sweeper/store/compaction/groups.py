"""The choice of the parts of a store that are compacted together."""

from collections.abc import Iterable, Iterator, Sequence

from sweeper.store.parts.verify import VerifiedPart

FULL_PART = 128_000_000  # bytes that a compacted part may have; parts of more than half of it are compacted no more
MOST_INPUTS = 2000  # parts of a group; DuckDB holds the metadata of all of them, some 100 KB each
ALWAYS_SMALL = 1 << 20  # bytes; to write such a part again costs hardly anything


def choose_groups(parts: Iterable[VerifiedPart]) -> list[list[VerifiedPart]]:
    """Return the groups of the parts of one kind that become one part each: all that are small, the smallest first."""
    small = sorted((part for part in parts if part.name.size <= FULL_PART // 2), key=_size_and_path)
    return [group for group in _filled(small) if len(group) > 1]


def choose_growing_groups(parts: Iterable[VerifiedPart], at_least: int) -> list[list[VerifiedPart]]:
    """Return the groups of a store that grows: each has at least so many parts.

    A part that is not very small is written again only together with as many bytes of smaller parts. So a row is
    written again a few times while a store grows, and not each time.
    """
    chosen: list[VerifiedPart] = []
    total = 0
    for part in sorted(parts, key=_size_and_path):
        if part.name.size > max(ALWAYS_SMALL, total):
            break
        chosen.append(part)
        total += part.name.size
    return [group for group in choose_groups(chosen) if len(group) >= at_least]


def halves(parts: Sequence[VerifiedPart]) -> list[list[VerifiedPart]]:
    """Return those parts that have about half of the bytes, and the others; a half of one part alone is left out."""
    in_order, half = sorted(parts, key=_size_and_path), sum(part.name.size for part in parts) / 2
    total = count = 0
    while count < len(in_order) and total + in_order[count].name.size <= half:
        total += in_order[count].name.size
        count += 1
    return [group for group in (in_order[:count], in_order[count:]) if len(group) > 1]


def _filled(parts: Iterable[VerifiedPart]) -> Iterator[list[VerifiedPart]]:
    """Yield the parts in order, in groups that are as large as a group may be."""
    group: list[VerifiedPart] = []
    size = 0
    for part in parts:
        if group and (size + part.name.size > FULL_PART or len(group) == MOST_INPUTS):
            yield group
            group, size = [], 0
        group.append(part)
        size += part.name.size
    if group:
        yield group


def _size_and_path(part: VerifiedPart) -> tuple[int, str]:
    return part.name.size, part.name.path
