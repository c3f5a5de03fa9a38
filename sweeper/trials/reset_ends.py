"""The authors' "random" network: a trained one whose first and last layers are drawn again.

Bansal et al. 2021 call this the random control; everything between the ends, norms and their averages too, is as
training left it. An independent initialisation is another control, and the one that `steps: 0` gives.
"""

import copy

import torch
from torch import nn

from sweeper.trials.archs.staged import draw


def reset_ends(network: nn.Module, seed: int) -> nn.Module:
    """A copy of `network` whose first and last convolution or linear layer (weights and biases) is drawn again as at
    the start of training; all else is kept, bit for bit.

    `seed` alone decides what is drawn, on whatever device; torch's global generator is left as it was. Raises
    ValueError for a network of fewer than two such layers.
    """
    ends = copy.deepcopy(network)
    layers = [module for module in ends.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    if len(layers) < 2:
        raise ValueError(f"a network of {len(layers)} layers has no two ends")
    first, last = layers[0], layers[-1]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        _draw(first, relu=True)
        _draw(last, relu=False)
    return ends


@torch.no_grad()
def _draw(layer: nn.Conv2d | nn.Linear, relu: bool) -> None:
    """On the CPU, and in the default layout, so that neither moves what is drawn."""
    fresh = copy.deepcopy(layer).cpu().to(memory_format=torch.contiguous_format)
    draw(fresh, relu)
    for new, old in zip(fresh.parameters(), layer.parameters(), strict=True):
        old.copy_(new)
