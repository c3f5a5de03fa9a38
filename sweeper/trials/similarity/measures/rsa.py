"""Representational similarity analysis (Kriegeskorte et al. 2008): do two networks find the same images unlike?"""

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from sweeper.trials.process.philox import Purpose, permutation
from sweeper.trials.similarity.measures.activation import Activation
from sweeper.trials.similarity.measures.cka import squared_distances
from sweeper.trials.similarity.measures.pair import Pair


def rsa(pair: Pair, *, dissimilarity: str, compared: str, images: int, seed: int) -> float:
    """Correlation of the two representational dissimilarity matrices over the pairs of at most `images` images.

    dissimilarity: "correlation" (1 - Pearson's r of two images' vectors) or "euclidean"; compared: "spearman" or
    "pearson". 0 where all images are equally unlike. Raises ValueError for under 3 images.
    """
    if len(pair) < 3:
        raise ValueError("there must be 3 images or more")
    drawn = np.sort(permutation(seed, Purpose.COMPARED, 0, len(pair))[:images])
    drawn = torch.from_numpy(drawn).to(pair.x.by_place.device)
    x, y = (_standardised(z, drawn, dissimilarity, compared, seed) for z in (pair.x, pair.y))
    order = pair.order_of(drawn)
    return float((x * (y if order is None else y[order][:, order])).sum())


def _standardised(x: Activation, drawn: Tensor, dissimilarity: str, compared: str, seed: int) -> Tensor:
    """The matrix (or its ranks) with the mean of its pairs taken off and their squares summing to 1; the diagonal, and
    all of a matrix without variance, is 0. (images, images) float64."""

    def make() -> Tensor:
        matrix = (_correlation if dissimilarity == "correlation" else _euclidean)(x, drawn)
        i, j = torch.triu_indices(*matrix.shape, offset=1, device=matrix.device)
        pairs = matrix[i, j].double()
        if compared == "spearman":
            pairs = torch.from_numpy(rankdata(pairs.cpu().numpy())).to(pairs)
        pairs = pairs - pairs.mean()
        size = float(pairs.norm())
        found = torch.zeros(matrix.shape, dtype=torch.float64, device=matrix.device)
        found[i, j] = pairs / (size * 2**0.5) if size > 0 else pairs * 0
        return found + found.T

    return x.once(("rsa", dissimilarity, compared, len(drawn), seed), make)


def _correlation(x: Activation, drawn: Tensor) -> Tensor:
    """1 - Pearson's r over features; an image whose features are all alike correlates with none."""
    z = x.features[drawn]
    z = z - z.mean(1, keepdim=True)
    z = torch.nn.functional.normalize(z, dim=1)
    return 1 - z @ z.T


def _euclidean(x: Activation, drawn: Tensor) -> Tensor:
    return squared_distances(x.centred[drawn], x.sizes[drawn], slice(0, len(drawn))).sqrt()
