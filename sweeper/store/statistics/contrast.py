"""Estimates from the pairs of two families of models, and the same estimates with each model left out.

A contrast is linear in the values of the pairs. All that it needs of them are certain sums, such as those over the
pairs of each model, of which there are few. They are the product `sums @ values` of a matrix of shape (sums, pairs) and
the values, shape (pairs, columns), where a column is the gain, or the outcome on one test image. The methods take these
products, shape (sums, columns), and treat each column separately:

    estimate(products)       shape (columns,): the estimate from all pairs
    leave_one_out(products)  shape (models, columns): the estimate without all pairs of one model, whether it is their A
                             or their B; not finite if no pair would be left
    spread(products)         shape (columns,): the sum over models of the squared deviation of the estimate without a
                             model from the mean of these estimates over its role, times the jackknife's factor. It is
                             the jackknife's variance of the estimate

`roles`, shape (models,), is the number of the role of each model. A role is a side (only A, only B or both) and, for a
slope, the levels. Models of one role differ only by chance.
"""

from typing import Protocol

import numpy as np
from scipy.sparse import csr_array, vstack

Matrix = csr_array


class Contrast(Protocol):
    """An estimate that is linear in the values of the pairs (see the docstring of the module)."""

    roles: np.ndarray
    sums: Matrix

    def estimate(self, products: np.ndarray) -> np.ndarray:
        """Return the estimate of each column of `products`, shape (sums, columns)."""
        ...

    def leave_one_out(self, products: np.ndarray) -> np.ndarray:
        """Return the estimates with each model left out, shape (models, columns)."""
        ...

    def spread(self, products: np.ndarray) -> np.ndarray:
        """Return the jackknife's variance of the estimate of each column, shape (columns,)."""
        ...


class Mean:
    """The mean over pairs, as a contrast. Its sums are those over the pairs of each A, then of each B."""

    def __init__(self, a: np.ndarray, b: np.ndarray, n: int):
        """Prepare the mean.

        Args:
            a: The number of each pair's A, shape (pairs,).
            b: The number of each pair's B, shape (pairs,).
            n: The number of models.
        """
        pairs, two_models = np.arange(len(a)), a != b  # a pair of a model with itself is subtracted only once
        self._bottoms, bottom = np.unique(a, return_inverse=True)
        self._tops, top = np.unique(b[two_models], return_inverse=True)
        shape = (len(self._bottoms) + len(self._tops), len(a))
        self.sums = _matrix(np.r_[bottom, len(self._bottoms) + top], np.r_[pairs, pairs[two_models]], shape)
        self._pairs = len(a)
        self._remaining = len(a) - np.bincount(a, minlength=n) - np.bincount(b[two_models], minlength=n)
        self.roles = _roles(np.stack([_mask(a, n), _mask(b, n)], axis=1))
        self._balanced_sides = self._sides_of_balanced_pairs()

    def estimate(self, products: np.ndarray) -> np.ndarray:
        """Return the mean of each column."""
        return products[: len(self._bottoms)].sum(axis=0) / self._pairs

    def leave_one_out(self, products: np.ndarray) -> np.ndarray:
        """Return the means without each model; NaN if no pair would be left."""
        of_bottoms, of_tops = np.split(products, [len(self._bottoms)])
        sums = np.repeat(of_bottoms.sum(axis=0)[None], len(self.roles), axis=0)
        sums[self._bottoms] -= of_bottoms
        sums[self._tops] -= of_tops
        sums /= np.where(self._remaining == 0, np.nan, self._remaining)[:, None]
        return sums

    def spread(self, products: np.ndarray) -> np.ndarray:
        """Return the jackknife's variance of the mean of each column.

        If as many pairs are left without any model of a role, the estimates without each model differ as the sums over
        the pairs of each model do. Computing these sums alone takes a fifth of the time.
        """
        if self._balanced_sides is None:
            return _spread(self.leave_one_out(products), self.roles)
        of_bottoms, of_tops = np.split(products, [len(self._bottoms)])
        if self._balanced_sides == 1:
            return _squared_deviations(of_bottoms + of_tops, int(self._remaining[0]))
        return _squared_deviations(of_bottoms, int(self._remaining[self._bottoms[0]])) + _squared_deviations(
            of_tops, int(self._remaining[self._tops[0]])
        )

    def _sides_of_balanced_pairs(self) -> int | None:
        """Return the number of families of models, each a role with as many pairs for every model; else None."""
        remaining = [self._remaining[side] for side in (self._bottoms, self._tops)]
        if any(len(pairs) == 0 or pairs.min() != pairs.max() or pairs[0] == 0 for pairs in remaining):
            return None
        if np.array_equal(self._bottoms, self._tops):
            return 1
        has_two_roles = len(self._bottoms) + len(self._tops) == len(self.roles) and self.roles.any()
        return 2 if has_two_roles else None


class Slope:
    """The slope over the levels of A, averaged over the Bs, as a contrast.

    The slope of one B is that of the least-squares line through its means at the levels. Each level counts once,
    whatever its number of models.

    With levels x_1 .. x_q (at least two), each B j stitched to A at every level, and n_lj pairs of B j at level l:

        L_l = (x_l - mean x) / sum over levels of (x - mean x)^2,    slope_j = sum over l of L_l * mean of level l for j

    Levels keep their weight when a model is left out, so the models of a level differ only by chance, even if the
    values don't lie on a line.

    Its sums are the means of each B at each level, then for each A the sum of its pairs with the weights
    L_l / (n_lj - 1), by which the slopes change without that A.
    """

    def __init__(self, a: np.ndarray, b: np.ndarray, level: np.ndarray, x: np.ndarray, n: int):
        """Prepare the slope.

        Args:
            a: The number of each pair's A, shape (pairs,).
            b: The number of each pair's B, shape (pairs,).
            level: The number of the level of each pair's A, shape (pairs,).
            x: The values of the levels, shape (levels,).
            n: The number of models.
        """
        pairs, levels = np.arange(len(a)), len(x)
        self._tops, top = np.unique(b, return_inverse=True)
        self._weight = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
        cell = top * levels + level
        size = np.bincount(cell, minlength=len(self._tops) * levels).astype(float)
        means = _matrix(cell, pairs, (len(size), len(a)), 1 / size[cell])
        self._is_top = _mask(b, n)
        two_models = a != b  # a pair of a model with itself is already left out with its B
        bottom, cell = a[two_models], cell[two_models]
        with np.errstate(divide="ignore", invalid="ignore"):
            changes = self._weight[level[two_models]] / (size[cell] - 1)
        self._changes_of_means = _matrix(bottom, cell, (n, len(size)), changes)
        self.sums = csr_array(vstack([means, _matrix(bottom, pairs[two_models], (n, len(a)), changes)]))
        has_level = np.zeros((n, levels), bool)
        has_level[a, level] = True
        self.roles = _roles(np.concatenate([self._is_top[:, None], has_level], axis=1))

    def estimate(self, products: np.ndarray) -> np.ndarray:
        """Return the mean slope of each column."""
        return self._slopes(products).mean(axis=0)

    def leave_one_out(self, products: np.ndarray) -> np.ndarray:
        """Return the mean slopes without each model; not finite if a level or all Bs would be left without a model."""
        slopes = self._slopes(products)
        total = np.repeat(slopes.sum(axis=0)[None], len(self._is_top), axis=0)
        total[self._tops] -= slopes
        means, changes = np.split(products, [len(self._tops) * len(self._weight)])
        with np.errstate(invalid="ignore", divide="ignore"):
            total += self._changes_of_means @ means - changes
            return total / (len(self._tops) - self._is_top)[:, None]

    def spread(self, products: np.ndarray) -> np.ndarray:
        """Return the jackknife's variance of the mean slope of each column."""
        return _spread(self.leave_one_out(products), self.roles)

    def _slopes(self, products: np.ndarray) -> np.ndarray:
        """Return the slope of each B, shape (tops, columns)."""
        means = products[: len(self._tops) * len(self._weight)]
        return np.einsum("l,tlc->tc", self._weight, means.reshape(len(self._tops), len(self._weight), -1))


def deviations(estimates: np.ndarray, roles: np.ndarray) -> np.ndarray:
    """Subtract from `estimates`, shape (models, columns), its mean over the models of the same role."""
    deviation = np.empty_like(estimates)
    for role in np.unique(roles):
        group = estimates[roles == role]
        deviation[roles == role] = group - group.mean(axis=0)
    return deviation


def factors(roles: np.ndarray) -> np.ndarray:
    """Return the jackknife's factor (n_s - 1) / n_s of each model, shape (models,); n_s models have its role."""
    sizes = np.bincount(roles)[roles]
    return (sizes - 1) / sizes


def _spread(estimates: np.ndarray, roles: np.ndarray) -> np.ndarray:
    """Return the jackknife's variance from the estimates without each model, shape (models, columns)."""
    deviation = deviations(estimates, roles)
    return np.einsum("k,kx,kx->x", factors(roles), deviation, deviation)


def _squared_deviations(sums: np.ndarray, remaining: int) -> np.ndarray:
    """Return the part of a role in the jackknife's variance of a mean, without any model of which as many pairs remain.

    Args:
        sums: The sum over the pairs of each model of the role, shape (models, columns).
        remaining: The number of pairs that remain without a model.
    """
    deviation = sums - sums.mean(axis=0)
    return (len(sums) - 1) / len(sums) / remaining**2 * np.einsum("kx,kx->x", deviation, deviation)


def averages(index: np.ndarray, count: int) -> Matrix:
    """Return the matrix, shape (count, rows), that averages the rows with the same index."""
    repeats = np.bincount(index, minlength=count)
    return _matrix(index, np.arange(len(index)), (count, len(index)), 1 / repeats[index])


def _roles(uses: np.ndarray) -> np.ndarray:
    """Return the number of the role of each model; models with the same row in `uses` have the same role.

    If a role would have a single model, its variance couldn't be estimated. Then all models have role 0.

    Args:
        uses: True for each side or level at which a model is used, shape (models, sides and levels).
    """
    _, roles, sizes = np.unique(uses, axis=0, return_inverse=True, return_counts=True)
    return roles.reshape(-1) if (sizes > 1).all() else np.zeros(len(uses), np.intp)


def _mask(numbers: np.ndarray, n: int) -> np.ndarray:
    """Return an array of shape (n,) that is True at the given numbers."""
    mask = np.zeros(n, bool)
    mask[numbers] = True
    return mask


def _matrix(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int], entries: np.ndarray | None = None) -> Matrix:
    """Build a sparse matrix; without `entries`, all given entries are 1."""
    return csr_array((np.ones(len(rows)) if entries is None else entries, (rows, columns)), shape=shape)
