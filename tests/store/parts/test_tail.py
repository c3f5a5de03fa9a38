"""The tail of a compacted part: it is checked by itself, and its digests cover every other byte of the part."""

import io
import random
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.damage import flipped

from sweeper.store.parts.pieces import Pieces, wrong_piece
from sweeper.store.parts.store_paths import PartName, compacted_part, parse_part
from sweeper.store.parts.tail import has_its_digest, pieces_in, problem_with_tail, with_tail


def parquet_file(rows: int) -> bytes:
    """Return a file with two columns and row groups of a thousand rows."""
    rng, buffer = random.Random(0), io.BytesIO()
    table = pa.table({"task": [f"m{i}" for i in range(rows)], "correct": [rng.randbytes(600) for _ in range(rows)]})
    pq.write_table(table, buffer, row_group_size=1000)
    return buffer.getvalue()


def named(rows: int) -> tuple[bytes, PartName, bytes]:
    """Return a part with a tail, its name, and its tail."""
    content, tail = with_tail(parquet_file(rows))
    name = parse_part(compacted_part("stitches", 3, datetime(2026, 1, 2, tzinfo=UTC), content, tail))
    assert name
    assert name.tail == tail
    return content, name, content[-tail.size :]


@pytest.mark.parametrize("rows", [0, 1, 10, 4000])
def test_a_part_with_a_tail_is_the_same_table(rows: int):
    content, name, tail = named(rows)
    assert pq.read_table(pa.BufferReader(content)).equals(pq.read_table(pa.BufferReader(parquet_file(rows))))
    assert pq.read_schema(pa.BufferReader(tail)) == pq.read_schema(pa.BufferReader(content))
    assert problem_with_tail(content, name) is None
    assert wrong_piece(content, pieces_in(tail, name.size)) is None
    assert (len(tail) >= 1 << 16) == (len(content) >= 1 << 20)


def test_pieces_end_where_columns_of_row_groups_end():
    content, name, tail = named(4000)
    pieces = Pieces(pieces_in(tail, name.size))
    metadata = pq.read_metadata(pa.BufferReader(content))
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            start = column.dictionary_page_offset or column.data_page_offset
            end = start + column.total_compressed_size
            assert pieces.bounds(pieces.covering(start, end)) == (start, end)
    assert pieces.bounds(pieces.covering(name.size - 1, name.size)) == (name.size - len(tail), name.size)


def test_every_flipped_bit_is_found_in_the_tail_or_by_it():
    content, name, tail = named(2000)
    rng = random.Random(0)
    for _ in range(200):
        changed = flipped(content, rng.randrange(8 * len(content)))
        in_tail = changed[-len(tail) :] != tail
        assert has_its_digest(changed[-len(tail) :], name) != in_tail
        assert in_tail or wrong_piece(changed, pieces_in(tail, name.size)) is not None
        assert problem_with_tail(changed, name)
    assert "its list of digests" in str(problem_with_tail(flipped(content, 100), name))
