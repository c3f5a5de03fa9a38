"""The memory layout of a network's weights, and so of its activations: channels first or channels last.

On a CPU channels are last, which is faster (one core, AVX2). Forward pass and gradient of a folded ResNet-18 after its
first cut take 11.2 ms instead of 13.6 at width 8 on 128 images of 8 x 8, and 109 instead of 116 on 32 x 32; after its
fourth cut 197 instead of 234 at width 64 on 16 images. A training step takes 51 ms instead of 57 at width 16 on 100
images of 8 x 8, and 154 instead of 203 at width 8 on 128 images of 32 x 32.

On a GPU the faster layout depends on the precision, the kernels and the network's width, so it is measured, once in a
process for each kind of network. Another process may measure otherwise, and the two layouts round differently. So
where a pack must give the same bits each time, channels are first on a GPU, as is torch's default. `bench/device.py`
measures the cost of that.
"""

import copy
import time
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from sweeper.trials.process.numerics import Numerics, autocast_step, current_numerics

FIRST, LAST = torch.contiguous_format, torch.channels_last
IMAGES = 64  # images in a timed pass: at most a batch of either protocol, so that it fits into memory if a step does
TIMES = 3  # timed passes, after one that isn't timed; the fastest counts
MARGIN = 0.05  # the least saving of time, as a share, for which channels last is chosen

M = TypeVar("M", bound=nn.Module)
Kind = tuple[Numerics, bool, tuple[int, ...], tuple[tuple[int, ...], ...]]

_chosen: dict[Kind, torch.memory_format] = {}


def to_fast_layout(module: M, shape: tuple[int, ...]) -> M:
    """Convert a network's weights, in place, to the layout that is fast on their device, and return the network.

    Args:
        module: The network, on its device. One without 4-dimensional weights is left unchanged.
        shape: The shape of an image (channels, height, width).
    """
    if not any(weights.ndim == 4 for weights in module.parameters()):
        return module
    return module.to(memory_format=fast_layout(module, shape))


def fast_layout(module: nn.Module, shape: tuple[int, ...]) -> torch.memory_format:
    """Return the fast layout for a network on its device. The network and torch's random state are left unchanged."""
    device, numerics = next(module.parameters()).device, current_numerics()
    if device.type == "cpu":
        return LAST
    if numerics is None or numerics.deterministic:
        return FIRST
    weights = tuple(tuple(weights.shape) for weights in module.parameters())
    kind = (numerics, module.training, shape, weights)
    if kind not in _chosen:
        _chosen[kind] = faster_layout({option: _seconds(module, option, shape, device) for option in (FIRST, LAST)})
    return _chosen[kind]


def faster_layout(seconds: Mapping[torch.memory_format, float]) -> torch.memory_format:
    """Return the layout to use, from the seconds of both: channels last if it saves at least a share `MARGIN`."""
    return LAST if seconds[LAST] < (1 - MARGIN) * seconds[FIRST] else FIRST


def _seconds(module: nn.Module, option: torch.memory_format, shape: tuple[int, ...], device: torch.device) -> float:
    """Time the forward pass of a copy in a layout, with its gradients to images and trainable weights, in seconds."""
    trial = copy.deepcopy(module).to(memory_format=option)
    images = torch.ones((IMAGES, *shape), device=device).requires_grad_(True)
    inputs: list[Tensor] = [images, *(weights for weights in trial.parameters() if weights.requires_grad)]
    seconds = []
    with torch.random.fork_rng([device] if device.type == "cuda" else []):  # as dropout draws random numbers
        for _ in range(1 + TIMES):
            start = _clock(device)
            with autocast_step():
                out = trial(images)
            torch.autograd.grad(out.float().sum(), inputs, allow_unused=True)
            seconds.append(_clock(device) - start)
    return min(seconds[1:])


def _clock(device: torch.device) -> float:
    """Return the time in seconds, after a GPU has finished its queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
