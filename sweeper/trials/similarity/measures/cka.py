"""Centred kernel alignment (Kornblith et al. 2019) with linear and Gaussian kernels, and from batches of images.

With X (n, p) and Y (n, q) centred by column, K = XX', L = YY': the Frobenius product <K, L> is |X'Y|^2, and the rows
of K and L sum to 0. Products are matrix multiplications in the input's precision, summed in float64.
"""

import torch
from torch import Tensor

from sweeper.trials.process.philox import Purpose, permutation
from sweeper.trials.similarity.measures.activation import Activation, square
from sweeper.trials.similarity.measures.hsic import Kernel, Strips, cka, inner, ratio, unbiased, whole
from sweeper.trials.similarity.measures.pair import Pair

MEDIAN_IMAGES = 2_000  # the most whose distances the median is taken of: two million pairs


def linear_cka(pair: Pair, *, debiased: bool = False) -> float:
    """Linear CKA. In [0, 1] biased; debiased may fall below 0. Raises ValueError for under 4 images where debiased."""
    x, y = pair.x.centred, pair.placed(pair.y.centred)
    (n, p), q = x.shape, y.shape[1]
    if p * p + p * q + q * q <= n * (p + q) / 2:  # by features: cheaper than images by images
        none = torch.zeros(n, dtype=torch.float64, device=x.device)
        k = Kernel(pair.x.square, none, pair.x.sizes)
        l = Kernel(pair.y.square, none, pair.placed(pair.y.sizes))  # noqa: E741
        return cka(square(x, y), k, l, debiased)
    sums = Strips(n, x.device)
    for part in sums.parts(n):
        sums.add(part, x[part] @ x[part.start :].T, y[part] @ y[part.start :].T)
    return sums.cka(debiased)


def minibatch_cka(pair: Pair, *, batch: int, seed: int) -> float:
    """The estimator of Nguyen et al. 2021: HSIC_1 of each batch, its mean over all batches, then CKA of the means.

    batch: images in each, drawn without replacement. Raises ValueError for fewer images than one batch.
    """
    if len(pair) < batch:
        raise ValueError(f"{len(pair)} images don't fill a batch of {batch}")
    x, y = pair.x.centred, pair.placed(pair.y.centred)
    order = torch.from_numpy(permutation(seed, Purpose.COMPARED, 0, len(pair))).to(x.device)
    kl = kk = ll = 0.0
    for rows in order[: len(pair) // batch * batch].split(batch):
        k, l = x[rows] @ x[rows].T, y[rows] @ y[rows].T  # noqa: E741
        of_k, of_l = whole(k), whole(l)
        kl += unbiased(inner(k, l), of_k, of_l)
        kk += unbiased(of_k.square, of_k, of_k)
        ll += unbiased(of_l.square, of_l, of_l)
    return ratio(kl, kk, ll)


def rbf_cka(pair: Pair, *, bandwidth: float, debiased: bool = False) -> float:
    """CKA with K = exp(-|x_i - x_j|^2 / (2 s^2)), s = `bandwidth` times the median distance of two images.

    Raises ValueError where half of the images are one and the same, and for under 4 images where debiased.
    """
    x, y = pair.x.centred, pair.placed(pair.y.centred)
    sizes = pair.x.sizes, pair.placed(pair.y.sizes)
    widths = [2 * bandwidth**2 * _median_squared(activation) for activation in (pair.x, pair.y)]
    if not all(widths):
        raise ValueError("the median distance of two images is 0: a Gaussian kernel has no width")
    sums = Strips(len(pair), x.device)
    for part in sums.parts(len(pair)):
        k, l = (  # noqa: E741
            squared_distances(z, size, part).div_(-width).exp_()
            for z, size, width in zip((x, y), sizes, widths, strict=True)
        )
        sums.add(part, k, l)
    return sums.cka(debiased)


def squared_distances(x: Tensor, sizes: Tensor, part: slice) -> Tensor:
    """Of some images to these and all after them, (images of part, images from its start); sizes: |x_i|^2."""
    sizes = sizes.to(x.dtype)
    found = torch.addmm(sizes[part.start :], x[part], x[part.start :].T, alpha=-2).add_(sizes[part, None]).clamp_min_(0)
    found.fill_diagonal_(0)
    return found


def _median_squared(x: Activation) -> float:
    """The square of the median distance between two images."""

    def median() -> float:
        drawn = permutation(0, Purpose.COMPARED, 0, len(x))[:MEDIAN_IMAGES]
        rows = torch.from_numpy(drawn).to(x.centred.device)
        squared = squared_distances(x.centred[rows], x.sizes[rows], slice(0, len(rows)))
        i, j = torch.triu_indices(*squared.shape, offset=1, device=squared.device)
        return float(squared[i, j].sqrt_().quantile(0.5)) ** 2

    return x.once("median", median)
