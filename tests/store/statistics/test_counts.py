"""Sums of bitmaps, counted by logical operations, equal those of unpacked bits."""

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from sweeper.store.statistics.bitmaps import Bitmaps
from sweeper.store.statistics.counts import bit_planes, weighted_sums


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_bit_planes_are_the_digits_of_the_number_of_ones(digits: int, seed: int):
    bits = np.random.default_rng(seed).random((2**digits - 1, 3, 64)) < 0.7
    words = np.packbits(bits, axis=-1).view(np.uint64)[..., 0]
    planes = [np.unpackbits(plane[:, None].view(np.uint8), axis=1) for plane in bit_planes(words)]
    assert len(planes) == digits
    assert (sum(plane.astype(int) << k for k, plane in enumerate(planes)) == bits.sum(axis=0)).all()


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 400), st.integers(0, 2**32 - 1), st.integers(1, 5000))
@example(30, 400, 0, 1)  # one sum of more bitmaps than are counted together, word by word
def test_weighted_sums_equal_those_of_unpacked_bits(size: int, count: int, seed: int, block: int):
    rng = np.random.default_rng(seed)
    packed = rng.integers(0, 256, (200, size), np.uint8)
    bitmaps = Bitmaps()
    bitmaps.add(pa.array([b"another size" + bytes(size)]))
    references = bitmaps.add(pa.array([row.tobytes() for row in packed], pa.binary()))
    chosen = rng.integers(0, 200, count)  # some several times
    weights = rng.choice([0, 1, 1, 1, 0.5, -1 / 3], (rng.integers(1, 5), count))
    blocks = list(weighted_sums(csr_array(weights), bitmaps, references[chosen], block))
    sums = np.concatenate(blocks, axis=1)
    np.testing.assert_allclose(sums, weights @ np.unpackbits(packed, axis=1)[chosen], rtol=1e-12, atol=1e-12)
