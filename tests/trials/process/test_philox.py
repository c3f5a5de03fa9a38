"""Tests of the random numbers, which are the same on every machine."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sweeper.trials.process.philox import Purpose, bits, integers_below, random_permutation, uniform

SEEDS = st.integers(0, 2**31 - 1)

GOLDEN_BITS = [13030792552160708906, 7214300589237288876]
GOLDEN_ORDER = [4, 2, 5, 1, 3, 6, 0, 7]


@given(seed=SEEDS, purpose=st.sampled_from(Purpose), step=st.integers(0, 2**40), count=st.integers(0, 300))
def test_a_random_permutation_contains_each_index_once(seed: int, purpose: Purpose, step: int, count: int) -> None:
    assert sorted(random_permutation(seed, purpose, step, count)) == list(range(count))


def test_seeds_purposes_and_steps_share_no_draw() -> None:
    draws = [bits(seed, purpose, step, 50) for seed in (0, 1, 2**31 - 1) for purpose in Purpose for step in range(4)]
    assert len(np.unique(np.concatenate(draws))) == 50 * len(draws)


def test_a_longer_draw_starts_with_the_shorter_one() -> None:
    assert np.array_equal(bits(5, Purpose.AUGMENT, 9, 100)[:7], bits(5, Purpose.AUGMENT, 9, 7))


def test_numbers_fill_their_range_evenly() -> None:
    raw = bits(0, Purpose.SUBSET, 0, 90_000)
    assert 0 <= uniform(raw).min() < 1e-3
    assert 1 - 1e-3 < uniform(raw).max() < 1
    counts = np.bincount(integers_below(raw, 9))
    assert len(counts) == 9
    assert np.abs(counts - 10_000).max() < 600
    assert integers_below(np.array([2**64 - 1], np.uint64), 9) == 8


def test_draws_never_change() -> None:
    """Compare with stored numbers: the images of a subset or a batch follow from the seed in every version."""
    assert bits(3, Purpose.EPOCH, 4, 2).tolist() == GOLDEN_BITS
    assert random_permutation(3, Purpose.EPOCH, 4, 8).tolist() == GOLDEN_ORDER
