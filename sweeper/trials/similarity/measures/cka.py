"""Centred kernel alignment (Kornblith et al. 2019) with linear and Gaussian kernels, and its minibatch estimator.

With the activations X (n, p) of A and Y (n, q) of B centred by column, K = XX' and L = YY': the Frobenius product
<K, L> is |X'Y|^2, and the rows of K and L sum to 0. Products are matrix multiplications in the input's precision,
summed in float64.
"""

import torch
from torch import Tensor

from sweeper.trials.process.philox import Purpose, random_permutation
from sweeper.trials.similarity.measures.activation import Activation, squared_cross_norm
from sweeper.trials.similarity.measures.hsic import Kernel, Strips, cka, inner, kernel_sums, ratio, unbiased
from sweeper.trials.similarity.measures.pair import Pair

MEDIAN_IMAGES = 2_000  # the most images for the median distance: two million pairs


def linear_cka(pair: Pair, *, debiased: bool = False) -> float:
    """Return linear CKA, |X'Y|^2 / (|X'X| |Y'Y|) of the centred activations (Kornblith et al. 2019).

    Args:
        pair: The activations.
        debiased: If true, use the unbiased HSIC estimator (Song et al. 2012); the value may then be negative,
            otherwise it lies in [0, 1].

    Raises:
        ValueError: If `debiased` and there are fewer than 4 images.
    """
    a, b = pair.a.centred, pair.permute_top(pair.b.centred)
    (n, p), q = a.shape, b.shape[1]
    # Matrices of features by features are then cheaper than matrices of images by images.
    if p * p + p * q + q * q <= n * (p + q) / 2:
        row_sums = torch.zeros(n, dtype=torch.float64, device=a.device)  # of centred kernels
        k = Kernel(pair.a.gram_square, row_sums, pair.a.squared_norms)
        l = Kernel(pair.b.gram_square, row_sums, pair.permute_top(pair.b.squared_norms))  # noqa: E741
        return cka(squared_cross_norm(a, b), k, l, debiased)
    sums = Strips(n, a.device)
    for part in sums.parts(n):
        sums.add(part, a[part] @ a[part.start :].T, b[part] @ b[part.start :].T)
    return sums.cka(debiased)


def minibatch_cka(pair: Pair, *, batch: int, seed: int) -> float:
    """Return minibatch CKA (Nguyen et al. 2021): linear CKA from the means over batches of the unbiased HSIC_1.

    Args:
        pair: The activations.
        batch: The number of images of a batch, drawn without replacement.
        seed: The seed of the order in which images are drawn.

    Raises:
        ValueError: If there are fewer images than one batch.
    """
    if len(pair) < batch:
        raise ValueError(f"minibatch CKA needs at least one batch of {batch} images; there are {len(pair)}")
    a, b = pair.a.centred, pair.permute_top(pair.b.centred)
    order = torch.from_numpy(random_permutation(seed, Purpose.COMPARED, 0, len(pair))).to(a.device)
    kl = kk = ll = 0.0
    for rows in order[: len(pair) // batch * batch].split(batch):
        k, l = a[rows] @ a[rows].T, b[rows] @ b[rows].T  # noqa: E741
        sums_k, sums_l = kernel_sums(k), kernel_sums(l)
        kl += unbiased(inner(k, l), sums_k, sums_l)
        kk += unbiased(sums_k.square, sums_k, sums_k)
        ll += unbiased(sums_l.square, sums_l, sums_l)
    return ratio(kl, kk, ll)


def rbf_cka(pair: Pair, *, bandwidth: float, debiased: bool = False) -> float:
    """Return CKA with Gaussian kernels K_ij = exp(-|x_i - x_j|^2 / (2 s^2)) (Kornblith et al. 2019).

    Args:
        pair: The activations.
        bandwidth: The width s, in units of the median distance between two images.
        debiased: As in `linear_cka`.

    Raises:
        ValueError: If the median distance is 0, or `debiased` and there are fewer than 4 images.
    """
    a, b = pair.a.centred, pair.permute_top(pair.b.centred)
    squared_norms = pair.a.squared_norms, pair.permute_top(pair.b.squared_norms)
    widths = [2 * bandwidth**2 * _median_squared(activation) for activation in (pair.a, pair.b)]
    if not all(widths):
        raise ValueError("the median distance of two images is 0, so the Gaussian kernel has no width")
    sums = Strips(len(pair), a.device)
    for part in sums.parts(len(pair)):
        k, l = (  # noqa: E741
            squared_distances(z, norms, part).div_(-width).exp_()
            for z, norms, width in zip((a, b), squared_norms, widths, strict=True)
        )
        sums.add(part, k, l)
    return sums.cka(debiased)


def squared_distances(x: Tensor, squared_norms: Tensor, part: slice) -> Tensor:
    """Return squared distances of the images in `part` to these and all later images.

    Args:
        x: (images, features).
        squared_norms: |x_i|^2 of each image, (images,).
        part: A slice of the images.

    Returns:
        (images of part, images from the start of part); 0 on the diagonal.
    """
    norms = squared_norms.to(x.dtype)
    squared = (
        torch.addmm(norms[part.start :], x[part], x[part.start :].T, alpha=-2).add_(norms[part, None]).clamp_min_(0)
    )
    squared.fill_diagonal_(0)
    return squared


def _median_squared(x: Activation) -> float:
    """Return the square of the median distance between two images."""

    def median() -> float:
        indices = random_permutation(0, Purpose.COMPARED, 0, len(x))[:MEDIAN_IMAGES]
        rows = torch.from_numpy(indices).to(x.centred.device)
        squared = squared_distances(x.centred[rows], x.squared_norms[rows], slice(0, len(rows)))
        i, j = torch.triu_indices(*squared.shape, offset=1, device=squared.device)
        return float(squared[i, j].sqrt_().quantile(0.5)) ** 2

    return x.get_or_compute("median", median)
