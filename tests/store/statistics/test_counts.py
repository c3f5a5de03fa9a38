"""Sums of bitmaps, counted by logical operations, equal those of unpacked bits."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from sweeper.store.statistics import counts
from sweeper.store.statistics.bitmaps import Bitmaps
from sweeper.store.statistics.counts import bit_planes, weighted_sums


@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_bit_planes_are_the_digits_of_the_number_of_ones(count: int, seed: int):
    bits = np.random.default_rng(seed).random((count, 3, 64)) < 0.7
    words = np.packbits(bits, axis=-1).view(np.uint64)[..., 0]
    planes = [np.unpackbits(plane[:, None].view(np.uint8), axis=1) for plane in bit_planes(words)]
    assert len(planes) == count.bit_length()
    assert (sum(plane.astype(int) << k for k, plane in enumerate(planes)) == bits.sum(axis=0)).all()


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 600), st.integers(0, 2**32 - 1), st.integers(1, 5000))
@example(30, 600, 0, 1)  # one sum of more bitmaps than are counted together, image by image
def test_weighted_sums_equal_those_of_unpacked_bits(size: int, count: int, seed: int, block: int):
    rng = np.random.default_rng(seed)
    packed = rng.integers(0, 256, (200, size), np.uint8)
    bitmaps = Bitmaps()
    bitmaps.add(pa.array([b"another size" + bytes(size)]))
    references = bitmaps.add(pa.array([row.tobytes() for row in packed], pa.binary()))
    chosen = rng.integers(0, 200, count)  # some several times
    weights = rng.choice([0, 1, 1, 1, 0.5, -1 / 3], (rng.integers(1, 5), count))
    expected = weights @ np.unpackbits(packed, axis=1)[chosen]
    for most_counts in (1 << 26, 1):  # of all words at once, and of one word at a time
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(counts, "MOST_COUNTS", most_counts)
            blocks = list(weighted_sums(csr_array(weights), bitmaps, references[chosen], block))
        np.testing.assert_allclose(np.concatenate(blocks, axis=1), expected, rtol=1e-12, atol=1e-12)
