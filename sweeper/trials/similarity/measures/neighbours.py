"""Mutual nearest neighbours (Huh et al. 2024): the share of an image's neighbours that two networks have in common."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sweeper.trials.similarity.measures.activation import Activation, blocks
from sweeper.trials.similarity.measures.pair import Pair


def mutual_knn(pair: Pair, *, k: int, distance: str) -> float:
    """Return the mean over images of the share of the k nearest neighbours in A that are among those in B.

    Args:
        pair: The activations.
        k: The number of neighbours. Of equally near images, those that `topk` returns first count.
        distance: "cosine" (the angle between two images' vectors, which are not centred) or "euclidean".

    Raises:
        ValueError: If there are k images or fewer.
    """
    if len(pair) <= k:
        raise ValueError(f"{k} neighbours of an image need more than {k} images; there are {len(pair)}")
    neighbours_a, neighbours_b = (_neighbours(z, k, distance) for z in (pair.a, pair.b))
    if pair.order is not None:  # renumber the neighbours: image order[i] of B is paired with image i of A
        neighbours_b = pair.order.argsort()[neighbours_b[pair.order]]
    shared = (neighbours_a[:, :, None] == neighbours_b[:, None, :]).any(2)
    return float(shared.double().mean())


def _neighbours(x: Activation, k: int, distance: str) -> Tensor:
    """Return the k nearest neighbours of each image, without the image itself, int64 (images, k)."""

    def make() -> Tensor:
        # The nearest image j maximises <z_i, z_j> - |z_j|^2 / 2; for unit vectors the second term is constant.
        cosine = distance == "cosine"
        z = normalize(x.features, dim=1) if cosine else x.centred
        offsets = torch.zeros((), dtype=z.dtype, device=z.device) if cosine else x.squared_norms.to(z.dtype) / 2
        neighbours = []
        for part in blocks(len(z), len(z)):
            closeness = z[part] @ z.T - offsets
            closeness.diagonal(part.start).fill_(-torch.inf)
            neighbours.append(closeness.topk(k).indices)
        return torch.cat(neighbours)

    return x.get_or_compute(("neighbours", k, distance), make)
