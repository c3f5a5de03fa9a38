"""The paper's stitcher and the variants of its capacity experiment (Bansal et al. 2021, section 3).

The stitcher is batch norm, 1x1 convolution with bias, batch norm; the variants have larger kernels, a second layer or
no norms.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.shapes import channels, format_shape
from sweeper.trials.stitching.least_squares import Affine
from sweeper.trials.stitching.stitchers.affine import BetweenNorms, Norm

CLEARANCE = 3.0  # with two layers, a channel's mean before the ReLU at the start, in its standard deviations


def conv1x1(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> BetweenNorms:
    """Return the stitcher between activations of the same places.

    For vectors and tokens a linear map replaces the convolution. It has torch's default initialisation, from torch's
    global generator.
    """
    return _layer(channels(bottom_shape), channels(top_shape), kernel=1, maps=len(bottom_shape) == 3, norm=True)


def conv(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> "BetweenNorms | TwoLayers":
    """Return the stitcher `conv1x1` with the options `kernel`, `norm` and `depth`.

    Raises:
        ValueError: If `kernel` is larger than 1 and the activations are not maps.
    """
    kernel, norm, maps = int(options["kernel"]), bool(options["norm"]), len(bottom_shape) == 3
    if kernel > 1 and not maps:
        raise ValueError(
            f"a kernel of size {kernel} needs maps, not an activation of shape {format_shape(bottom_shape)}"
        )
    first = _layer(channels(bottom_shape), channels(top_shape), kernel, maps, norm)
    if options["depth"] == 1:
        return first
    second = _layer(channels(top_shape), channels(top_shape), kernel, maps, norm)
    second.norm_in = None  # the first layer ends in a norm already
    return TwoLayers(first, second)


class TwoLayers(nn.Module):
    """Two layers with a ReLU between them."""

    def __init__(self, first: BetweenNorms, second: BetweenNorms):
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        """Apply both layers: (images, *bottom_shape) to (images, *top_shape)."""
        return self.second(self.first(x).relu())

    @torch.no_grad()
    def start(self, *forms: Affine) -> None:
        """Set the layers so that together they approximate the one form.

        The first layer gives the form's outputs at unit variance and mean `CLEARANCE`, so that the ReLU clips one in
        700 values of a normally distributed channel; the second restores scale and mean.
        """
        (form,) = forms
        covariance = form.weight @ form.cov_x @ form.weight.T
        spread = covariance.diagonal().clamp_min(0).sqrt()
        spread = torch.where(spread > 0, spread, torch.ones_like(spread))
        means = form.weight @ form.mean_x + form.bias
        lifted = torch.full_like(means, CLEARANCE)
        slope, covariance = torch.diag(spread), covariance / torch.outer(spread, spread)
        weight = form.weight / spread[:, None]
        self.first.start(replace(form, weight=weight, bias=lifted - weight @ form.mean_x))
        self.second.start(replace(form, weight=slope, bias=means - slope @ lifted, mean_x=lifted, cov_x=covariance))

    def reads(self, *forms: Affine) -> Mapping[str, Tensor]:
        """Return the covariance that the first layer reads: that of A's channels."""
        return {f"first.{name}": covariance for name, covariance in self.first.reads(*forms).items()}


def _layer(channels_a: int, channels_b: int, kernel: int, maps: bool, norm: bool) -> BetweenNorms:
    norm_in: Norm | None = None
    norm_out: Norm | None = None
    if norm:
        kind = nn.BatchNorm2d if maps else nn.BatchNorm1d
        norm_in, norm_out = kind(channels_a), kind(channels_b)
    if maps:
        return BetweenNorms(norm_in, nn.Conv2d(channels_a, channels_b, kernel, padding=kernel // 2), norm_out)
    return BetweenNorms(norm_in, nn.Linear(channels_a, channels_b), norm_out)
