"""Canonical correlations: of the axes that hold most variance (SVCCA), and weighted by what they account for (PWCCA).

With centred X = U S V', the canonical correlations of X and Y are the singular values of U_x'U_y (Björck & Golub 1973).
"""

import torch
from torch import Tensor

from sweeper.trials.similarity.measures.activation import Activation
from sweeper.trials.similarity.measures.pair import Pair


def svcca(pair: Pair, *, variance: float, maps: str) -> float:
    """Mean canonical correlation of the axes that explain a share `variance` of either activation (Raghu et al. 2017).

    As many correlations count as the smaller of the two has axes.
    """
    pair = pair.seen(maps).reduced
    kept = _kept(pair, variance)
    correlations, _ = _canonical(kept)
    return float(correlations.mean())


def pwcca(pair: Pair, *, variance: float, maps: str) -> float:
    """Canonical correlations, weighted by A's projection (Morcos et al. 2018, section 3).

    A's i-th canonical variate h_i (images,) has the weight sum_j |<h_i, x_j>| over A's features x_j.
    """
    pair = pair.seen(maps)
    kept = _kept(pair.reduced, variance)
    correlations, directions = _canonical(kept)
    # h = U_x P, so that <h_i, x_j> is an entry of P'(U_x'X).
    weights = (directions.T @ _loadings(pair.x, len(kept))).abs().sum(1)
    return float((weights * correlations).sum() / weights.sum())


def _kept(pair: Pair, variance: float) -> Tensor:
    """U_x'U_y of the axes that are kept."""
    return pair.overlap[: len(pair.x.spectrum.kept(variance).values), : len(pair.y.spectrum.kept(variance).values)]


def _canonical(overlap: Tensor) -> tuple[Tensor, Tensor]:
    """Singular values, falling, (k,), and left singular vectors (axes of A, k), k the smaller side. By the eigenvectors
    of the smaller product, in a third of the time: correlations of up to 1e-8 are rounding."""
    m, n = overlap.shape
    if m <= n:
        values, left = torch.linalg.eigh(overlap @ overlap.T)
    else:
        values, right = torch.linalg.eigh(overlap.T @ overlap)
        left = overlap @ right
        left = left / left.norm(dim=0).clamp_min(1e-300)
    return values.clamp(0, 1).sqrt().flip(0), left.flip(1)


def _loadings(x: Activation, axes: int) -> Tensor:
    """U'X of the first axes: (axes, features) float64."""
    if x.reduced is x:
        values, vectors = x.spectrum
        return (vectors * values.sqrt()).T[:axes]
    reduced = x.reduced
    left = reduced.centred.double() @ (reduced.spectrum.vectors / reduced.spectrum.values.sqrt())
    return left[:, :axes].T @ x.centred.double()
