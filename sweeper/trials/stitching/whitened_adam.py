"""Adam in whitened coordinates of a stitcher's input.

Adam scales the step of each weight separately. But A's channels are correlated: a few directions hold most of their
variance, and along the others a stitcher would need far longer steps. Their covariance C is known from the closed
form. A weight W that reads these channels is therefore written W = W0 + V M with
M = s (C / v + `FLOOR`)^(-1/2), and Adam updates V instead of W. Here v is the mean variance of the channels, and s the
spread of B's channels over that of A's, so steps are relative to both. The spread of B's channels is that of W0's
outputs over the root of the share of B's variance that they explain. In the coordinates of
V the channels are uncorrelated and have equal variance. (Whitening the input of a layer: LeCun et al. 1998; Desjardins
et al. 2015.)

Adam moves each weight by about the learning rate, whatever the gradient. An output that sums over n channels then moves
by the rate times the root of n, if the channels are uncorrelated. `relative_rate` divides by this root, so that one
setting suits all widths and cuts (compare Yang et al. 2021, muP, in which the rates of Adam fall with the width).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sweeper.trials.process.saving import ComputationState
from sweeper.trials.process.state_tensors import optimizer_tensors, restore_optimizer, restore_tensors

FLOOR = 3e-2  # share of the mean variance; steps are at most six times those along a direction of mean variance

LEAST_EXPLAINED = 1e-3  # a smaller share counts as this one


class Adam:
    """torch's Adam for a module's weights, some of which are updated in whitened coordinates of their input."""

    def __init__(self, module: nn.Module, reads: Mapping[str, Tensor], explained: float = 1.0):
        """Create the optimizer.

        Args:
            module: The module whose weights train.
            reads: For each weight (out, channels, ...) to be updated in whitened coordinates, by its name: the
                covariance (channels, channels) of its input channels.
            explained: The share of the variance of B's activation that the map explains at its start.
        """
        self._module = module
        weights = dict(module.named_parameters())
        self._whitened = [
            _WhitenedParameter(weights[name], covariance, explained) for name, covariance in reads.items()
        ]
        plain = [weight for name, weight in weights.items() if name not in reads]
        self._adam = torch.optim.Adam([*(parameter.offset for parameter in self._whitened), *plain])

    def zero_grad(self) -> None:
        """Clear the gradients of the module's weights."""
        self._module.zero_grad()

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Take one step of Adam at a learning rate, with the gradients of the module's weights."""
        for parameter in self._whitened:
            parameter.read_gradient()
        self._adam.param_groups[0]["lr"] = lr
        self._adam.step()
        for parameter in self._whitened:
            parameter.write_weight()

    def state(self) -> ComputationState:
        """Return the state of the optimizer, whose steps depend on the weights at its start."""
        tensors = {
            f"{quantity}.{number}": x
            for number, parameter in enumerate(self._whitened)
            for quantity, x in parameter.tensors.items()
        }
        return ComputationState(tensors | optimizer_tensors("adam", self._adam), {})

    def restore(self, state: ComputationState) -> None:
        """Go on from the state of an optimizer of the same module.

        Raises:
            StateError: It doesn't fit.
        """
        for number, parameter in enumerate(self._whitened):
            targets = {f"{quantity}.{number}": x for quantity, x in parameter.tensors.items()}
            restore_tensors(targets, state.tensors)()
        restore_optimizer("adam", self._adam, state.tensors)()


class _WhitenedParameter:
    """A weight W = W0 + V M: `offset` is V, in whitened coordinates; M is `_axes`."""

    def __init__(self, weight: nn.Parameter, covariance: Tensor, explained: float):
        self._weight, self._start = weight, weight.detach().clone()
        spread = _relative_spread(self._start, covariance) / max(explained, LEAST_EXPLAINED) ** 0.5
        self._axes = (spread * whitening(covariance)).to(weight)
        self.offset = nn.Parameter(torch.zeros_like(weight))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """W0, V and M by name, the tensors themselves."""
        return {"start": self._start, "offset": self.offset, "axes": self._axes}

    def read_gradient(self) -> None:
        """Set the offset's gradient from the weight's: dL/dV = dL/dW M, since M is symmetric."""
        assert self._weight.grad is not None
        self.offset.grad = _times_axes(self._weight.grad, self._axes)

    def write_weight(self) -> None:
        """Set the weight to W0 + V M."""
        self._weight.copy_(self._start + _times_axes(self.offset, self._axes))


def relative_rate(module: nn.Module) -> float:
    """Return the factor of a module's learning rate: one over the root of the most inputs that one output sums over."""
    inputs = [weight[0].numel() for weight in module.parameters() if weight.ndim > 1]
    return max(inputs, default=1) ** -0.5


def whitening(covariance: Tensor) -> Tensor:
    """Return (covariance / mean variance + `FLOOR`)^(-1/2): (channels, channels), symmetric, float64."""
    variance = covariance.diagonal().mean()
    scaled = covariance / variance if variance > 0 else covariance
    values, vectors = torch.linalg.eigh(scaled.double())
    return (vectors * (values.clamp_min(0) + FLOOR).rsqrt()) @ vectors.T


def _relative_spread(weight: Tensor, covariance: Tensor) -> float:
    """Return the r.m.s. standard deviation of a weight's outputs over that of its inputs; 1 if either is 0."""
    slope = weight.flatten(2).sum(-1) if weight.ndim > 2 else weight  # a start has its slope at the kernel's centre
    slope = slope.to(covariance)
    output, channel = ((slope @ covariance) * slope).sum(1).mean(), covariance.diagonal().mean()
    return float((output / channel).sqrt()) if output > 0 and channel > 0 else 1.0


def _times_axes(weight: Tensor, axes: Tensor) -> Tensor:
    """Multiply a weight (out, channels, ...) by axes (channels, channels), for each kernel position separately."""
    return (weight.transpose(1, -1) @ axes).transpose(1, -1)
