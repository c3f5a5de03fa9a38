"""In which layout a network's weights lie, and with them the activations that they make: channels first or last.

On a CPU channels come last: forward and gradient of a folded ResNet-18 after its first cut take 11.2 ms against 13.6 at
width 8 on 128 images of 8 x 8, 109 against 116 on 32 x 32, and after its fourth 197 against 234 at width 64 on 16
images; a training step 51 ms against 57 at width 16 on 100 images of 8 x 8, 154 against 203 at width 8 on 128 images of
32 x 32 (one core, AVX2).

On a GPU the faster layout depends on its precision, its kernels and the network's width, so it is measured: once in a
process for a kind of network. But the clock may choose otherwise in the next process, and the other layout rounds
otherwise. Where the same pack is to give the same bits, they come first there, as torch has them. `bench/device.py`
says what that costs.
"""

import copy
import time
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from sweeper.trials.process.numerics import Numerics, autocast_step, current_numerics

FIRST, LAST = torch.contiguous_format, torch.channels_last
IMAGES = 64  # of a pass that is timed: no more than a batch of either protocol, so that what holds a step holds it
TIMES = 3  # passes that are timed, after one that isn't; the fastest counts
MARGIN = 0.05  # share of the time that channels last must save

M = TypeVar("M", bound=nn.Module)
Kind = tuple[Numerics, bool, tuple[int, ...], tuple[tuple[int, ...], ...]]

_chosen: dict[Kind, torch.memory_format] = {}


def to_fast_layout(module: M, shape: tuple[int, ...]) -> M:
    """A network's weights in the layout that is fast on their device, in place. `shape`: of an image."""
    if not any(weights.ndim == 4 for weights in module.parameters()):
        return module
    return module.to(memory_format=fast_layout(module, shape))


def fast_layout(module: nn.Module, shape: tuple[int, ...]) -> torch.memory_format:
    """The layout for a network on its device; its state and torch's random numbers stay as they are."""
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
    """The layout of two by their times: channels last where that saves more than the clock errs."""
    return LAST if seconds[LAST] < (1 - MARGIN) * seconds[FIRST] else FIRST


def _seconds(module: nn.Module, option: torch.memory_format, shape: tuple[int, ...], device: torch.device) -> float:
    """Of a forward pass and its gradients, of a copy: to the images, and to weights that train."""
    trial = copy.deepcopy(module).to(memory_format=option)
    images = torch.ones((IMAGES, *shape), device=device).requires_grad_(True)
    wanted: list[Tensor] = [images, *(weights for weights in trial.parameters() if weights.requires_grad)]
    found = []
    with torch.random.fork_rng([device] if device.type == "cuda" else []):  # dropout draws
        for _ in range(1 + TIMES):
            start = _clock(device)
            with autocast_step():
                out = trial(images)
            torch.autograd.grad(out.float().sum(), wanted, allow_unused=True)
            found.append(_clock(device) - start)
    return min(found[1:])


def _clock(device: torch.device) -> float:
    """Seconds, once a GPU has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
