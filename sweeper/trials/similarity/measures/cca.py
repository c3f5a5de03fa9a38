"""Canonical correlations: of the axes with most variance (SVCCA), and weighted by A's projections on them (PWCCA).

With the singular value decompositions X = U_a S_a V_a' and Y = U_b S_b V_b' of the centred activations, the canonical
correlations of X and Y are the singular values of U_a'U_b (Björck & Golub 1973).
"""

import torch
from torch import Tensor

from sweeper.trials.similarity.measures.activation import Activation
from sweeper.trials.similarity.measures.pair import Pair


def svcca(pair: Pair, *, variance: float, maps: str) -> float:
    """Return the mean canonical correlation of the axes that explain most of each activation (Raghu et al. 2017).

    The mean is over as many correlations as the smaller number of axes of the two.

    Args:
        pair: The activations.
        variance: The share of each activation's variance that the leading axes explain.
        maps: As in `Pair.view_maps`.
    """
    pair = pair.view_maps(maps).reduced
    correlations, _ = _canonical(_leading_overlap(pair, variance))
    return float(correlations.mean())


def pwcca(pair: Pair, *, variance: float, maps: str) -> float:
    """Return the mean canonical correlation weighted by A's projections (Morcos et al. 2018, section 3).

    The weight of A's i-th canonical variate h_i (images,) is sum_j |<h_i, x_j>| over A's features x_j (images,).

    Args:
        pair: The activations.
        variance: As in `svcca`.
        maps: As in `Pair.view_maps`.
    """
    pair = pair.view_maps(maps)
    overlap = _leading_overlap(pair.reduced, variance)
    correlations, directions = _canonical(overlap)
    # h = U_a P, so that <h_i, x_j> is an entry of P'(U_a'X).
    weights = (directions.T @ _loadings(pair.a, len(overlap))).abs().sum(1)
    return float((weights * correlations).sum() / weights.sum())


def _leading_overlap(pair: Pair, variance: float) -> Tensor:
    """Return U_a'U_b of the axes that explain a share `variance` of each activation."""
    return pair.overlap[
        : len(pair.a.spectrum.leading_axes(variance).values), : len(pair.b.spectrum.leading_axes(variance).values)
    ]


def _canonical(overlap: Tensor) -> tuple[Tensor, Tensor]:
    """Return the canonical correlations and A's directions: singular values and left singular vectors of U_a'U_b.

    They come from the eigendecomposition of the smaller of the two products of the matrix with itself, in a third of
    the time of an SVD; correlations of up to 1e-8 are rounding errors.

    Args:
        overlap: U_a'U_b, (axes of A, axes of B).

    Returns:
        Singular values in descending order (k,), and left singular vectors (axes of A, k), where k is the smaller
        number of axes.
    """
    m, n = overlap.shape
    if m <= n:
        values, left = torch.linalg.eigh(overlap @ overlap.T)
    else:
        values, right = torch.linalg.eigh(overlap.T @ overlap)
        left = overlap @ right
        left = left / left.norm(dim=0).clamp_min(1e-300)
    return values.clamp(0, 1).sqrt().flip(0), left.flip(1)


def _loadings(x: Activation, axes: int) -> Tensor:
    """Return U'X of the first axes, (axes, features) float64."""
    if x.reduced is x:
        values, vectors = x.spectrum
        return (vectors * values.sqrt()).T[:axes]
    reduced = x.reduced
    left = reduced.centred.double() @ (reduced.spectrum.vectors / reduced.spectrum.values.sqrt())
    return left[:, :axes].T @ x.centred.double()
