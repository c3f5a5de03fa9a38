"""Linear centred kernel alignment (Kornblith et al. 2019), and its debiased form.

With X (n, p) and Y (n, q) centred by column, K = XX', L = YY' and the Frobenius product <K, L> = |X'Y|^2:
biased is <K, L> / sqrt(<K, K> <L, L>). Debiased puts the unbiased estimator of HSIC (Song et al. 2012, equation 5) in
the place of each product; for centred features it needs <K, L> and the two diagonals alone, because the rows of K
and L then sum to 0. Products are float32 matrix multiplications whose squares are summed in float64.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK = 2**24  # entries of an intermediate matrix held at once: 64 MiB of float32


def linear_cka(x: Tensor, y: Tensor, *, debiased: bool = False) -> float:
    """Linear CKA of x (images, features of A) and y (images, features of B).

    In [0, 1] biased; debiased may fall a little below 0. A representation that never moves has similarity 0 to all.
    Raises ValueError where the numbers of images differ, or are under 4 when debiased.
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} images of A against {len(y)} of B")
    if debiased and len(x) < 4:
        raise ValueError("the debiased estimator needs 4 images or more")
    x, y = _standard(x), _standard(y)
    xx, yy, xy = _products(x, y)
    if debiased:
        dx, dy = x.square().sum(1, dtype=torch.float64), y.square().sum(1, dtype=torch.float64)
        xx, yy, xy = _unbiased(xx, dx, dx), _unbiased(yy, dy, dy), _unbiased(xy, dx, dy)
    return xy / (xx * yy) ** 0.5 if xx > 0 and yy > 0 else 0.0


def _standard(x: Tensor) -> Tensor:
    """Flat, centred by column and of unit mean square: scale says nothing to CKA, and float32 stays in range."""
    x = x.flatten(1).float()
    x = x - x.mean(0, dtype=torch.float64).float()
    scale = float(x.square().mean(dtype=torch.float64).sqrt())
    return x / scale if scale > 0 else x


def _unbiased(product: float, dk: Tensor, dl: Tensor) -> float:
    """n (n - 3) HSIC_1 from <K, L> and the diagonals of K and L, whose rows sum to 0."""
    n, both = len(dk), float((dk * dl).sum())
    return product - both * (1 + 2 / (n - 2)) + float(dk.sum()) * float(dl.sum()) / ((n - 1) * (n - 2))


def _products(x: Tensor, y: Tensor) -> tuple[float, float, float]:
    """<K, K>, <L, L>, <K, L>, by the cheaper of the two forms: features (n p q) or Gram (n^2 (p + q) / 2)."""
    (n, p), q = x.shape, y.shape[1]
    if p * p + p * q + q * q <= n * (p + q) / 2:
        return _by_features(x, x), _by_features(y, y), _by_features(x, y)
    xx = yy = xy = 0.0
    for part in _blocks(n, n):
        # K and L are symmetric: a strip from its diagonal on holds all, and what lies right of it counts twice.
        k, l = x[part] @ x[part.start :].T, y[part] @ y[part.start :].T  # noqa: E741 (the letters of the paper)
        k[:, len(k) :] *= 2**0.5
        l[:, len(l) :] *= 2**0.5
        xx, yy, xy = xx + _inner(k, k), yy + _inner(l, l), xy + _inner(k, l)
    return xx, yy, xy


def _inner(k: Tensor, l: Tensor) -> float:  # noqa: E741
    return float((k * l).sum(dtype=torch.float64))


def _by_features(x: Tensor, y: Tensor) -> float:
    """|X'Y|^2"""
    return sum(float((x[:, part].T @ y).square_().sum(dtype=torch.float64)) for part in _blocks(x.shape[1], y.shape[1]))


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    size = max(1, BLOCK // columns)
    return (slice(start, start + size) for start in range(0, rows, size))
