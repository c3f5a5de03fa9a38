"""Parts that have their digest but can't be read: every look leaves them out, and a run sets them aside."""

import io
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.damage import flipped
from support.store_rows import AT, model, stitch, weights_of

from sweeper.errors import QueryError, StoreError
from sweeper.spec.records.rows import StitchRow
from sweeper.store.care.row_check import wrong_values
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Objects
from sweeper.store.parts.part import build_part
from sweeper.store.store import Store


def put_damaged(objects: Objects, content: bytes) -> str:
    """Put the content of a part under the name that its digest demands, and return its path."""
    path = store_paths.part("stitches", "r", "w", AT, content)
    assert objects.create(path, content)
    return path


def with_broken_pages(column: str) -> bytes:
    """Return a part of stitches in which the header of a column's first page is overwritten."""
    content = bytearray(build_part([stitch("m1", f"m{i}") for i in range(2, 30)]))
    group = pq.read_metadata(io.BytesIO(bytes(content))).row_group(0)
    chunk = next(group.column(i) for i in range(group.num_columns) if group.column(i).path_in_schema == column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + 8] = b"\xff" * 8
    return bytes(content)


@contextmanager
def suppress_later_columns() -> Iterator[None]:
    """Suppress the error about columns of a later version, for a bit that flipped in the name of a column."""
    try:
        yield
    except StoreError as error:
        if "has columns that this version doesn't know" not in str(error):
            raise


@pytest.fixture
def filled(objects: Objects) -> Store:
    """Return a store in a folder or a bucket with two models and a stitch."""
    store = Store.open(objects.url, create=True)
    store.put_weights(weights_of("m1"))
    store.commit([model("m1"), stitch("m1", "m1", gain=2.0)], run="r", worker="w")
    return store


@pytest.mark.parametrize("column", ["task", "gain"])
def test_an_unreadable_part_is_left_out_named_and_set_aside(filled: Store, column: str):
    path = put_damaged(filled.objects, with_broken_pages(column))
    assert filled.sql("SELECT task, gain FROM stitches").to_pylist() == [{"task": "m1>m1@block1", "gain": 2.0}]
    ((damaged_path, reason),) = filled.damage
    assert damaged_path == path
    assert reason.startswith("it has its digest, but can't be read: ")
    later = Store.open(filled.url)
    assert later.done() == {"m1", "m1>m1@block1"}
    assert later.damage == filled.damage, "a later process knows it"
    assert [damage.path for damage in later.set_aside()] == [path]
    assert Store.open(filled.url).sql("FROM stitches").num_rows == 1


def test_a_mistake_in_a_query_stays_one(filled: Store):
    with pytest.raises(QueryError, match="Could not convert string 'm1>m1@block1' to INT64"):
        filled.sql("SELECT task::BIGINT FROM stitches")
    assert filled.damage == []


@pytest.mark.parametrize("count", [25, pytest.param(1000, marks=pytest.mark.slow)])
def test_any_flipped_bit_before_the_digest_leaves_a_store_that_answers(store: Store, count: int):
    """A bit flips in the memory of a writer after its part was built, so that the digest is that of the wrong part.

    A value that such a bit changed is not noticed by each query, but by `sweeper verify`, from the pages' checksums.
    """
    store.commit([stitch("m1", "m1", gain=2.0)], run="r", worker="w")
    rows = [stitch("m2", f"m{i}") for i in range(2, 30)]
    expected = sorted(["m1>m1@block1", *(row.task for row in rows)])
    content, chance = build_part(rows), random.Random(0)
    for _ in range(count):
        path = put_damaged(store.objects, flipped(content, chance.randrange(8 * len(content))))
        with suppress_later_columns():
            tasks = sorted(store.sql("SELECT * FROM stitches")["task"].to_pylist())
            if store.damage:
                assert tasks == ["m1>m1@block1"]
            elif tasks != expected:
                assert "m1>m1@block1" in tasks
                assert wrong_values(StitchRow, Path(store.url, path)), "verify finds it"
        Path(store.url, path).unlink()
