"""Random numbers as pure functions of (seed, purpose, step), the same on every machine and library version.

NumPy and torch may change how they shuffle or draw between releases; what NumPy does promise is the raw output of its
bit generators. So everything that decides *which data* a network sees is made here from Philox's raw bits (Salmon et
al. 2011), a counter-based generator that can be entered at any step at no cost.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What draws are for; two purposes never share one. Their numbers are part of what a seed means: never renumber."""

    SUBSET = 1
    NESTED_SUBSET = 2
    LABEL_NOISE = 3
    EPOCH = 4
    AUGMENT = 5
    ORDER = 6
    VIEWS = 7
    HEAD = 8
    COMPARED = 9  # which images a measure compares
    NULL = 10  # permutations of images under which nothing is alike
    CODE = 11


def bits(seed: int, purpose: Purpose, step: int, count: int) -> np.ndarray:
    """`count` uniform uint64; each (seed, purpose, step) has 2**128 of its own."""
    return np.random.Philox(key=seed, counter=[0, 0, step, purpose]).random_raw(count)


def permutation(seed: int, purpose: Purpose, step: int, count: int) -> np.ndarray:
    """A uniformly random order of range(count), int64 (count,). Nearly: equal keys have odds of count**2 / 2**65."""
    return np.argsort(bits(seed, purpose, step, count), kind="stable")


def uniform(raw: np.ndarray) -> np.ndarray:
    """Raw bits as float64 in [0, 1)."""
    return (raw >> np.uint64(11)) * 2.0**-53


def integers_below(raw: np.ndarray, most: int | np.ndarray) -> np.ndarray:
    """Raw bits as int64 uniform in range(most); the bias is under most / 2**53."""
    return (uniform(raw) * most).astype(np.int64)
