"""Parts: conversion of rows to Parquet files and back, and their publication."""

import io
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.store_rows import filled, model, put_part, stitch

from sweeper.spec.records.rows import ROWS, ModelRow, Row, StitchRow, fields
from sweeper.spec.records.text import storable
from sweeper.store.parts import part
from sweeper.store.parts.objects import Objects
from sweeper.store.parts.schema import arrow_schema, to_rows, to_table
from sweeper.store.query import query

VALUE_STRATEGIES = {
    str: st.text(max_size=8),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=8),
    datetime: st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
}


def rows_of(kind: type[Row]) -> st.SearchStrategy[list[Row]]:
    """Return a strategy for one to three rows with any values."""
    values = {
        f.name: st.none() | VALUE_STRATEGIES[f.type] if f.nullable else VALUE_STRATEGIES[f.type] for f in fields(kind)
    }
    return st.lists(st.builds(kind, **values), min_size=1, max_size=3)


@pytest.mark.parametrize("kind", ROWS.values(), ids=ROWS)
@settings(max_examples=30)
@given(data=st.data())
def test_rows_are_read_as_they_were_written(kind: type[Row], data: st.DataObject):
    rows = data.draw(rows_of(kind))
    content = part.build_part(rows)
    assert list(to_rows(kind, pq.read_table(io.BytesIO(content)))) == rows
    assert part.build_part(rows) == content


@pytest.mark.parametrize("kind", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("text", ["a\udce9b", "\ud800", "\0", "\x1b[31m\r\n\u202e", "\U0001f9f5" * 3, "x" * 2_000_000])
def test_every_text_of_a_row_can_be_stored(kind: type[Row], text: str):
    texts = {f.name: text for f in fields(kind) if f.type is str}
    [row] = to_rows(kind, pq.read_table(io.BytesIO(part.build_part([filled(kind, **texts)]))))
    assert {getattr(row, name) for name in texts} == {storable(text)}
    assert storable(storable(text)) == storable(text)


@pytest.mark.parametrize("kind", ROWS.values(), ids=ROWS)
def test_fields_of_a_part_have_their_meaning_and_unit_as_metadata(kind: type[Row]):
    schema = pq.read_schema(io.BytesIO(part.build_part([filled(kind)])))
    assert schema.equals(arrow_schema(kind))
    for field in fields(kind):
        assert schema.field(field.name).metadata == {
            b"meaning": field.column.meaning.encode(),
            b"unit": field.column.unit.encode(),
        }
        assert schema.field(field.name).nullable == field.nullable


@pytest.mark.parametrize(
    ("name", "value"), [("task", None), ("samples", "many"), ("lr", "fast"), ("correct", 1), ("samples", 2**63)]
)
def test_a_row_with_a_value_of_another_type_is_not_stored(objects: Objects, name: str, value: object):
    with pytest.raises((ValueError, pa.ArrowException, OverflowError)):
        part.publish(objects, [model("m1"), filled(ModelRow, **{"task": "m2", name: value})], "r", "w")
    assert objects.list("rows/") == []


def test_publishing_the_same_rows_again_changes_nothing(objects: Objects):
    rows = [stitch("m1", "m2"), stitch("m1", "m3")]
    path = part.publish(objects, rows, "r", "w")
    infos = objects.list("rows/")
    assert part.publish(objects, rows, "r", "w") == path
    assert objects.list("rows/") == infos
    assert [(info.path, info.size) for info in infos] == [(path, len(part.build_part(rows)))]


def test_an_older_part_without_columns_that_were_added_later_can_be_read(store):
    later = [field.name for field in fields(StitchRow) if field.nullable or field.default is not None]
    assert {"sender", "direct_r2"} <= set(later)
    path = put_part(store, to_table([stitch("m1", "m2")]).drop_columns(later))
    store.commit([stitch("m1", "m3", sender="label", direct_r2=0.5)], run="r", worker="w")
    table = query.read_rows(StitchRow, store._check_parts().valid, ["task", "sender", "direct_r2", "part"])
    rows = {row.pop("task"): row for row in table.to_pylist()}
    assert rows["m1>m2@block1"] == {"sender": None, "direct_r2": None, "part": path}
    assert (rows["m1>m3@block1"]["sender"], rows["m1>m3@block1"]["direct_r2"]) == ("label", 0.5)


@pytest.mark.parametrize("rows_of_batch", [1, 7, 10, 25, 1000])
def test_rewritten_rows_are_the_same_bytes_however_they_are_divided(rows_of_batch: int, monkeypatch):
    monkeypatch.setattr(part, "ROWS_PER_GROUP", 10)
    table = to_table([stitch("m0", f"m{i}", gain=float(i)) for i in range(25)])
    content = part.rewrite(table.to_batches(max_chunksize=rows_of_batch), table.schema)
    metadata = pq.read_metadata(pa.BufferReader(content))
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [10, 10, 5]
    assert pq.read_table(pa.BufferReader(content)).equals(table)
    assert content == part.rewrite(table.to_batches(), table.schema)
