"""Random numbers as pure functions of (seed, purpose, step), the same on every machine and library version.

NumPy and torch may change their shuffles and distributions between releases; NumPy guarantees only the raw output of
its bit generators. So all random choices of *data* are computed here from the raw bits of Philox (Salmon et al. 2011),
a counter-based generator that can start at any step without cost.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """The purpose of random numbers. Different purposes get different numbers from the same seed.

    The values decide what a seed means, so they must never change.
    """

    SUBSET = 1
    NESTED_SUBSET = 2
    LABEL_NOISE = 3
    EPOCH = 4
    AUGMENT = 5
    ORDER = 6
    VIEWS = 7
    HEAD = 8
    COMPARED = 9  # the images that a measure compares
    NULL = 10  # permutations of images for the null distribution of a measure
    CODE = 11
    SOURCES = 12  # the order and the sides of the digits that cluttered digits are made from
    CLUTTER = 13
    NOISE = 14  # the images whose pixels replace those of others


def bits(seed: int, purpose: Purpose, step: int, count: int) -> np.ndarray:
    """Return `count` uniform uint64. Each (seed, purpose, step) has its own sequence of 2**128 numbers."""
    return np.random.Philox(key=seed, counter=[0, 0, step, purpose]).random_raw(count)


def random_permutation(seed: int, purpose: Purpose, step: int, count: int) -> np.ndarray:
    """Return a random permutation of range(count), int64 (count,).

    It is uniform up to equal sort keys, which have a probability of about count**2 / 2**65.
    """
    return np.argsort(bits(seed, purpose, step, count), kind="stable")


def uniform(raw: np.ndarray) -> np.ndarray:
    """Convert raw bits to float64, uniform in [0, 1)."""
    return (raw >> np.uint64(11)) * 2.0**-53


def integers_below(raw: np.ndarray, bound: int | np.ndarray) -> np.ndarray:
    """Convert raw bits to int64, uniform in range(bound); the bias is less than bound / 2**53."""
    return (uniform(raw) * bound).astype(np.int64)
