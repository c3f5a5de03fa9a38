"""Digests of blocks: any changed byte is found in its block, and in no other."""

from hypothesis import given
from hypothesis import strategies as st

from sweeper.store.parts.blocks import BLOCK, DIGEST_BYTES, block_digests, blocks_of, wrong_block

SIZES = st.sampled_from([1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 7])


@given(SIZES, st.data())
def test_a_flipped_bit_is_found_in_its_block_and_in_no_other(size: int, data: st.DataObject):
    content = bytearray(size)
    digests = block_digests(bytes(content))
    position = data.draw(st.integers(0, size - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    assert wrong_block(bytes(content), 0, digests) == position // BLOCK
    for number in range(len(digests) // DIGEST_BYTES):
        block = bytes(content[number * BLOCK : (number + 1) * BLOCK])
        assert (wrong_block(block, number * BLOCK, digests) == number) == (number == position // BLOCK)


@given(SIZES, st.data())
def test_whole_blocks_cover_a_range(size: int, data: st.DataObject):
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start + 1, size))
    first, last = blocks_of(start, end, size)
    assert first <= start
    assert end <= last <= size
    assert first % BLOCK == 0
    assert last % BLOCK == 0 or last == size
    assert start - first < BLOCK
    assert last - end < BLOCK


def test_an_empty_content_has_no_blocks():
    assert block_digests(b"") == b""
    assert wrong_block(b"", 0, b"") is None
