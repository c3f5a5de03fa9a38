"""Pairs of models. Several stitches of a pair (at other cuts, or with other seeds) are averaged to one observation."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

Texts = Sequence[str]
Values = Sequence[float | None]
Bitmaps = Sequence[bytes | None]


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
    stitch_values: np.ndarray  # the value of each stitch, shape (stitches,)
    correct: Bitmaps  # outcomes of each stitch; empty if none are given
    against: Bitmaps  # outcomes of each stitch's counterpart

    @classmethod
    def from_columns(
        cls, a: Texts, b: Texts, x: Values, y: Values, correct: Bitmaps = (), against: Bitmaps = ()
    ) -> Self:
        """Build the pairs from columns of shape (stitches,); stitches without a value or level are left out."""
        rows = [i for i, (level, value) in enumerate(zip(x, y, strict=True)) if level is not None and value is not None]
        names = sorted({a[i] for i in rows} | {b[i] for i in rows})
        number_by_name = {name: i for i, name in enumerate(names)}
        levels, level = np.unique(np.array([x[i] for i in rows], float), return_inverse=True)
        shape = (max(len(names), 1), max(len(names), 1), max(len(levels), 1))
        sides = [np.array([number_by_name[side[i]] for i in rows], np.int64) for side in (a, b)]
        cells = np.ravel_multi_index((*sides, level), shape) if rows else np.zeros(0, np.int64)
        values = np.array([y[i] for i in rows], float)
        bits = [(correct[i] or b"", against[i] or b"") for i in rows] if any(correct) else []
        order = _order(cells, values, bits)
        pair_cells, pair = np.unique(cells[order], return_inverse=True)
        stitch_values = values[order]
        means = np.bincount(pair, stitch_values, len(pair_cells)) / np.bincount(pair, minlength=len(pair_cells))
        correct_bits = [bits[i][0] for i in order] if bits else ()
        against_bits = [bits[i][1] for i in order] if bits else ()
        pair_a, pair_b, pair_level = np.unravel_index(pair_cells, shape)
        return cls(
            pair_a, pair_b, pair_level, means, len(names), levels, pair, stitch_values, correct_bits, against_bits
        )


def _order(cells: np.ndarray, values: np.ndarray, bits: Sequence[object]) -> Sequence[int]:
    """Return the order of stitches by cell, value and outcomes, which is the same for every order of the input."""
    if bits:
        return sorted(range(len(cells)), key=lambda i: (cells[i], values[i], bits[i]))
    return np.lexsort((values, cells)).tolist()


def levels_of_complete_tops(b: Texts, x: Values, y: Values) -> Values:
    """Return the level of each stitch, or None if its B lacks a value at a level at which another B has one."""
    levels_by_top: dict[str, set[float]] = {}
    for top, level, value in zip(b, x, y, strict=True):
        if level is not None and value is not None:
            levels_by_top.setdefault(top, set()).add(level)
    all_levels = set().union(*levels_by_top.values())
    return [level if levels_by_top.get(top) == all_levels else None for top, level in zip(b, x, strict=True)]
