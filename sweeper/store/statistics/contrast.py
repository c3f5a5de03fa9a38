"""Estimates from the pairs of two families of models, and the same estimates with each model left out.

A contrast is linear in the values of the pairs. Its methods take `values` of shape (pairs, columns), where a column is
the gain, or the outcome on one test image, and treat each column separately:

    whole(values)      shape (columns,): the estimate
    without(values)    shape (models, columns): the estimate without each model, on whichever side it stands;
                       not finite if no pair would be left

`roles`, shape (models,), numbers the role of each model: only A, only B or both, and at which levels. Models of one
role differ only by chance.
"""

from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

Matrix = csr_array


class Contrast(Protocol):
    """An estimate that is linear in the values of the pairs (see the module)."""

    roles: np.ndarray

    def whole(self, values: np.ndarray) -> np.ndarray: ...

    def without(self, values: np.ndarray) -> np.ndarray: ...


class Mean:
    """The mean over pairs."""

    def __init__(self, a: np.ndarray, b: np.ndarray, n: int):
        """Prepare the mean.

        Args:
            a: The number of each pair's A, shape (pairs,).
            b: The number of each pair's B, shape (pairs,).
            n: The number of models.
        """
        pairs, both = np.arange(len(a)), a != b  # a pair of a model with itself is subtracted only once
        self._of_model = _matrix(np.r_[a, b[both]], np.r_[pairs, pairs[both]], (n, len(a)))
        self._left = len(a) - np.diff(self._of_model.indptr)
        self.roles = _roles(np.stack([_marked(a, n), _marked(b, n)], axis=1))

    def whole(self, values: np.ndarray) -> np.ndarray:
        return values.mean(axis=0)

    def without(self, values: np.ndarray) -> np.ndarray:
        left = np.where(self._left == 0, np.nan, self._left)[:, None]
        return (values.sum(axis=0) - self._of_model @ values) / left


class Slope:
    """The slope over the levels of A, averaged over Bs.

    The slope of a B is that of the least-squares line through its means at the levels. Each level counts once, however
    many models it has.

    With levels x_1 .. x_q (at least two), each B j meeting every level, and n_lj pairs of B j at level l:

        L_l = (x_l - mean x) / sum over levels of (x - mean x)^2,    slope_j = sum over l of L_l * mean of level l for j

    Levels keep their weight when a model is left out, so the models of a level differ by chance alone, whatever the
    shape of the curve.
    """

    def __init__(self, a: np.ndarray, b: np.ndarray, level: np.ndarray, x: np.ndarray, n: int):
        """Prepare the slope.

        Args:
            a: The number of each pair's A, shape (pairs,).
            b: The number of each pair's B, shape (pairs,).
            level: The number of each pair's level, shape (pairs,).
            x: The values of the levels, shape (levels,).
            n: The number of models.
        """
        pairs, levels = np.arange(len(a)), len(x)
        self._tops, j = np.unique(b, return_inverse=True)
        weight = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
        self._cell = j * levels + level
        size = np.bincount(self._cell, minlength=len(self._tops) * levels).astype(float)
        self._means = _matrix(self._cell, pairs, (len(size), len(a)), 1 / size[self._cell])
        cells = np.arange(len(size))
        self._slopes = _matrix(cells // levels, cells, (len(self._tops), len(size)), np.tile(weight, len(self._tops)))
        self._is_top = _marked(b, n)
        other = a != b  # pairs of a model with itself are already removed with their B
        with np.errstate(divide="ignore"):
            moves = weight[level[other]] / (size[self._cell[other]] - 1)
        self._moves = _matrix(a[other], pairs[other], (n, len(a)), moves)
        at = np.zeros((n, levels), bool)
        at[a, level] = True
        self.roles = _roles(np.concatenate([self._is_top[:, None], at], axis=1))

    def whole(self, values: np.ndarray) -> np.ndarray:
        return (self._slopes @ (self._means @ values)).mean(axis=0)

    def without(self, values: np.ndarray) -> np.ndarray:
        means = self._means @ values
        slopes = self._slopes @ means
        total = np.repeat(slopes.sum(axis=0)[None], len(self._is_top), axis=0)
        total[self._tops] -= slopes
        with np.errstate(invalid="ignore", divide="ignore"):
            total += self._moves @ (means[self._cell] - values)
            return total / (len(self._tops) - self._is_top)[:, None]


def deviations(without: np.ndarray, roles: np.ndarray) -> np.ndarray:
    """Subtract from `without`, shape (models, columns), its mean over the models of the same role."""
    moved = np.empty_like(without)
    for role in np.unique(roles):
        group = without[roles == role]
        moved[roles == role] = group - group.mean(axis=0)
    return moved


def factors(roles: np.ndarray) -> np.ndarray:
    """Return the jackknife's (n_s - 1) / n_s of each model, n_s the number of models of its role; shape (models,)."""
    sizes = np.bincount(roles)[roles]
    return (sizes - 1) / sizes


def averages(index: np.ndarray, count: int) -> Matrix:
    """Return the matrix, shape (count, rows), that averages the rows with the same index."""
    repeats = np.bincount(index, minlength=count)
    return _matrix(index, np.arange(len(index)), (count, len(index)), 1 / repeats[index])


def _roles(stands: np.ndarray) -> np.ndarray:
    """Return the role of each model: the number of its distinct row in `stands`.

    If a role has a single model, its variance can't be estimated, and all models form one role.

    Args:
        stands: True where a model is used, shape (models, sides and levels).
    """
    _, roles, sizes = np.unique(stands, axis=0, return_inverse=True, return_counts=True)
    return roles.reshape(-1) if (sizes > 1).all() else np.zeros(len(stands), np.intp)


def _marked(numbers: np.ndarray, n: int) -> np.ndarray:
    marks = np.zeros(n, bool)
    marks[numbers] = True
    return marks


def _matrix(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int], entries: np.ndarray | None = None) -> Matrix:
    return csr_array((np.ones(len(rows)) if entries is None else entries, (rows, columns)), shape=shape)
