"""Sums of bitmaps: how many of them have a one, image by image.

The ones are counted 64 images at a time, by the logical operations of an adder (*carry-save addition*): 63 bitmaps take
57 additions of three bits each and give a count of 6 bits for each image. Bitmaps are never unpacked one by one, which
would take several times as long. The sums are exact as long as the weights are whole numbers.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sweeper.store.statistics.bitmaps import Bitmaps

_MOST_COUNTED = 63  # bitmaps that are counted together
_BLOCK_WORDS = 1 << 17  # words of 64 images that are counted at a time: 1 MB, which fits into the cache of a core
_MAPPED_WORDS = 1 << 25  # words that are read before the pages of a memory map are released: 256 MB


def weighted_sums(matrix: csr_array, bitmaps: Bitmaps, references: np.ndarray, block: int) -> Iterator[np.ndarray]:
    """Yield the product of a matrix and the bits of bitmaps of one size, a block of images at a time.

    Args:
        matrix: The weight of each bitmap in each sum, shape (sums, references).
        bitmaps: The bitmaps.
        references: The references to the bitmaps, of which some may be equal.
        block: The number of products to hold at a time, about.

    Yields:
        The sums of images that follow one another, shape (sums, images of the block).
    """
    size, weights = bitmaps.size(references), matrix.tocoo()
    sums = len(matrix.indptr) - 1
    distinct, number = np.unique(references, return_inverse=True)
    merged = csr_array((weights.data, (weights.row, number[weights.col])), (sums, len(distinct)))
    merged.sum_duplicates()
    groups, positions = _groups(merged), bitmaps.positions(distinct)
    words = -(-size // 8)
    width = max(1, block // (64 * max(1, sums)))
    for start in range(0, words, width):
        stop = min(start + width, words)
        result = np.zeros((sums, 64 * (stop - start)))
        for group in groups:
            for part in group.parts(_MAPPED_WORDS // (stop - start)):
                _add_counts(result, part, bitmaps.content(size)[:, start:stop], positions)
        yield result[:, : 8 * size - 64 * start]


class _Groups(NamedTuple):
    """Groups of at most `capacity` bitmaps that have one weight in one sum."""

    row: np.ndarray  # the number of the sum, shape (groups,)
    weight: np.ndarray  # shape (groups,)
    members: np.ndarray  # numbers of bitmaps, shape (capacity, groups); -1 where there are fewer

    def parts(self, bitmaps: int) -> Iterator["_Groups"]:
        """Yield the groups in parts with a given number of bitmaps, about."""
        step = max(1, bitmaps // len(self.members))
        for start in range(0, len(self.row), step):
            part = slice(start, start + step)
            yield _Groups(self.row[part], self.weight[part], self.members[:, part])


def _groups(weights: csr_array) -> Sequence[_Groups]:
    """Divide the entries of a matrix into groups that are counted together; those of one capacity are in one item."""
    entries = weights.tocoo()
    order = np.lexsort((entries.col, entries.data, entries.row))
    row, weight, member = entries.row[order], entries.data[order], entries.col[order]
    if not len(row):
        return []
    starts = np.flatnonzero(np.r_[True, (np.diff(row) != 0) | (np.diff(weight) != 0)])
    place = np.arange(len(row)) - np.repeat(starts, np.diff(np.r_[starts, len(row)]))  # among those of equal weight
    starts = np.flatnonzero(place % _MOST_COUNTED == 0)
    counts = np.diff(np.r_[starts, len(row)])
    capacities = (1 << np.ceil(np.log2(counts + 1)).astype(int)) - 1  # 1, 3, 7, ...: see `bit_planes`
    groups = []
    for capacity in np.unique(capacities).tolist():
        start, count = starts[capacities == capacity], counts[capacities == capacity]
        offset = np.arange(capacity)[:, None]
        members = np.where(offset < count, member[np.minimum(start + offset, len(member) - 1)], -1)
        groups.append(_Groups(row[start], weight[start], members))
    return groups


def _add_counts(result: np.ndarray, groups: _Groups, content: np.ndarray, positions: np.ndarray) -> None:
    """Add the weighted counts of groups of bitmaps to `result`, shape (sums, 64 * words)."""
    for row, weight, members in groups.parts(_BLOCK_WORDS // content.shape[1]):
        bits = content[positions[members]]
        bits[members < 0] = 0
        counts = np.zeros((len(row), 64 * bits.shape[2]), np.uint8)
        for power, plane in enumerate(bit_planes(bits)):
            counts += np.unpackbits(np.ascontiguousarray(plane).view(np.uint8), axis=1) << power
        rows, number = np.unique(row, return_inverse=True)
        result[rows] += csr_array((weight, (number, np.arange(len(row)))), (len(rows), len(row))) @ counts


def bit_planes(vectors: np.ndarray) -> list[np.ndarray]:
    """Return the digits of the number of ones at each place, from the lowest digit on.

    Args:
        vectors: Words of bits, shape (2^n - 1, ...).

    Returns:
        n arrays of shape (...): bit i of the k-th array is digit k of the number of vectors whose bit i is one.
    """
    if len(vectors) == 1:
        return [vectors[0]]
    half = len(vectors) // 2
    halves = vectors[:-1].reshape(2, half, *vectors.shape[1:]).swapaxes(0, 1)
    carry, planes = vectors[-1], []
    for left, right in bit_planes(halves):
        differ = left ^ right
        planes.append(differ ^ carry)
        carry = (left & right) | (differ & carry)
    return [*planes, carry]
