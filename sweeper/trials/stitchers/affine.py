"""What the trained stitchers share: in eval mode each is an affine map of channels, and it can start at a given one."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.trials.solve import Affine

Norm = nn.BatchNorm1d | nn.BatchNorm2d


class Linear(nn.Linear):
    """One linear map with bias."""

    @torch.no_grad()
    def start(self, affine: Affine) -> None:
        """Become `affine`."""
        self.weight.copy_(affine.weight)
        self.bias.copy_(affine.bias)


class BetweenNorms(nn.Module):
    """Batch norm, a 1x1 convolution or linear map with bias, batch norm."""

    def __init__(self, enter: Norm, affine: nn.Linear | nn.Conv2d, leave: Norm):
        super().__init__()
        self.enter, self.affine, self.leave = enter, affine, leave

    def forward(self, x: Tensor) -> Tensor:
        """(images, channels_a[, height, width]) or (images, tokens, channels_a) to the same of channels_b.

        In eval mode the three are one affine map, and are computed (and differentiated) as one: a single pass over
        the activations instead of three.
        """
        if x.ndim == 3:  # a token is an example of its own, to the norms too
            return self.forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        if self.training:
            return self.leave(self.affine(self.enter(x)))
        weight, bias = self._composed()
        if x.ndim == 2:
            return functional.linear(x, weight, bias)
        return functional.conv2d(x, weight[:, :, None, None], bias)

    def _composed(self) -> tuple[Tensor, Tensor]:
        """Weight (channels_b, channels_a) and bias (channels_b,) of the whole, with the norms' running averages."""
        scale_in, shift_in = _scale_and_shift(self.enter)
        scale_out, shift_out = _scale_and_shift(self.leave)
        weight = self.affine.weight.flatten(1)
        assert self.affine.bias is not None
        bias = scale_out * (weight @ shift_in + self.affine.bias) + shift_out
        return scale_out[:, None] * weight * scale_in, bias

    @torch.no_grad()
    def start(self, affine: Affine) -> None:
        """Become `affine` in eval mode: the first norm whitens each channel of A, the map carries the slope with unit
        variance in each channel, the last norm restores scale and mean.

        The norms' running averages become those of the data that the map was solved on, as if training had collected
        them. A channel of B that the map leaves constant keeps a slope of 0.
        """
        scale = (affine.cov_x.diagonal() + self.enter.eps).sqrt()  # (channels_a,)
        spread = ((affine.weight @ affine.cov_x) * affine.weight).sum(1).clamp_min(0).sqrt()  # (channels_b,)
        spread = torch.where(spread > 0, spread, torch.ones_like(spread))
        ones = torch.ones_like(spread)
        _set(self.enter, affine.mean_x, affine.cov_x.diagonal(), torch.ones_like(scale), torch.zeros_like(scale))
        self.affine.weight.copy_((affine.weight * scale / spread[:, None]).reshape(self.affine.weight.shape))
        assert self.affine.bias is not None
        self.affine.bias.zero_()
        restored = affine.weight @ affine.mean_x + affine.bias
        _set(self.leave, torch.zeros_like(ones), ones, spread * (1 + self.leave.eps) ** 0.5, restored)


def _set(norm: Norm, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor) -> None:
    for name, value in {"running_mean": mean, "running_var": variance, "weight": weight, "bias": bias}.items():
        getattr(norm, name).copy_(value)


def _scale_and_shift(norm: Norm) -> tuple[Tensor, Tensor]:
    """What the norm does in eval mode: x * scale + shift."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale
