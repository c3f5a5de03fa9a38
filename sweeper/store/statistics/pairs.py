"""Pairs of models. Several stitches of a pair (at other cuts, or with other seeds) are averaged to one observation."""

from typing import NamedTuple, Self

import numpy as np


class Stitches(NamedTuple):
    """The stitches of an estimate, as columns of shape (stitches,)."""

    a: np.ndarray  # number of the bottom model
    b: np.ndarray  # number of the top model
    x: np.ndarray  # level of A
    y: np.ndarray  # value
    correct: np.ndarray  # reference to the outcomes (`bitmaps.py`)
    against: np.ndarray  # reference to the outcomes of its counterpart

    def select(self, rows: np.ndarray | slice) -> Self:
        """Return the stitches of a slice, at the given rows, or where a mask is true."""
        return type(self)(*(column[rows] for column in self))

    def of_complete_tops(self) -> Self:
        """Leave out the stitches whose B lacks a value at a level at which another B has one."""
        _, level = np.unique(self.x, return_inverse=True)
        tops, top = np.unique(self.b, return_inverse=True)
        has_level = np.zeros((len(tops), level.max(initial=-1) + 1), bool)
        has_level[top, level] = True
        return self.select(np.asarray(has_level.all(axis=1))[top])


class Pairs(NamedTuple):
    """The observations, one for each pair of models and level.

    They are sorted, so that the order of rows doesn't affect rounding.
    """

    a: np.ndarray  # number of the bottom model, shape (pairs,)
    b: np.ndarray  # number of the top model, shape (pairs,)
    level: np.ndarray  # number of A's level, shape (pairs,)
    values: np.ndarray  # the mean of each pair, shape (pairs,)
    models: int  # number of models on both sides
    x: np.ndarray  # values of the levels, ascending, shape (levels,)
    pair_of_stitch: np.ndarray  # the number of the pair of each stitch, shape (stitches,)
    stitches: Stitches  # sorted by pair, then by value

    @classmethod
    def of(cls, stitches: Stitches) -> Self:
        """Build the pairs of stitches; models get consecutive numbers in the order of their present numbers."""
        names, number = np.unique(np.r_[stitches.a, stitches.b], return_inverse=True)
        levels, level = np.unique(stitches.x, return_inverse=True)
        a, b = np.split(number, 2)
        shape = (max(len(names), 1), max(len(names), 1), max(len(levels), 1))
        cells = np.ravel_multi_index((a, b, level), shape)
        order = np.lexsort((stitches.y, cells))
        pair_cells, pair = np.unique(cells[order], return_inverse=True)
        means = np.bincount(pair, stitches.y[order], len(pair_cells)) / np.bincount(pair, minlength=len(pair_cells))
        pair_a, pair_b, pair_level = np.unravel_index(pair_cells, shape)
        return cls(pair_a, pair_b, pair_level, means, len(names), levels, pair, stitches.select(order))
