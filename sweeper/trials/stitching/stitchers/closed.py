"""Stitchers that are solved instead of trained: least squares, Procrustes, a permutation."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.shapes import channels
from sweeper.trials.stitching.least_squares import Affine, best_rotation, matched_channels, mix


class Solved(nn.Module):
    """A fixed affine map of channels at each place. Until it is solved its weights are NaN."""

    weight: Tensor
    bias: Tensor

    def __init__(self, channels_a: int, channels_b: int, rule: Callable[[Affine], tuple[Tensor, Tensor]]):
        """Create an unsolved map.

        Args:
            channels_a: Channels of A's activation.
            channels_b: Channels of B's activation.
            rule: Returns weight (channels_b, channels_a) and bias (channels_b,) from the least-squares map.
        """
        super().__init__()
        self._rule = rule
        self.register_buffer("weight", torch.full((channels_b, channels_a), torch.nan))
        self.register_buffer("bias", torch.full((channels_b,), torch.nan))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map at each place: (images, *bottom_shape) to (images, *top_shape)."""
        return mix(x, self.weight, self.bias)

    @torch.no_grad()
    def start(self, *forms: Affine) -> None:
        """Solve the map from the moments of the one form."""
        (form,) = forms
        weight, bias = self._rule(form)
        self.weight.copy_(weight)
        self.bias.copy_(bias)


def affine(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> Solved:
    """Return the least-squares map between activations of the same places."""
    return Solved(channels(bottom_shape), channels(top_shape), lambda form: (form.weight, form.bias))


def orthogonal(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> Solved:
    """Return the rotation with scale and translation between activations of the same places."""

    def rule(form: Affine) -> tuple[Tensor, Tensor]:
        rotation = best_rotation(form)
        return rotation.weight, rotation.bias

    return Solved(channels(bottom_shape), channels(top_shape), rule)


def permutation(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> Solved:
    """Return the permutation of channels between activations of equal shape."""

    def rule(form: Affine) -> tuple[Tensor, Tensor]:
        order = matched_channels(form)
        return torch.eye(len(order))[order.cpu()], torch.zeros(len(order))

    return Solved(channels(bottom_shape), channels(bottom_shape), rule)
