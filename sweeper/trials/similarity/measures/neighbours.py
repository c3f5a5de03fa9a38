"""Mutual nearest neighbours (Huh et al. 2024): do two networks find the same images alike?"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sweeper.trials.similarity.measures.activation import Activation, blocks
from sweeper.trials.similarity.measures.pair import Pair


def mutual_knn(pair: Pair, *, k: int, distance: str) -> float:
    """Mean over images of the share of its k nearest neighbours in A that are among those in B.

    distance: "cosine" (the angle between two images' vectors, from the origin) or "euclidean". Of neighbours equally
    near those count that the sort takes first. Raises ValueError for k images or fewer.
    """
    if len(pair) <= k:
        raise ValueError(f"{len(pair)} images have no {k} neighbours each")
    of_a, of_b = (_neighbours(z, k, distance) for z in (pair.a, pair.b))
    if pair.order is not None:  # B's image order[i] is called i
        of_b = pair.order.argsort()[of_b[pair.order]]
    shared = (of_a[:, :, None] == of_b[:, None, :]).any(2)
    return float(shared.double().mean())


def _neighbours(x: Activation, k: int, distance: str) -> Tensor:
    """The k nearest of each image, itself left out: int64 (images, k)."""

    def make() -> Tensor:
        # Nearest is where <z_i, z_j> - |z_j|^2 / 2 is largest; of unit vectors the second part is the same for all.
        cosine = distance == "cosine"
        z = normalize(x.features, dim=1) if cosine else x.centred
        sizes = torch.zeros((), dtype=z.dtype, device=z.device) if cosine else x.squared_norms.to(z.dtype) / 2
        found = []
        for part in blocks(len(z), len(z)):
            near = z[part] @ z.T - sizes
            near.diagonal(part.start).fill_(-torch.inf)
            found.append(near.topk(k).indices)
        return torch.cat(found)

    return x.get_or_compute(("neighbours", k, distance), make)
