"""Which parts are compacted together."""

from pathlib import Path

from sweeper.store.compaction.groups import (
    ALWAYS_SMALL,
    FULL_PART,
    MOST_INPUTS,
    choose_groups,
    choose_growing_groups,
    halves,
)
from sweeper.store.parts.store_paths import PartName
from sweeper.store.parts.verify import VerifiedPart

MB = 1 << 20


def parts(*sizes: int) -> list[VerifiedPart]:
    """Return parts of these sizes."""
    return [
        VerifiedPart(PartName(f"rows/curves/{i}", "curves", size, f"{i:016x}"), Path(), b"", ())
        for i, size in enumerate(sizes)
    ]


def sizes(chosen: list[list[VerifiedPart]]) -> list[list[int]]:
    """Return the sizes of the parts of each group."""
    return [[part.name.size for part in group] for group in chosen]


def test_small_parts_fill_groups_and_large_ones_stay():
    assert sizes(choose_groups(parts(70 * MB, 20 * MB, 60 * MB, 50 * MB, 10, 5))) == [[5, 10, 20 * MB, 50 * MB]]
    assert sizes(choose_groups(parts(*[40 * MB] * 6))) == [[40 * MB] * 3] * 2
    assert all(sum(group) <= FULL_PART for group in sizes(choose_groups(parts(*range(MB, 60 * MB, MB)))))


def test_one_part_alone_is_no_group():
    assert choose_groups(parts(5)) == []
    assert choose_groups(parts(*[50 * MB] * 3)) == [parts(*[50 * MB] * 3)[:2]]


def test_a_group_has_no_more_parts_than_memory_allows():
    assert [len(group) for group in choose_groups(parts(*[1000] * (MOST_INPUTS + 5)))] == [MOST_INPUTS, 5]


def test_while_a_store_grows_a_part_waits_for_as_many_bytes_of_smaller_ones():
    assert choose_growing_groups(parts(*[1000] * 9), 10) == []
    assert len(choose_growing_groups(parts(*[1000] * 10), 10)[0]) == 10
    assert sizes(choose_growing_groups(parts(20 * MB, *[1000] * 10), 10)) == [[1000] * 10]
    assert sizes(choose_growing_groups(parts(8 * MB, *[ALWAYS_SMALL] * 10), 10)) == [[ALWAYS_SMALL] * 10 + [8 * MB]]


def test_each_row_is_written_again_a_few_times_while_a_store_grows():
    live, written, total = list[int](), 0, 0
    for _ in range(20_000):
        live.append(30_000)
        total += 30_000
        for group in sizes(choose_growing_groups(parts(*live), 64)):
            for size in group:
                live.remove(size)
            live.append(sum(group))
            written += sum(group)
    assert sum(live) == total
    assert len(live) < 64 + 20
    assert written < 12 * total


def test_halves_have_about_half_of_the_bytes_and_more_than_one_part():
    assert sizes(halves(parts(*[1000] * 6))) == [[1000] * 3] * 2
    assert sizes(halves(parts(10, 20, 30, 40))) == [[10, 20], [30, 40]]
    assert sizes(halves(parts(5, 5, 90))) == [[5, 5]]
    assert halves(parts(50, 60)) == []
