"""The choice of parts so that each original part is read once, and the check of a compacted part's list."""

from typing import NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.compaction import fill_store, part_paths
from support.store_rows import stitch

from sweeper.spec.records.rows import StitchRow
from sweeper.store.parts import compacted
from sweeper.store.parts.part import rewrite
from sweeper.store.parts.schema import to_table
from sweeper.store.parts.store_paths import PartName, part
from sweeper.store.store import Store


class Part(NamedTuple):
    """A part as far as the choice knows it."""

    name: PartName
    originals: str


def digest(number: int) -> str:
    """Return a digest that is given by a number."""
    return f"{number:016x}"


def original(number: int) -> Part:
    """Return an original part."""
    return Part(PartName(f"rows/curves/{number}", "curves", 1, digest(number)), "")


def of(numbers: frozenset[int], name: int) -> Part:
    """Return a compacted part of the original parts with these numbers."""
    originals = "".join(digest(number) for number in sorted(numbers))
    return Part(PartName(f"rows/curves/c{name}", "curves", 1, digest(1000 + name)), originals)


@given(
    originals=st.sets(st.integers(0, 9)),
    compacted_parts=st.lists(st.frozensets(st.integers(0, 9), min_size=1), max_size=6),
    order=st.randoms(use_true_random=False),
)
def test_each_original_part_is_read_from_one_part_whatever_overlaps(originals, compacted_parts, order):
    parts = [original(number) for number in originals]
    parts += [of(numbers, name) for name, numbers in enumerate(compacted_parts)]
    shuffled = list(parts)
    order.shuffle(shuffled)
    chosen = compacted.parts_in_use(shuffled)
    read = [d for part, hidden in chosen for d in compacted.digests_in(part) - hidden]
    assert sorted(read) == sorted({digest(n) for n in originals.union(*compacted_parts)})
    assert chosen == compacted.parts_in_use(parts)
    assert all(compacted.digests_in(part) > hidden for part, hidden in chosen)


def test_a_part_that_is_wholly_in_a_compacted_one_is_left_out():
    parts = [original(1), original(2), original(3), of(frozenset([1, 2]), 0), of(frozenset([1]), 1)]
    assert compacted.parts_in_use(parts) == [(parts[3], frozenset()), (parts[2], frozenset())]


def table_of(paths: list[str], originals: list[str]) -> bytes:
    """Return a compacted part with a row for each path, and a list of original parts."""
    rows = to_table([stitch("m", f"m{i}") for i, _ in enumerate(paths)])
    table = rows.append_column("part", pa.array(paths, pa.string()))
    return rewrite(table.to_batches(), compacted.compacted_schema(StitchRow, originals))


@pytest.mark.parametrize(
    ("originals", "problem"),
    [
        ([digest(1), digest(2)], None),
        ([digest(1)], "differs from those of its rows"),
        ([digest(1), digest(2), digest(3)], "differs from those of its rows"),
        (["x"], "can't be read"),
        ([digest(1), "0"], "can't be read"),
    ],
)
def test_a_list_that_is_not_that_of_the_rows_is_damage(store: Store, originals: list[str], problem: str | None):
    content = table_of([f"rows/stitches/r-w-20260101T000000000000-9-{digest(i)}.parquet" for i in (1, 2)], originals)
    path = part("stitches", "r", "w", stitch("m", "m").at, content)
    store.objects.create(path, content)
    store.sql("FROM stitches")
    if problem is None:
        assert store.damage == []
    else:
        assert [damage.path for damage in store.damage] == [path]
        assert problem in store.damage[0].reason


def test_a_compacted_part_is_known_again_without_being_read(store: Store, monkeypatch: pytest.MonkeyPatch):
    fill_store(store)
    store.compactor().publish_all(lambda: True)
    expected = store.sql("FROM attempts ORDER BY ALL")
    assert len(part_paths(store, "stitches")) == 7
    monkeypatch.setattr(compacted, "problem_with", lambda *_: pytest.fail("it was read again"))
    assert Store.open(store.url).sql("FROM attempts ORDER BY ALL") == expected
