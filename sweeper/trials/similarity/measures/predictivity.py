"""Linear predictivity: does a linear map from A's activation foretell B's on images that it wasn't fitted to?"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from sweeper.trials.process.philox import Purpose, permutation
from sweeper.trials.similarity.measures.activation import Activation, blocks, products
from sweeper.trials.similarity.measures.pair import Pair


def linear_predictivity(pair: Pair, *, ridge: float, seed: int) -> float:
    """R^2 on one half of the images of the ridge regression that is fitted to the other half.

    The penalty is `ridge` times |X|^2 of the fitted half: directions that hold less than that share of A's variance
    hardly count. R^2 is 1 - |residual|^2 / |Y - mean|^2, both summed over B's features, the mean that of the half which
    is foretold.
    Raises ValueError for under 4 images.
    """
    if len(pair) < 4:
        raise ValueError("each half needs 2 images or more")
    order = torch.from_numpy(permutation(seed, Purpose.COMPARED, 0, len(pair))).to(pair.a.centred.device)
    fitted, foretold = order[: len(order) // 2], order[len(order) // 2 :]
    solver = pair.a.get_or_compute(("ridge", ridge, seed), partial(_solver, pair.a, fitted, ridge))
    y = pair.permute_top(pair.b.centred)
    mean = y[fitted].mean(0, dtype=torch.float64)
    weight = solver.solve(y[fitted] - mean.to(y.dtype))
    residual = total = 0.0
    centre = y[foretold].mean(0, dtype=torch.float64)
    for part in blocks(len(foretold), y.shape[1]):
        rows = foretold[part]
        truth = y[rows].double()
        residual += float((truth - mean - solver.inputs(pair.a.centred[rows]) @ weight).square_().sum())
        total += float((truth - centre).square_().sum())
    return 1 - residual / total if total > 0 else 0.0


class _Solver(NamedTuple):
    """The fitted half of A, X centred on its own mean, and the Cholesky factor of X'X + penalty; where there are fewer
    images than features, of XX' + penalty (the dual form, whose inputs are products with the fitted images)."""

    x: Tensor
    mean: Tensor
    factor: Tensor
    dual: bool

    def solve(self, y: Tensor) -> Tensor:
        """The weights (inputs, features of B) float64 of centred targets."""
        right = y.double() if self.dual else products(self.x, y)
        return torch.cholesky_solve(right, self.factor)

    def inputs(self, x: Tensor) -> Tensor:
        """What the weights apply to, for some images: float64 (images, inputs)."""
        x = x - self.mean
        return products(x.T, self.x.T) if self.dual else x.double()


def _solver(activation: Activation, fitted: Tensor, ridge: float) -> _Solver:
    x = activation.centred[fitted]
    mean = x.mean(0)
    x = x - mean
    dual = x.shape[0] < x.shape[1]
    gram = products(x.T, x.T) if dual else products(x, x)
    penalty = ridge * float(gram.trace())
    gram.diagonal().add_(penalty or 1.0)  # a half that never moves foretells nothing, whatever the penalty
    return _Solver(x, mean, torch.linalg.cholesky(gram), dual)
