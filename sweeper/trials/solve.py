"""Direct matching: the affine map of channels that carries A's activation closest to B's, in closed form.

Least squares over images and pixels, from second moments alone (channels x channels), accumulated in float64: one
pass over the data, whatever its size. Csiszárik et al. 2021 use the same map as a similarity of its own; here it is
also where a stitcher starts.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

RIDGE = 1e-6  # of each channel's own variance: keeps dead and duplicated channels from blowing up


@dataclass(frozen=True, slots=True)
class Affine:
    """y = weight x + bias for each pixel or token, and the moments it was solved from (all float64)."""

    weight: Tensor  # (channels_b, channels_a)
    bias: Tensor  # (channels_b,)
    r2: float  # share of the variance of B's activation, summed over channels, that the map explains
    mean_x: Tensor  # (channels_a,)
    cov_x: Tensor  # (channels_a, channels_a)
    mean_y: Tensor  # (channels_b,)

    @property
    def var_x(self) -> Tensor:
        return self.cov_x.diagonal()

    def __call__(self, x: Tensor) -> Tensor:
        """Applies the map to (images, channels_a[, height, width]) or (images, tokens, channels_a), in x's own
        precision and memory format."""
        weight, bias = self.weight.to(x), self.bias.to(x)
        if x.ndim < 4:
            return torch.nn.functional.linear(x, weight, bias)
        return torch.nn.functional.conv2d(x, weight[:, :, None, None], bias)


def by_channel(x: Tensor) -> Tensor:
    """(images, channels, height, width) to (images * height * width, channels) in float64, (images, tokens, channels)
    to (images * tokens, channels); vectors as they are."""
    return (x.movedim(1, -1) if x.ndim == 4 else x).flatten(0, -2).double()


class Moments:
    """Sums of one activation's channels and of their products, batch after batch."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: Tensor | float = 0.0
        self._products: Tensor | float = 0.0

    def add(self, rows: Tensor) -> None:
        """Takes in rows of shape (pixels, channels), float64."""
        self.count += len(rows)
        self._sum = self._sum + rows.sum(0)
        self._products = self._products + rows.T @ rows

    @property
    def mean(self) -> Tensor:
        """(channels,)"""
        return torch.as_tensor(self._sum) / self.count

    @property
    def cov(self) -> Tensor:
        """(channels, channels), divided by the number of pixels."""
        return torch.as_tensor(self._products) / self.count - torch.outer(self.mean, self.mean)


class Products:
    """Sums of products between A's and B's channels over the same pixels."""

    def __init__(self) -> None:
        self.count = 0
        self._products: Tensor | float = 0.0

    def add(self, rows_a: Tensor, rows_b: Tensor) -> None:
        """Takes in rows of A (pixels, channels_a) and of B (pixels, channels_b), pixel by pixel the same images."""
        self.count += len(rows_a)
        self._products = self._products + rows_b.T @ rows_a

    @property
    def mean(self) -> Tensor:
        """(channels_b, channels_a): the mean of y x'."""
        return torch.as_tensor(self._products) / self.count


def solve(x: Moments, y: Moments, xy: Products, ridge: float = RIDGE) -> Affine:
    """The least-squares map from x to y: weight = C_yx (C_xx + ridge diag(C_xx))^-1, bias = mean_y - weight mean_x.

    Channels of x are scaled to unit variance before the ridge is added, so that a quiet channel counts as much as a
    loud one; a channel that never moves gets no weight. r2 is 1 - |residual|^2 / |y - mean_y|^2, and 1 where y never
    moves.
    """
    mean_x, cov_x, mean_y, var_y = x.mean, x.cov, y.mean, y.cov.diagonal()
    cross = xy.mean - torch.outer(mean_y, mean_x)
    scale = cov_x.diagonal().clamp_min(0).sqrt()
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    correlation = cov_x / torch.outer(scale, scale)
    correlation = correlation + ridge * torch.eye(len(scale), dtype=scale.dtype, device=scale.device)
    weight = torch.linalg.solve(correlation, (cross / scale).T).T / scale
    residual = var_y - 2 * (weight * cross).sum(1) + ((weight @ cov_x) * weight).sum(1)
    total = float(var_y.sum())
    r2 = 1.0 - float(residual.sum()) / total if total > 0 else 1.0
    return Affine(weight, mean_y - weight @ mean_x, r2, mean_x, cov_x, mean_y)
