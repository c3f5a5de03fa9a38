"""Digests of a file's blocks, by which every later read of the file can be checked without reading all of it."""

from hashlib import sha256

BLOCK = 1 << 16  # bytes; a column of a row group is mostly larger, so little more is read than asked for
DIGEST_BYTES = 16  # of a block's SHA-256


def block_digests(content: bytes) -> bytes:
    """Return the digests of the blocks of a content, one after the other."""
    view = memoryview(content)
    return b"".join(_digest(view[start : start + BLOCK]) for start in range(0, len(content), BLOCK))


def blocks_of(start: int, end: int, size: int) -> tuple[int, int]:
    """Return the range of the whole blocks that cover the bytes from `start` to `end` of a file of `size` bytes."""
    return start // BLOCK * BLOCK, min(-(-end // BLOCK) * BLOCK, size)


def wrong_block(content: bytes, start: int, digests: bytes) -> int | None:
    """Return the number of the first block whose content doesn't have its digest; None if all have.

    Args:
        content: Whole blocks of a file.
        start: The position of the first one.
        digests: The digests of all blocks of the file.
    """
    view = memoryview(content)
    for number in range(start // BLOCK, -(-(start + len(content)) // BLOCK)):
        block = view[number * BLOCK - start : (number + 1) * BLOCK - start]
        if _digest(block) != digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]:
            return number
    return None


def _digest(block: memoryview) -> bytes:
    return sha256(block).digest()[:DIGEST_BYTES]
