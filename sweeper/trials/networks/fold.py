"""Faster frozen networks: batch norms, which scale and shift in eval mode, are folded into convolutions."""

import copy
from collections import Counter
from collections.abc import Container
from itertools import pairwise
from typing import TypeGuard

import torch
from torch import Tensor, fx, nn


class ScaleAndShift(nn.Module):
    """The map x * scale + shift for each channel of (images, channels, height, width) or (images, channels)."""

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor):
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        """Return x * scale + shift, of the shape of x."""
        shape = (-1,) + (1,) * (x.dim() - 2)
        return torch.addcmul(self.shift.view(shape), x, self.scale.view(shape))


def freeze(module: nn.Module) -> nn.Module:
    """Put a module in eval mode and switch off the gradients of its weights, in place; return it."""
    return module.eval().requires_grad_(False)


@torch.no_grad()
def fold(module: nn.Module) -> nn.Module:
    """Return a faster frozen copy, which computes the same as `module` in eval mode up to rounding (1e-5 relative).

    A batch norm is folded into the convolution directly before it in an `nn.Sequential` or a traced graph, if nothing
    else uses the convolution's output or weights; any other batch norm becomes a scale and a shift. Nothing is folded
    across stages, so the copy has the same cuts as the module, with equal tensors. The copy passes gradients to its
    input, and computes none for weights.
    """
    folded = copy.deepcopy(module)
    places = Counter(id(weights) for _, weights in folded.named_parameters(remove_duplicate=False))
    shared = {weights for weights, count in places.items() if count > 1}
    for parent in list(folded.modules()):
        if isinstance(parent, nn.Sequential):
            _fold_convolutions(parent, shared)
        elif isinstance(parent, fx.GraphModule):
            _fold_graph(parent, shared)
        for name, child in parent.named_children():
            if _is_norm(child):
                setattr(parent, name, ScaleAndShift(*_scale_and_shift(child)))
    return freeze(folded)


def _fold_convolutions(sequence: nn.Sequential, shared: Container[int]) -> None:
    layers = list(sequence.named_children())
    for (_, conv), (name, norm) in pairwise(layers):
        if _absorb(conv, norm, shared):
            setattr(sequence, name, nn.Identity())


def _fold_graph(module: fx.GraphModule, shared: Container[int]) -> None:
    """Fold a norm into a convolution where the graph calls each once and only the norm reads the convolution."""
    calls = [node for node in module.graph.nodes if node.op == "call_module"]
    times = Counter(node.target for node in calls)
    for node in calls:
        before = node.args[0] if node.args else None
        if isinstance(before, fx.Node) and before.op == "call_module" and list(before.users) == [node]:
            conv, norm = module.get_submodule(str(before.target)), module.get_submodule(str(node.target))
            if times[before.target] == times[node.target] == 1 and _absorb(conv, norm, shared):
                module.set_submodule(str(node.target), nn.Identity())


def _absorb(conv: nn.Module, norm: nn.Module, shared: Container[int]) -> bool:
    """Fold the norm after a convolution into its weights, in place, if possible; return whether it was.

    Args:
        conv: The module before the norm.
        norm: The module after the convolution.
        shared: The ids of weights that the network uses in several places.
    """
    if type(conv) is not nn.Conv2d or id(conv.weight) in shared or not _is_norm(norm):
        return False
    # Not torch.nn.utils.fusion: it rounds the bias in another order, which changes the last bits of results.
    scale, shift = _scale_and_shift(norm)
    conv.weight.mul_(scale.view(-1, 1, 1, 1))
    bias = shift if conv.bias is None else conv.bias * scale + shift
    conv.bias = nn.Parameter(bias)
    return True


def _is_norm(module: nn.Module) -> TypeGuard[nn.BatchNorm1d | nn.BatchNorm2d]:
    """Return whether a module is exactly a batch norm, with running averages.

    Subclasses don't count: those of timm contain an activation function.
    """
    return type(module) in (nn.BatchNorm1d, nn.BatchNorm2d) and module.running_mean is not None


def _scale_and_shift(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return scale = weight / sqrt(variance + eps) and shift = bias - mean * scale, from the running averages."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.affine:
        scale = norm.weight * scale
    shift = -norm.running_mean * scale
    return scale, norm.bias + shift if norm.affine else shift
