"""Representational similarity analysis: the correlation of two dissimilarity matrices (Kriegeskorte et al. 2008)."""

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from sweeper.trials.process.philox import Purpose, random_permutation
from sweeper.trials.similarity.measures.activation import Activation
from sweeper.trials.similarity.measures.cka import squared_distances
from sweeper.trials.similarity.measures.pair import Pair


def rsa(pair: Pair, *, dissimilarity: str, compared: str, images: int, seed: int) -> float:
    """Return the correlation of the two representational dissimilarity matrices over all pairs of images.

    The value is 0 where all dissimilarities of a network are equal.

    Args:
        pair: The activations.
        dissimilarity: "correlation" (1 - Pearson's r of two images' vectors) or "euclidean".
        compared: The correlation of the matrices, "spearman" or "pearson".
        images: The most images to use, drawn without replacement.
        seed: The seed of the draw.

    Raises:
        ValueError: If there are fewer than 3 images.
    """
    if len(pair) < 3:
        raise ValueError(f"RSA needs 3 images or more; there are {len(pair)}")
    rows = np.sort(random_permutation(seed, Purpose.COMPARED, 0, len(pair))[:images])
    rows = torch.from_numpy(rows).to(pair.a.by_place.device)
    a, b = (_standardised_matrix(z, rows, dissimilarity, compared, seed) for z in (pair.a, pair.b))
    order = pair.order_of(rows)
    return float((a * (b if order is None else b[order][:, order])).sum())


def _standardised_matrix(x: Activation, rows: Tensor, dissimilarity: str, compared: str, seed: int) -> Tensor:
    """Return the standardised dissimilarity matrix (or that of its ranks), (images, images) float64.

    The entries off the diagonal have mean 0 and squares that sum to 1; the diagonal, and all of a matrix without
    variance, is 0.
    """

    def make() -> Tensor:
        matrix = (_correlation if dissimilarity == "correlation" else _euclidean)(x, rows)
        i, j = torch.triu_indices(*matrix.shape, offset=1, device=matrix.device)
        pairs = matrix[i, j].double()
        if compared == "spearman":
            pairs = torch.from_numpy(rankdata(pairs.cpu().numpy())).to(pairs)
        pairs = pairs - pairs.mean()
        size = float(pairs.norm())
        upper = torch.zeros(matrix.shape, dtype=torch.float64, device=matrix.device)
        upper[i, j] = pairs / (size * 2**0.5) if size > 0 else pairs * 0
        return upper + upper.T

    return x.get_or_compute(("rsa", dissimilarity, compared, len(rows), seed), make)


def _correlation(x: Activation, rows: Tensor) -> Tensor:
    """Return 1 - Pearson's r over features, (images, images); r = 0 for an image whose features are all equal."""
    z = x.features[rows]
    z = z - z.mean(1, keepdim=True)
    z = torch.nn.functional.normalize(z, dim=1)
    return 1 - z @ z.T


def _euclidean(x: Activation, rows: Tensor) -> Tensor:
    return squared_distances(x.centred[rows], x.squared_norms[rows], slice(0, len(rows))).sqrt()
