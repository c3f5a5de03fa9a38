"""Linear predictivity: R^2 of a linear map from A's activation to B's, on images to which it wasn't fitted."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from sweeper.trials.process.philox import Purpose, random_permutation
from sweeper.trials.similarity.measures.activation import Activation, blocks, products
from sweeper.trials.similarity.measures.pair import Pair


def linear_predictivity(pair: Pair, *, ridge: float, seed: int) -> float:
    """Return R^2, on one half of the images, of a ridge regression of Y on X that is fitted to the other half.

    R^2 is 1 - |residual|^2 / |Y - mean|^2, both summed over the test half and B's features, with the mean over the test
    half.

    Args:
        pair: The activations.
        ridge: The penalty, in units of |X|^2 of the fitted half: directions with less than this share of A's variance
            hardly contribute.
        seed: The seed of the division into halves.

    Raises:
        ValueError: If there are fewer than 4 images.
    """
    if len(pair) < 4:
        raise ValueError(f"linear predictivity needs 4 images or more, 2 in each half; there are {len(pair)}")
    order = torch.from_numpy(random_permutation(seed, Purpose.COMPARED, 0, len(pair))).to(pair.a.centred.device)
    fit_rows, test_rows = order[: len(order) // 2], order[len(order) // 2 :]
    solver = pair.a.get_or_compute(("ridge", ridge, seed), partial(_solver, pair.a, fit_rows, ridge))
    top = pair.permute_top(pair.b.centred)
    mean = top[fit_rows].mean(0, dtype=torch.float64)
    weight = solver.solve(top[fit_rows] - mean.to(top.dtype))
    residual = total = 0.0
    test_mean = top[test_rows].mean(0, dtype=torch.float64)
    for part in blocks(len(test_rows), top.shape[1]):
        rows = test_rows[part]
        target = top[rows].double()
        residual += float((target - mean - solver.inputs(pair.a.centred[rows]) @ weight).square_().sum())
        total += float((target - test_mean).square_().sum())
    return 1 - residual / total if total > 0 else 0.0


class _Solver(NamedTuple):
    """A ridge regression on the fitted half of A's activation.

    The primal form has the Cholesky factor of X'X + penalty. The dual form, used where there are fewer images than
    features, has that of XX' + penalty, and the inputs of an image are its products with the fitted images.
    """

    x: Tensor  # X, centred, (fitted images, features of A)
    mean: Tensor  # of the fitted half, (features of A,)
    factor: Tensor  # (inputs, inputs) float64
    dual: bool

    def solve(self, target: Tensor) -> Tensor:
        """Return the weights (inputs, features of B), float64, for centred targets (fitted images, features of B)."""
        right = target.double() if self.dual else products(self.x, target)
        return torch.cholesky_solve(right, self.factor)

    def inputs(self, x: Tensor) -> Tensor:
        """Return the inputs that weights multiply, (images, inputs) float64, from A's activation (images, features)."""
        x = x - self.mean
        return products(x.T, self.x.T) if self.dual else x.double()


def _solver(activation: Activation, fit_rows: Tensor, ridge: float) -> _Solver:
    x = activation.centred[fit_rows]
    mean = x.mean(0)
    x = x - mean
    dual = x.shape[0] < x.shape[1]
    gram = products(x.T, x.T) if dual else products(x, x)
    penalty = ridge * float(gram.trace())
    gram.diagonal().add_(penalty or 1.0)  # if the half is constant all weights are 0, with any positive penalty
    return _Solver(x, mean, torch.linalg.cholesky(gram), dual)
