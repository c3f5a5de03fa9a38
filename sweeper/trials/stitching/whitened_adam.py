"""Adam whose steps know what a stitcher reads.

Adam takes a step for each weight by itself. But A's channels move together: a few directions hold most of their
variance, and along the many others a stitcher would need far longer steps to get anywhere. The closed form has
measured their covariance C, so a weight W that reads them takes its steps as V in W = W0 + V M, where M = (C / mean
variance + `FLOOR`)^(-1/2): in axes in which the channels are unrelated and move alike. (To whiten what a layer reads:
LeCun et al. 1998; Desjardins et al. 2015.)

Measured on CIFAR-10 (resnet18k of width 8, 50,000 into 10,000 images, mean over ten cuts, batches of 128 at 1e-2),
held-out loss and test error after 100 steps: 1.020 and 37.6 % so, 1.031 and 38.0 % without; after 150 as low (1.005,
37.3 %) as without after 300 (1.005, 37.2 %).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

FLOOR = 1e-2  # of the mean variance: the longest steps are ten times as long as those of a direction of mean variance


class Adam:
    """torch's Adam for the weights of a module, some of them with the covariance of what they read."""

    def __init__(self, module: nn.Module, reads: Mapping[str, Tensor], lr: float):
        """reads: by the name of a weight (out, channels, ...) the covariance of its channels (channels, channels)."""
        self._module = module
        weights = dict(module.named_parameters())
        self._turned = [_Turned(weights[name], covariance) for name, covariance in reads.items()]
        plain = [weight for name, weight in weights.items() if name not in reads]
        self._adam = torch.optim.Adam([*(turned.taken for turned in self._turned), *plain], lr=lr)

    def zero_grad(self) -> None:
        self._module.zero_grad()

    @torch.no_grad()
    def step(self) -> None:
        for turned in self._turned:
            turned.read()
        self._adam.step()
        for turned in self._turned:
            turned.write()


class _Turned:
    """A weight and the steps taken for it in whitened axes."""

    def __init__(self, weight: nn.Parameter, covariance: Tensor):
        self._weight, self._start = weight, weight.detach().clone()
        self._axes = whitening(covariance).to(weight)
        self.taken = nn.Parameter(torch.zeros_like(weight))

    def read(self) -> None:
        assert self._weight.grad is not None
        self.taken.grad = _across(self._weight.grad, self._axes)

    def write(self) -> None:
        self._weight.copy_(self._start + _across(self.taken, self._axes))


def whitening(covariance: Tensor) -> Tensor:
    """(covariance / mean variance + `FLOOR`)^(-1/2): (channels, channels), symmetric, float64."""
    variance = covariance.diagonal().mean()
    scaled = covariance / variance if variance > 0 else covariance
    values, vectors = torch.linalg.eigh(scaled.double())
    return (vectors * (values.clamp_min(0) + FLOOR).rsqrt()) @ vectors.T


def _across(weight: Tensor, axes: Tensor) -> Tensor:
    """weight (out, channels, ...) times axes (channels, channels), each tap of a kernel by itself."""
    return (weight.transpose(1, -1) @ axes).transpose(1, -1)
