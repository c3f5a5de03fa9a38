"""Numerical checks, on random activations, of two facts that cards state about the layers of a network.

A network's card says after which cuts all layers are affine, and which cuts differ only in places. Both checks test an
identity that holds for any such module and fails for other layers of networks (activations, norms, maxima).
"""

import torch
from torch import Tensor, nn

from sweeper.spec.cards.card import Shape
from sweeper.spec.cards.shapes import channels

EXAMPLES = 8
TOLERANCE = 1e-3  # of the largest difference between the outputs of two examples; float32 gives about 1e-6
SCALES = (1.0, 30.0)  # standard deviations of the random activations
WEIGHTS = (0.3, -2.0)  # a of the identity below; outside [0, 1], it extrapolates


@torch.no_grad()
def is_affine(module: nn.Module, shape: Shape, logits: bool = False) -> bool:
    """Return whether f(a x + (1 - a) y) = a f(x) + (1 - a) f(y), the identity of affine maps.

    Args:
        module: The layers f, in eval mode.
        shape: The shape of an activation.
        logits: True compares outputs up to a constant of each example, which changes neither the classes nor the
            cross-entropy. So `log_softmax` of affine logits counts as affine.
    """
    generator = torch.Generator().manual_seed(0)
    for scale in SCALES:
        x, y = (scale * torch.randn(EXAMPLES, *shape, generator=generator) for _ in range(2))
        f_x, f_y = _output(module, x, logits), _output(module, y, logits)
        for a in WEIGHTS:
            if not _equal(_output(module, a * x + (1 - a) * y, logits), a * f_x + (1 - a) * f_y):
                return False
    return True


@torch.no_grad()
def keeps_channels(module: nn.Module, shape: Shape) -> bool:
    """Return whether f(M x) = M f(x) for affine maps M of the channels that are the same at each place.

    It holds if f averages, selects or moves places, so a stitcher of this kind can stand before or after f.

    Args:
        module: The layers f, in eval mode.
        shape: The shape of an activation.
    """
    generator = torch.Generator().manual_seed(0)
    count = channels(shape)
    x = torch.randn(EXAMPLES, *shape, generator=generator)
    weight = torch.randn(count, count, generator=generator)
    bias = torch.randn(count, generator=generator)
    f_x = module(x.clone())
    if f_x.ndim not in (2, 3, 4) or channels(tuple(f_x.shape[1:])) != count:
        return False
    # Also the negative, as a maximum keeps its place under a positive map.
    return all(_equal(module(_map_channels(x, w, bias)), _map_channels(f_x, w, bias)) for w in (weight, -weight))


def _map_channels(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply an affine map of the channels at each place of maps, tokens or vectors."""
    return (x.movedim(1, -1) @ weight.T + bias).movedim(-1, 1) if x.ndim == 4 else x @ weight.T + bias


def _output(module: nn.Module, x: Tensor, logits: bool) -> Tensor:
    output = module(x.clone())  # a layer may change its input in place
    return output - output.mean(-1, keepdim=True) if logits else output


def _equal(left: Tensor, right: Tensor) -> bool:
    spread = float((right - right[:1]).abs().max())
    return float((left - right).abs().max()) <= TOLERANCE * spread  # False for NaN
