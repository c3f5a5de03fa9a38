"""What the trained stitchers share: in eval mode each is an affine map of channels, and it can start at a given one."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.trials.stitching.least_squares import Affine, mix

Norm = nn.BatchNorm1d | nn.BatchNorm2d


@runtime_checkable
class Starts(Protocol):
    """A stitcher that can begin at a closed form."""

    def start(self, *forms: Affine) -> None:
        """Become the map that the forms are, one for each part of the stitcher's card; as near as it can, where it is
        of lower rank or not affine."""


@runtime_checkable
class Reads(Protocol):
    """A stitcher that begins at a closed form and can say which of its weights read A's channels."""

    def reads(self, *forms: Affine) -> Mapping[str, Tensor]:
        """By the name of a weight (out, channels_a, ...) the covariance (channels_a, channels_a) of what it reads."""
        ...


class Linear(nn.Linear):
    """One linear map with bias."""

    @torch.no_grad()
    def start(self, *forms: Affine) -> None:
        """Become the one form."""
        (form,) = forms
        self.weight.copy_(form.weight)
        assert self.bias is not None
        self.bias.copy_(form.bias)

    def reads(self, *forms: Affine) -> Mapping[str, Tensor]:
        """Its weight reads A's channels as they are."""
        (form,) = forms
        return {"weight": form.cov_x}


class BetweenNorms(nn.Module):
    """Batch norm, a convolution or linear map with bias, batch norm; either norm may be missing (None)."""

    def __init__(self, enter: Norm | None, affine: "nn.Linear | nn.Conv2d | Bottleneck", leave: Norm | None):
        super().__init__()
        self.enter, self.affine, self.leave = enter, affine, leave

    def forward(self, x: Tensor) -> Tensor:
        """Maps (images, channels_a, height, width), tokens (images, tokens, channels_a) or vectors (images, channels_a)
        to the same of channels_b.

        In eval mode the three are one affine map, and are computed (and differentiated) as one: a single pass over
        the activations instead of three.
        """
        if not self.training:
            return self._composed(x)
        return _normed(self.leave, self.affine(_normed(self.enter, x)))

    def _composed(self, x: Tensor) -> Tensor:
        """The whole as one map, with the norms' running averages.

        The first norm's shift is a constant that passes through the map: a bias. Under a kernel that reaches beyond
        the border it is one for each place, since what is padded there is 0 *after* the norm.
        """
        weight, bias = self.affine.weight, self.affine.bias
        assert bias is not None
        if self.enter is None and self.leave is None:
            return _apply(x, weight, bias)
        scale_in, shift_in = _scale_and_shift(self.enter, x.new_ones(weight.shape[1]))
        scale_out, shift_out = _scale_and_shift(self.leave, x.new_ones(len(weight)))
        both = _scaled(scale_out, weight, scale_in)
        if weight.ndim == 2 or weight.shape[2] == 1:
            return _apply(x, both, scale_out * (weight.flatten(1) @ shift_in + bias) + shift_out)
        if self.enter is None:
            return _apply(x, both, scale_out * bias + shift_out)
        through = _apply(shift_in[None, :, None, None].expand(1, -1, *x.shape[2:]), weight, bias)
        return _apply(x, both, None) + (scale_out[:, None, None] * through + shift_out[:, None, None])

    @torch.no_grad()
    def start(self, *forms: Affine) -> None:
        """Become the one form in eval mode: the first norm whitens each channel of A, the map carries the slope with
        unit variance in each channel, the last norm restores scale and mean. A kernel has the slope at its centre.

        The norms' running averages become those of the data that the form was solved on, as if training had collected
        them. A channel of B that the form leaves constant keeps a slope of 0.
        """
        (form,) = forms
        mean, restored = form.weight @ form.mean_x, form.weight @ form.mean_x + form.bias  # (channels_b,)
        scale, spread = self._divisors(form), torch.ones_like(form.bias)
        if self.enter is not None:
            _set(self.enter, form.mean_x, form.cov_x.diagonal(), torch.ones_like(scale), torch.zeros_like(scale))
            mean = torch.zeros_like(mean)
        if self.leave is not None:
            spread = ((form.weight @ form.cov_x) * form.weight).sum(1).clamp_min(0).sqrt()  # (channels_b,)
            spread = torch.where(spread > 0, spread, torch.ones_like(spread))
            ones = torch.ones_like(spread)
            _set(self.leave, torch.zeros_like(ones), ones, spread * (1 + self.leave.eps) ** 0.5, restored)
            restored = torch.zeros_like(restored)
        _become(self.affine, form.weight * scale / spread[:, None], restored - mean / spread)

    def reads(self, *forms: Affine) -> Mapping[str, Tensor]:
        """Its map, or the way into its bottleneck, reads A's channels as the first norm leaves them."""
        (form,) = forms
        into = "affine.down.weight" if isinstance(self.affine, Bottleneck) else "affine.weight"
        scale = self._divisors(form)
        return {into: form.cov_x / torch.outer(scale, scale)}

    def _divisors(self, form: Affine) -> Tensor:
        """What the first norm, begun at the form, divides each of A's channels by: (channels_a,)."""
        if self.enter is None:
            return torch.ones_like(form.mean_x)
        return (form.cov_x.diagonal() + self.enter.eps).sqrt()


class Bottleneck(nn.Module):
    """A linear map to `rank` channels, and one with bias from them, at each place."""

    def __init__(self, channels_a: int, channels_b: int, rank: int):
        super().__init__()
        self.down = nn.Linear(channels_a, rank, bias=False)
        self.up = nn.Linear(rank, channels_b)

    @property
    def weight(self) -> Tensor:
        """(channels_b, channels_a), of rank `rank` at the most."""
        return self.up.weight @ self.down.weight

    @property
    def bias(self) -> Tensor:
        """(channels_b,)"""
        return self.up.bias

    def forward(self, x: Tensor) -> Tensor:
        return mix(mix(x, self.down.weight, None), self.up.weight, self.up.bias)


def _become(layer: nn.Linear | nn.Conv2d | Bottleneck, weight: Tensor, bias: Tensor) -> None:
    """Gives a layer this slope (channels_b, channels_a) and bias; a bottleneck the nearest slope of its rank."""
    assert layer.bias is not None
    layer.bias.copy_(bias)
    if isinstance(layer, Bottleneck):
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        rank, root = len(layer.down.weight), values.sqrt()
        layer.up.weight.copy_((left * root)[:, :rank])
        layer.down.weight.copy_((root[:, None] * right)[:rank])
    elif isinstance(layer, nn.Conv2d):
        middle = layer.weight.shape[2] // 2
        layer.weight.zero_()[:, :, middle, middle] = weight.to(layer.weight)
    else:
        layer.weight.copy_(weight)


def _normed(norm: Norm | None, x: Tensor) -> Tensor:
    """The norm over channels; every token of every image counts as one."""
    if norm is None:
        return x
    return norm(x.flatten(0, 1)).view(x.shape) if x.ndim == 3 else norm(x)


def _apply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A slope at each place (2-d), or a kernel padded by half of it (4-d)."""
    if weight.ndim == 2:
        return mix(x, weight, bias)
    return functional.conv2d(x, weight, bias, padding=weight.shape[2] // 2)


def _scaled(out: Tensor, weight: Tensor, into: Tensor) -> Tensor:
    """A slope or kernel with its rows and columns scaled."""
    taps = (1,) * (weight.ndim - 2)
    return out.view(-1, 1, *taps) * weight * into.view(-1, *taps)


def _set(norm: Norm, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor) -> None:
    for name, value in {"running_mean": mean, "running_var": variance, "weight": weight, "bias": bias}.items():
        getattr(norm, name).copy_(value)


def _scale_and_shift(norm: Norm | None, ones: Tensor) -> tuple[Tensor, Tensor]:
    """What the norm does in eval mode, x * scale + shift; where there is none, `ones` and zeros."""
    if norm is None:
        return ones, torch.zeros_like(ones)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale
