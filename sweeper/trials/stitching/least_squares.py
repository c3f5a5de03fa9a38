"""Direct matching: the affine map of channels from A's activation to B's, by least squares.

The map is solved over images and places from second moments alone (channels x channels), accumulated in float64 in one
pass over the data. Csiszárik et al. 2021 use the same map as a measure of similarity; here stitchers also start at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from sweeper.trials.networks.finite import check_finite

RIDGE = 1e-6  # the penalty, relative to each channel's variance; bounds the weights of constant and equal channels


@dataclass(frozen=True, slots=True)
class Affine:
    """An affine map y = weight x + bias of channels at each place, with the moments it was solved from (float64)."""

    weight: Tensor  # (channels_b, channels_a)
    bias: Tensor  # (channels_b,)
    r2: float  # share of the variance of B's activation, summed over channels, that the map explains
    mean_x: Tensor  # (channels_a,)
    cov_x: Tensor  # (channels_a, channels_a)
    mean_y: Tensor  # (channels_b,)
    var_y: Tensor  # (channels_b,)
    cross: Tensor  # (channels_b, channels_a): the covariance of y and x
    count: int  # places that the map was solved on, over all images

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the map to each place of x; the result has the precision and memory format of x."""
        return mix(x, self.weight.to(x), self.bias.to(x))

    def with_weight(self, weight: Tensor) -> "Affine":
        """Return a map of the same channels with slope `weight` and the bias that fits the means."""
        bias = self.mean_y - weight @ self.mean_x
        r2 = _explained(weight, self.cov_x, self.cross, self.var_y)
        return replace(self, weight=weight, bias=bias, r2=r2)


def mix(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return weight x + bias at each place.

    Args:
        x: Maps (images, channels_a, height, width), tokens (images, tokens, channels_a) or vectors (images,
            channels_a).
        weight: (channels_b, channels_a).
        bias: (channels_b,), or None for no bias.
    """
    if x.ndim == 4:
        return functional.conv2d(x, weight[:, :, None, None], bias)
    return functional.linear(x, weight, bias)


def by_channel(x: Tensor) -> Tensor:
    """Return an activation with one row for each place of each image: (images * places, channels), float64."""
    return (x.permute(0, 2, 3, 1).flatten(0, 2) if x.ndim == 4 else x.flatten(0, -2)).double()


class Moments:
    """The mean and covariance of one activation's channels, accumulated batch by batch."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: Tensor | float = 0.0
        self._products: Tensor | float = 0.0

    def add(self, rows: Tensor) -> None:
        """Add rows of shape (places, channels), float64."""
        self.count += len(rows)
        self._sum = self._sum + rows.sum(0)
        self._products = self._products + rows.T @ rows

    @property
    def mean(self) -> Tensor:
        """The mean of each channel: (channels,)."""
        return torch.as_tensor(self._sum) / self.count

    @property
    def cov(self) -> Tensor:
        """The covariance of the channels, divided by the number of places: (channels, channels)."""
        return torch.as_tensor(self._products) / self.count - torch.outer(self.mean, self.mean)


class Products:
    """The mean products of A's and B's channels at the same places, accumulated batch by batch."""

    def __init__(self) -> None:
        self.count = 0
        self._products: Tensor | float = 0.0

    def add(self, rows_a: Tensor, rows_b: Tensor) -> None:
        """Add rows of A (places, channels_a) and of B (places, channels_b), of the same places of the same images."""
        self.count += len(rows_a)
        self._products = self._products + rows_b.T @ rows_a

    @property
    def mean(self) -> Tensor:
        """The mean of y x': (channels_b, channels_a)."""
        return torch.as_tensor(self._products) / self.count


def solve(x: Moments, y: Moments, xy: Products, ridge: float = RIDGE) -> Affine:
    """Return the least-squares map from x to y.

    weight = C_yx (C_xx + ridge diag(C_xx))^-1 and bias = mean_y - weight mean_x. The channels of x are scaled to unit
    variance before the ridge is added, so the scale of a channel has no effect; a constant channel gets weight 0. r2 is
    1 - |residual|^2 / |y - mean_y|^2, and 1 if y is constant.

    Args:
        x: Moments of the map's input.
        y: Moments of the output that the map should give, over the same places.
        xy: Products of the two.
        ridge: The ridge penalty, relative to the variance of each channel of x.

    Raises:
        FloatingPointError: If a weight of the map is not a finite number.
    """
    mean_x, cov_x, mean_y, var_y = x.mean, x.cov, y.mean, y.cov.diagonal()
    cross = xy.mean - torch.outer(mean_y, mean_x)
    scale = _zeros_to_one(cov_x.diagonal().clamp_min(0).sqrt())
    correlation = cov_x / torch.outer(scale, scale)
    correlation = correlation + ridge * torch.eye(len(scale), dtype=scale.dtype, device=scale.device)
    weight = torch.linalg.solve(correlation, (cross / scale).T).T / scale
    check_finite("the least-squares map", weight)
    r2 = _explained(weight, cov_x, cross, var_y)
    return Affine(weight, mean_y - weight @ mean_x, r2, mean_x, cov_x, mean_y, var_y, cross, x.count)


def truncate_rank(form: Affine, rank: int) -> Affine:
    """Return the least-squares map of at most the given rank (reduced-rank regression: Izenman 1975).

    It is the unrestricted map, its outputs projected on their first `rank` principal directions.
    """
    output_covariance = form.weight @ form.cov_x @ form.weight.T
    directions = torch.linalg.eigh(output_covariance).eigenvectors[:, -rank:]  # `eigh` sorts eigenvalues upwards
    return form.with_weight(directions @ (directions.T @ form.weight))


def best_rotation(form: Affine) -> Affine:
    """Return the best y = s R (x - mean_x) + mean_y with an orthogonal R and one scale s (Schönemann 1966).

    R is the polar factor of the covariance of y and x (the Procrustes problem). If the numbers of channels differ, R
    has orthonormal rows or columns, which equals padding the smaller side with zeros, and s is the least-squares scale
    for that R.
    """
    left, _, right = torch.linalg.svd(form.cross, full_matrices=False)
    rotation = left @ right
    power = float(((rotation @ form.cov_x) * rotation).sum())
    scale = float((rotation * form.cross).sum()) / power if power > 0 else 0.0
    return form.with_weight(scale * rotation)


def matched_channels(form: Affine) -> Tensor:
    """Return for each channel of B the channel of A that it is matched with, each used once: int64 (channels,).

    The matching maximises the sum of the correlations; those of a constant channel count as 0.
    """
    scale_x, scale_y = form.cov_x.diagonal().clamp_min(0).sqrt(), form.var_y.clamp_min(0).sqrt()
    correlation = form.cross / torch.outer(_zeros_to_one(scale_y), _zeros_to_one(scale_x))
    _, order = linear_sum_assignment(correlation.cpu().numpy(), maximize=True)
    return torch.from_numpy(order).to(form.cross.device)


def explained_variance(forms: Sequence[Affine]) -> float:
    """Return the share of the variance of B's activation that the maps of its parts explain together."""
    totals = [form.count * float(form.var_y.sum()) for form in forms]
    if sum(totals) == 0:
        return 1.0
    return 1.0 - sum((1 - form.r2) * total for form, total in zip(forms, totals, strict=True)) / sum(totals)


def _explained(weight: Tensor, cov_x: Tensor, cross: Tensor, var_y: Tensor) -> float:
    residual = var_y - 2 * (weight * cross).sum(1) + ((weight @ cov_x) * weight).sum(1)
    total = float(var_y.sum())
    return 1.0 - float(residual.sum()) / total if total > 0 else 1.0


def _zeros_to_one(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, torch.ones_like(scale))
