"""The layers that trained stitchers share: in eval mode affine maps of channels, which can start at a closed form."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.trials.stitching.least_squares import Affine, mix

Norm = nn.BatchNorm1d | nn.BatchNorm2d


class Linear(nn.Linear):
    """A linear map with bias."""

    @torch.no_grad()
    def start(self, *forms: Affine) -> None:
        """Set weight and bias to those of the one form."""
        (form,) = forms
        self.weight.copy_(form.weight)
        assert self.bias is not None
        self.bias.copy_(form.bias)

    def reads(self, *forms: Affine) -> Mapping[str, Tensor]:
        """Return the covariance that the weight reads: that of A's channels."""
        (form,) = forms
        return {"weight": form.cov_x}


class BetweenNorms(nn.Module):
    """Batch norm, a convolution or linear map with bias, batch norm; either norm may be missing (None)."""

    def __init__(self, norm_in: Norm | None, affine: "nn.Linear | nn.Conv2d | Bottleneck", norm_out: Norm | None):
        super().__init__()
        self.norm_in, self.affine, self.norm_out = norm_in, affine, norm_out

    def forward(self, x: Tensor) -> Tensor:
        """Map (images, channels_a, height, width), (images, tokens, channels_a) or (images, channels_a) to channels_b.

        In eval mode the three layers are one affine map and are computed (and differentiated) as one: a single pass
        over the activations instead of three.
        """
        if not self.training:
            return self._composed(x)
        return _normed(self.norm_out, self.affine(_normed(self.norm_in, x)))

    def _composed(self, x: Tensor) -> Tensor:
        """Apply the three layers as one map, with the norms' running averages.

        The first norm's shift is a constant, so the map turns it into a bias. For a kernel larger than 1 this bias
        differs at the border, because the padding there is 0 after the norm.
        """
        weight, bias = self.affine.weight, self.affine.bias
        assert bias is not None
        if self.norm_in is None and self.norm_out is None:
            return _apply(x, weight, bias)
        scale_in, shift_in = _scale_and_shift(self.norm_in, x.new_ones(weight.shape[1]))
        scale_out, shift_out = _scale_and_shift(self.norm_out, x.new_ones(len(weight)))
        composed_weight = _scaled(scale_out, weight, scale_in)
        if weight.ndim == 2 or weight.shape[2] == 1:
            return _apply(x, composed_weight, scale_out * (weight.flatten(1) @ shift_in + bias) + shift_out)
        if self.norm_in is None:
            return _apply(x, composed_weight, scale_out * bias + shift_out)
        mapped_shift = _apply(shift_in[None, :, None, None].expand(1, -1, *x.shape[2:]), weight, bias)
        bias_by_place = scale_out[:, None, None] * mapped_shift + shift_out[:, None, None]
        return _apply(x, composed_weight, None) + bias_by_place

    @torch.no_grad()
    def start(self, *forms: Affine) -> None:
        """Set the layers so that in eval mode they are the one form.

        The first norm scales each channel of A to unit variance, the map has the slope for B's channels scaled to unit
        variance, and the last norm restores scale and mean. So a step of the map's weights is relative to the spread of
        B's own channels, also if the form explains little of it. A kernel has the slope at its centre. The running
        averages of the first norm are those of the data that the form was solved on. A constant channel of B keeps a
        slope of 0.
        """
        (form,) = forms
        mean, restored = form.weight @ form.mean_x, form.weight @ form.mean_x + form.bias  # (channels_b,)
        scale, spread = self._divisors(form), torch.ones_like(form.bias)
        if self.norm_in is not None:
            _set_norm(self.norm_in, form.mean_x, form.cov_x.diagonal(), torch.ones_like(scale), torch.zeros_like(scale))
            mean = torch.zeros_like(mean)
        if self.norm_out is not None:
            spread = form.var_y.clamp_min(0).sqrt()  # (channels_b,)
            spread = torch.where(spread > 0, spread, torch.ones_like(spread))
            ones = torch.ones_like(spread)
            _set_norm(self.norm_out, torch.zeros_like(ones), ones, spread * (1 + self.norm_out.eps) ** 0.5, restored)
            restored = torch.zeros_like(restored)
        _set_affine(self.affine, form.weight * scale / spread[:, None], restored - mean / spread)

    def reads(self, *forms: Affine) -> Mapping[str, Tensor]:
        """Return the covariance that the map reads: that of A's channels after the first norm."""
        (form,) = forms
        weight_name = "affine.down.weight" if isinstance(self.affine, Bottleneck) else "affine.weight"
        scale = self._divisors(form)
        return {weight_name: form.cov_x / torch.outer(scale, scale)}

    def _divisors(self, form: Affine) -> Tensor:
        """Return the divisor of each of A's channels in the first norm, set to the form: (channels_a,)."""
        if self.norm_in is None:
            return torch.ones_like(form.mean_x)
        return (form.cov_x.diagonal() + self.norm_in.eps).sqrt()


class Bottleneck(nn.Module):
    """A linear map to `rank` channels at each place, and a second one with bias from them."""

    def __init__(self, channels_a: int, channels_b: int, rank: int):
        super().__init__()
        self.down = nn.Linear(channels_a, rank, bias=False)
        self.up = nn.Linear(rank, channels_b)

    @property
    def weight(self) -> Tensor:
        """The product of the two maps, of at most `rank`: (channels_b, channels_a)."""
        return self.up.weight @ self.down.weight

    @property
    def bias(self) -> Tensor:
        """The bias of the second map: (channels_b,)."""
        return self.up.bias

    def forward(self, x: Tensor) -> Tensor:
        """Apply both maps at each place: `channels_a` to `channels_b` channels, through `rank`."""
        return mix(mix(x, self.down.weight, None), self.up.weight, self.up.bias)


def _set_affine(layer: nn.Linear | nn.Conv2d | Bottleneck, weight: Tensor, bias: Tensor) -> None:
    """Give a layer a slope (channels_b, channels_a) and a bias; a bottleneck gets the nearest slope of its rank."""
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
    """Apply a norm over channels; each token of each image counts as one example."""
    if norm is None:
        return x
    return norm(x.flatten(0, 1)).view(x.shape) if x.ndim == 3 else norm(x)


def _apply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply a slope at each place (2-d weight), or a kernel padded by half its size (4-d weight)."""
    if weight.ndim == 2:
        return mix(x, weight, bias)
    return functional.conv2d(x, weight, bias, padding=weight.shape[2] // 2)


def _scaled(scale_out: Tensor, weight: Tensor, scale_in: Tensor) -> Tensor:
    """Return a slope or kernel with its rows (channels_b) and columns (channels_a) scaled."""
    kernel_sides = (1,) * (weight.ndim - 2)
    return scale_out.view(-1, 1, *kernel_sides) * weight * scale_in.view(-1, *kernel_sides)


def _set_norm(norm: Norm, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor) -> None:
    for name, value in {"running_mean": mean, "running_var": variance, "weight": weight, "bias": bias}.items():
        getattr(norm, name).copy_(value)


def _scale_and_shift(norm: Norm | None, ones: Tensor) -> tuple[Tensor, Tensor]:
    """Return scale and shift of a norm in eval mode, x * scale + shift; without a norm, `ones` and zeros."""
    if norm is None:
        return ones, torch.zeros_like(ones)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale
