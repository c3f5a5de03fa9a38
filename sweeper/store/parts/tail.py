"""The end of a compacted part, from which alone a reader learns what it must know to read any column of the part.

A compacted part is a Parquet file. Between its rows and its footer, where the format allows any bytes, it has the table
of its pieces (`pieces.py`). Table and footer are its tail, whose size and digest are in the name of the part. So one
request for a known range of a bucket gives a tail that can be checked by itself, and the tail has the digests by which
all other bytes are checked.

DuckDB reads the last 64 KiB of a file at once. The tail of a large part is at least as long, so that this read fetches
no column that the query doesn't need.
"""

import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.spec.records import ident
from sweeper.store.parts.pieces import ROW_BYTES, block_ends, piece_table, table_row, wrong_piece
from sweeper.store.parts.store_paths import PartName, TailName

_LARGEST_PIECE = 1 << 18  # bytes; only the column of bitmaps is mostly larger
_READ_AT_ONCE = 1 << 16  # bytes
_PADDED = 1 << 20  # bytes; the tail of a smaller part isn't made longer
_MAGIC = b"PAR1"  # the first and the last bytes of a Parquet file
_FOOTER_END = 8  # bytes after the footer: its length and the magic ones


def with_tail(content: bytes) -> tuple[bytes, TailName]:
    """Return a Parquet file with the table of its pieces before its footer, and the name of its tail."""
    footer_start = len(content) - _footer_size(content)
    table = piece_table(content, _piece_ends(pq.read_metadata(pa.BufferReader(content)), footer_start))
    tail = table + content[footer_start:]
    if len(content) >= _PADDED:
        tail = bytes(max(0, _READ_AT_ONCE - len(tail))) + tail
    return content[:footer_start] + tail, TailName(len(tail), _digest(tail))


def _footer_size(content: bytes) -> int:
    return int.from_bytes(content[-_FOOTER_END : -len(_MAGIC)], "little") + _FOOTER_END


def _piece_ends(metadata: pq.FileMetaData, rows_end: int) -> list[int]:
    """Return where the pieces of the rows end: with each column of a row group, and within large ones."""
    boundaries = {len(_MAGIC), rows_end}
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            start = column.dictionary_page_offset or column.data_page_offset
            boundaries |= {start, start + column.total_compressed_size}
    in_order = sorted(boundaries)
    starts = [0, *in_order[:-1]]
    return [end for pair in zip(starts, in_order, strict=True) for end in block_ends(*pair, _LARGEST_PIECE)]


def has_its_digest(tail: bytes, name: PartName) -> bool:
    """Return True if the tail of a part is the one that the part's name promises."""
    return name.tail == TailName(len(tail), _digest(tail))


def pieces_in(tail: bytes, part_size: int) -> bytes:
    """Return the table of all pieces of a part, the last of which is its tail, from a tail that has its digest."""
    return _table(tail) + table_row(part_size, tail)


def problem_with_tail(content: bytes, name: PartName) -> str | None:
    """Return how the content of a part differs from what its tail and its name say of it; None if it doesn't."""
    assert name.tail, "only parts with a tail are looked at"
    tail = content[-name.tail.size :]
    if not has_its_digest(tail, name):
        return f"the digest of its last {name.tail.size} bytes is not the one in its name"
    if len(_table(tail)) % ROW_BYTES or wrong_piece(content, pieces_in(tail, name.size)) is not None:
        return "its list of digests differs from its content"
    return None


def _table(tail: bytes) -> bytes:
    """Return the table in a tail. It begins with the end of the magic bytes, a 4, and before it are zeros, if any."""
    return tail[: len(tail) - _footer_size(tail)].lstrip(b"\0")


def _digest(tail: bytes) -> str:
    return ident.digest(tail)[:16]
