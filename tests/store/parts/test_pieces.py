"""Tables of pieces: any changed byte is found in its piece, and in no other, however the file is divided."""

from hypothesis import given
from hypothesis import strategies as st

from sweeper.store.parts.pieces import BLOCK, ROW_BYTES, Pieces, block_ends, piece_table, wrong_piece

SIZES = st.sampled_from([1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 7])


@st.composite
def divided(draw: st.DrawFn) -> tuple[int, list[int]]:
    """Draw the size of a file and the ends of its pieces."""
    size = draw(SIZES)
    if draw(st.booleans()):
        return size, list(block_ends(0, size))
    return size, sorted({*draw(st.lists(st.integers(1, size), max_size=9)), size})


@given(divided(), st.data())
def test_a_flipped_bit_is_found_in_its_piece_and_in_no_other(file: tuple[int, list[int]], data: st.DataObject):
    size, ends = file
    content = bytearray(size)
    table = piece_table(bytes(content), ends)
    position = data.draw(st.integers(0, size - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    expected = next(number for number, end in enumerate(ends) if position < end)
    assert len(table) == len(ends) * ROW_BYTES
    assert Pieces(table).wrong(bytes(content), range(len(ends))) == [expected]
    assert wrong_piece(bytes(content), table) == expected


@given(divided(), st.data())
def test_a_range_is_covered_by_as_few_pieces_as_possible(file: tuple[int, list[int]], data: st.DataObject):
    size, ends = file
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start + 1, size))
    pieces = Pieces(piece_table(bytes(size), ends))
    numbers = pieces.covering(start, end)
    first, last = pieces.bounds(numbers)
    assert first <= start < pieces.bounds(range(numbers.start, numbers.start + 1))[1]
    assert pieces.bounds(range(numbers.stop - 1, numbers.stop))[0] < end <= last


@given(divided(), st.data())
def test_pieces_of_which_too_little_was_read_are_wrong(file: tuple[int, list[int]], data: st.DataObject):
    size, ends = file
    content = b"\1" * size
    length = data.draw(st.integers(0, size - 1))
    wrong = Pieces(piece_table(content, ends)).wrong(content[:length], range(len(ends)))
    assert wrong == [number for number, end in enumerate(ends) if end > length]


def test_blocks_have_all_but_the_last_the_same_length():
    assert list(block_ends(5, 5 + 2 * BLOCK + 1)) == [5 + BLOCK, 5 + 2 * BLOCK, 6 + 2 * BLOCK]
    assert list(block_ends(5, 5)) == []
    assert piece_table(b"") == b""
    assert wrong_piece(b"", b"") is None
