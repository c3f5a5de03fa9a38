"""The content of a compacted part: all rows, the same bytes each time, sorted, in small row groups."""

import re

import pyarrow.parquet as pq
import pytest
from support.compaction import fill_store
from support.store_rows import model, stitch

from sweeper.errors import StoreError
from sweeper.spec.records.rows import ROWS, fields
from sweeper.store.compaction import build as build_module
from sweeper.store.compaction.build import ORDER, build
from sweeper.store.parts import part as part_module
from sweeper.store.parts.verify import VerifiedPart, by_kind
from sweeper.store.store import Store


def inputs(store: Store, kind: str = "stitches") -> list[VerifiedPart]:
    """Return the valid parts of a kind."""
    return by_kind(store._verifier.check().valid, kind)


def test_the_same_inputs_in_any_order_give_the_same_bytes(store: Store):
    fill_store(store)
    parts = inputs(store)
    first = build("stitches", parts)
    assert build("stitches", parts[::-1]) == first
    assert build("stitches", parts[1:]).content != first.content
    assert re.match("rows/stitches/compacted-6-parts-tail-[0-9]+-[0-9a-f]{16}-2026", first.path)


@pytest.mark.parametrize("kind", ROWS)
def test_the_columns_of_the_order_are_those_of_the_rows(kind: str):
    assert set(ORDER[kind]) <= {field.name for field in fields(ROWS[kind])}


def test_a_query_that_selects_by_cut_needs_few_row_groups(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr(part_module, "ROWS_PER_GROUP", 10)
    for i in range(4):
        rows = [stitch(f"m{i}", f"m{j}", cut=cut) for j in range(5) for cut in ("block1", "block2")]
        store.commit(rows, run=f"r{i}", worker="w")
    file = tmp_path / "part.parquet"
    file.write_bytes(build("stitches", inputs(store)).content)
    metadata = pq.read_metadata(file)
    column = metadata.schema.names.index("cut_b")
    statistics = [metadata.row_group(i).column(column).statistics for i in range(metadata.num_row_groups)]
    assert [(s.min, s.max) for s in statistics] == [("block1", "block1")] * 2 + [("block2", "block2")] * 2
    assert [metadata.row_group(i).num_rows for i in range(4)] == [10] * 4


def test_a_part_that_differs_from_its_inputs_is_not_published(store: Store, monkeypatch: pytest.MonkeyPatch):
    """The writer is patched, because no faulty memory can be had for a test."""
    store.commit([model("m1"), model("m2")], run="r", worker="w")
    store.commit([model("m3")], run="r", worker="w")
    rewrite = build_module.rewrite
    monkeypatch.setattr(
        build_module, "rewrite", lambda batches, schema: rewrite([next(iter(batches)).slice(1)], schema)
    )
    with pytest.raises(StoreError, match=r"a compacted part of models has other rows than its inputs \(2, not 3"):
        store.compactor().publish_all(lambda: True)
    assert len(store.objects.list("rows/")) == 2
