"""Sums of bitmaps: how many of them have a one, image by image.

The ones are counted 64 images at a time, by the logical operations of an adder (*carry-save addition*): n bitmaps take
about n additions of three bits each, and bitmaps are never unpacked one by one, which would take several times as long.
Bitmaps that several sums have in common, as those of the tops alone are, are counted once. The sums are exact as long
as the weights are whole numbers.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sweeper.store.statistics.bitmaps import Bitmaps

_MOST_COUNTED = 255  # bitmaps that are counted together, so that a count fits into a byte
_BLOCK_WORDS = 1 << 16  # words of 64 images that are counted at a time: 512 KB, which fits into the cache of a core
_MAPPED_WORDS = 1 << 25  # words that are read before the pages of a memory map are released: 256 MB
MOST_COUNTS = 1 << 26  # counts that are held at a time, each a byte


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
    size, weights, sums = bitmaps.size(references), matrix.tocoo(), len(matrix.indptr) - 1
    distinct, number = np.unique(references, return_inverse=True)
    merged = csr_array((weights.data, (weights.row, number[weights.col])), (sums, len(distinct)))
    merged.sum_duplicates()
    groups, coefficients = _groups(merged)
    count = sum(group.members.shape[1] for group in groups)
    positions, words = bitmaps.positions(distinct), -(-size // 8)
    width = max(1, MOST_COUNTS // (64 * max(1, count)))
    images = max(1, block // max(1, sums, count))
    for start in range(0, words, width):
        stop = min(start + width, words)
        counts = np.zeros((count, 64 * (stop - start)), np.uint8)
        for group in groups:
            _count(counts, group, bitmaps, size, positions, slice(start, stop))
        counts = counts[:, : 8 * size - 64 * start]
        for image in range(0, counts.shape[1], images):
            yield coefficients @ counts[:, image : image + images].astype(float)


class _Groups(NamedTuple):
    """Groups of bitmaps of one length."""

    number: int  # of the first group; the others follow
    members: np.ndarray  # numbers of bitmaps, shape (members, groups)

    def parts(self, bitmaps: int) -> Iterator["_Groups"]:
        """Yield the groups in parts with a given number of bitmaps, about."""
        step = max(1, bitmaps // len(self.members))
        for start in range(0, self.members.shape[1], step):
            yield _Groups(self.number + start, self.members[:, start : start + step])


def _groups(weights: csr_array) -> tuple[Sequence[_Groups], csr_array]:
    """Divide the entries of a matrix into groups of bitmaps that have one weight in a sum and are counted together.

    Returns:
        The different groups, those of one length in one item, and the weight of each in each sum, shape (sums, groups).
    """
    entries = weights.tocoo()
    order = np.lexsort((entries.col, entries.data, entries.row))
    row, weight, member = entries.row[order], entries.data[order], entries.col[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(row) != 0) | (np.diff(weight) != 0)][: len(row)])
    place = np.arange(len(row)) - np.repeat(starts, np.diff(np.r_[starts, len(row)]))  # among those of equal weight
    starts = np.flatnonzero(place % _MOST_COUNTED == 0)
    lengths = np.diff(np.r_[starts, len(row)])
    groups, number_of_group, count = [], np.zeros(len(starts), int), 0
    for length in np.unique(lengths).tolist():
        of_length = np.flatnonzero(lengths == length)
        members, number = np.unique(member[starts[of_length, None] + np.arange(length)], axis=0, return_inverse=True)
        groups.append(_Groups(count, members.T))
        number_of_group[of_length] = count + number.reshape(-1)
        count += len(members)
    return groups, csr_array((weight[starts], (row[starts], number_of_group)), (len(weights.indptr) - 1, count))


def _count(
    counts: np.ndarray, groups: _Groups, bitmaps: Bitmaps, size: int, positions: np.ndarray, words: slice
) -> None:
    """Count the ones of groups of bitmaps at some words, and write them to `counts`, shape (groups, 64 * words)."""
    width = words.stop - words.start
    for mapped in groups.parts(_MAPPED_WORDS // width):
        content = bitmaps.content(size)[:, words]
        for number, members in mapped.parts(_BLOCK_WORDS // width):
            for power, plane in enumerate(bit_planes(content[positions[members]])):
                ones = np.unpackbits(np.ascontiguousarray(plane).view(np.uint8), axis=1).view(np.uint64)
                counts[number : number + members.shape[1]].view(np.uint64)[:] += ones << np.uint64(power)  # by bytes


def bit_planes(vectors: np.ndarray) -> list[np.ndarray]:
    """Return the digits of the number of ones at each place, from the lowest digit on.

    Args:
        vectors: Words of bits, shape (n, ...).

    Returns:
        Arrays of shape (...): bit i of the k-th array is digit k of the number of vectors whose bit i is one.
    """
    if len(vectors) == 1:
        return [vectors[0]]
    half = len(vectors) // 2
    halves = vectors[: 2 * half].reshape(2, half, *vectors.shape[1:]).swapaxes(0, 1)
    (left, right), *others = bit_planes(halves)
    digit, carry = _added(left, right, vectors[-1] if len(vectors) % 2 else None)
    planes = [digit]
    for left, right in others:
        digit, carry = _added(left, right, carry)
        planes.append(digit)
    return [*planes, carry]


def _added(left: np.ndarray, right: np.ndarray, carry: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the higher digit of the sum of three bits, or of two."""
    differ, both = left ^ right, left & right
    return (differ, both) if carry is None else (differ ^ carry, both | (differ & carry))
