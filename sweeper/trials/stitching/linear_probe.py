"""The exact minimum of a stitch that is a linear probe of A.

Where all layers of B after the cut are affine and the stitcher can be any affine map of channels, the logits are an
affine function of the stitcher's weights, so the cross-entropy is convex. Write the layers as
y -> W sum_p w_p y_p + b: a slope W (classes, channels_b) and weights w_p of the places, which sum to 1 (a mean over
places, or the choice of a class token). With a map M, c of channels the logits are W (M f + c) + b, where
f = sum_p w_p a_p are the *features* (channels_a) of A's activation. Multinomial logistic regression on the features is
solved by L-BFGS with a penalty on the squared slopes of standardised features; then M and c are set so that the layers
give its logits. Without a penalty a probe of few images would fit these images alone. So there are two *paths*: one
penalises the distance from slopes of 0, which suits a good A, the other the distance from the closed form, which suits
a good B. On each the penalty falls from `PENALTIES[0]` on, each solution being the start of the next, and the held-out
loss decides between all of them.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.spec.cards.card import Shape
from sweeper.trials.networks.activations import Feed
from sweeper.trials.stitching.least_squares import Affine
from sweeper.trials.stitching.spatial import read_view
from sweeper.trials.stitching.stitched_network import ClosedFormOfChannels, StitchedNetwork
from sweeper.trials.stitching.stitchers.hooks import StartsAtClosedForm

PENALTIES = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
ITERATIONS = 20  # of L-BFGS, for each penalty
TOLERANCE = 1e-3  # relative to the spread of what is compared; float32 gives about 1e-6
EXAMPLES = 8


class AffineLayers(NamedTuple):
    """Layers that are y -> slope sum_p place_weights_p y_p + bias."""

    slope: Tensor  # (classes, channels_b)
    bias: Tensor  # (classes,)
    place_weights: Tensor  # (places,), sum 1


class Position(NamedTuple):
    """A place on the paths of solutions: what has been solved, and where the next penalty starts."""

    path: int  # 0 or 1
    penalties: int  # the number of penalties solved on this path
    slope: Tensor  # (rank, channels_a)
    shift: Tensor  # (rank,)


class Solution(NamedTuple):
    """The stitcher's map for one penalty."""

    form: Affine
    train_loss: float  # nats, without the penalty
    iterations: int  # of L-BFGS, for this penalty
    position: Position


@dataclass(frozen=True)
class LinearProbe:
    """A stitch whose minimum can be solved: its closed form, and B's affine layers."""

    stitched: StitchedNetwork
    closed_form: ClosedFormOfChannels
    layers: AffineLayers

    @classmethod
    def of(cls, stitched: StitchedNetwork) -> "LinearProbe | None":
        """Return the probe that a stitched network is, or None if its layers or its stitcher are of another form."""
        closed_form = stitched.closed_form
        if not (stitched.affine_top and closed_form and _gives_any_map(stitched.stitcher, closed_form)):
            return None
        layers = affine_layers(stitched.top, closed_form.top_shape, closed_form.form.weight.device)
        return cls(stitched, closed_form, layers) if layers else None

    def features(self, feed: Feed) -> Tensor:
        """Return the features (images, channels_a) of a batch of A's activations, float32."""
        x = read_view(self.closed_form.part.bottom_view, feed[self.stitched.cut]).float()
        return _by_place(x) @ self.layers.place_weights.to(x)

    def paths(self, features: Tensor, labels: Tensor, start: Position | None = None) -> Iterator[Iterator[Solution]]:
        """Yield two paths of solutions, one for each of the `PENALTIES`: from slopes of 0, and from the closed form.

        Args:
            features: (images, channels_a), of the images that train the stitcher.
            labels: int64 (images,).
            start: Leaves out what has been solved at this position; None leaves out nothing.
        """
        problem = _Problem.of(features, labels, self.layers)
        slope, shift = problem.parameters(self.closed_form.form)
        zeros = Position(0, 0, torch.zeros_like(slope), torch.zeros_like(shift))
        for first in (zeros, Position(1, 0, slope, shift)):
            if start is None or start.path < first.path:
                yield self._path(problem, first.slope, first)
            elif start.path == first.path:
                yield self._path(problem, first.slope, start)

    def _path(self, problem: "_Problem", center: Tensor, start: Position) -> Iterator[Solution]:
        slope, shift = (x.to(center, copy=True).requires_grad_(True) for x in (start.slope, start.shift))
        for solved, penalty in enumerate(PENALTIES[start.penalties :], start.penalties + 1):
            loss, iterations = problem.minimise(slope, shift, center, penalty)
            position = Position(start.path, solved, slope.detach().clone(), shift.detach().clone())
            form = problem.map(self.closed_form.form, position.slope, position.shift)
            yield Solution(form, loss, iterations, position)


@dataclass(frozen=True)
class _Problem:
    """Logistic regression whose logits are basis (slope row + shift) + bias, for standardised features as rows.

    basis diag(values) directions is the singular value decomposition of the layers' slope, without values of 0.
    """

    rows: Tensor  # (images, channels_a)
    labels: Tensor  # int64 (images,)
    mean: Tensor  # of each feature: (channels_a,)
    scale: Tensor  # its standard deviation, 1 if it is constant: (channels_a,)
    basis: Tensor  # (classes, rank)
    values: Tensor  # (rank,)
    directions: Tensor  # (rank, channels_b)
    bias: Tensor  # (classes,)

    @classmethod
    def of(cls, features: Tensor, labels: Tensor, layers: AffineLayers) -> "_Problem":
        spread, mean = torch.std_mean(features, 0, correction=0)
        scale = torch.where(spread > 0, spread, torch.ones_like(spread))
        basis, values, directions = torch.linalg.svd(layers.slope.to(features), full_matrices=False)
        rank = int((values > TOLERANCE * values[0]).sum())
        factors = basis[:, :rank], values[:rank], directions[:rank]
        return cls((features - mean) / scale, labels, mean, scale, *factors, layers.bias.to(features))

    def parameters(self, form: Affine) -> tuple[Tensor, Tensor]:
        """Return the slope (rank, channels_a) and the shift (rank,) of a map of channels."""
        read = self._read
        raw_slope = read @ form.weight.to(read)
        return raw_slope * self.scale, read @ form.bias.to(read) + raw_slope @ self.mean

    def map(self, form: Affine, slope: Tensor, shift: Tensor) -> Affine:
        """Return the map of channels nearest to `form` that has a slope and a shift."""
        old_slope, old_shift = self.parameters(form)
        inverse = self.directions.T / self.values  # (channels_b, rank)
        raw_change = (slope - old_slope) / self.scale
        bias_change = inverse @ (shift - old_shift - raw_change @ self.mean)
        weight, bias = form.weight, form.bias
        return replace(form, weight=weight + (inverse @ raw_change).to(weight), bias=bias + bias_change.to(bias))

    def minimise(self, slope: Tensor, shift: Tensor, center: Tensor, penalty: float) -> tuple[float, int]:
        """Minimise the cross-entropy plus penalty |basis (slope - center)|^2 over `slope` and `shift`, in place.

        Returns:
            The cross-entropy in nats, and the number of iterations.
        """
        optimizer = torch.optim.LBFGS([slope, shift], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

        def objective() -> Tensor:
            optimizer.zero_grad()
            value = self._loss(slope, shift) + penalty * (self.basis @ (slope - center)).square().sum()
            value.backward()
            return value

        with torch.enable_grad():
            optimizer.step(objective)
        with torch.no_grad():
            return float(self._loss(slope, shift)), int(optimizer.state[slope]["n_iter"])

    def _loss(self, slope: Tensor, shift: Tensor) -> Tensor:
        logits = (self.rows @ slope.T + shift) @ self.basis.T + self.bias
        return functional.cross_entropy(logits, self.labels)

    @property
    def _read(self) -> Tensor:
        return self.values[:, None] * self.directions


def affine_layers(top: nn.Module, shape: Shape, device: torch.device) -> AffineLayers | None:
    """Return the slope, bias and place weights of layers; None if places differ in more than a weight.

    Args:
        top: Layers that are affine, up to a constant of each image (a last `log_softmax` changes no cross-entropy).
        shape: The shape of their input.
        device: Where the layers are.
    """
    with torch.enable_grad():
        start = torch.zeros(1, *shape, device=device, requires_grad=True)
        logits = top(start * 1.0)[0].float()  # a copy, since layers may change their input in place
        rows = [torch.autograd.grad(logit, start, retain_graph=True)[0][0] for logit in logits]
    slopes = _by_place(torch.stack(rows).float())  # (classes, channels_b, places)
    left, values, right = torch.linalg.svd(slopes.flatten(0, 1), full_matrices=False)
    total = float(right[0].sum())
    if float(values[1:].sum()) > TOLERANCE * float(values[0]) or abs(total) < TOLERANCE:
        return None
    slope = (left[:, 0] * values[0] * total).unflatten(0, slopes.shape[:2])
    return AffineLayers(slope, logits.detach(), right[0] / total)


def _gives_any_map(stitcher: nn.Module, closed_form: ClosedFormOfChannels) -> bool:
    """Return True if a stitcher can be set to any affine map of channels, not only to one of a lower rank."""
    trial, form = copy.deepcopy(stitcher).eval(), closed_form.form
    if not isinstance(trial, StartsAtClosedForm):
        return False
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(form.weight.shape, generator=draw, dtype=torch.float64).to(form.weight)
    other = replace(form, weight=form.weight + form.weight.abs().max() * noise)
    x = torch.randn(EXAMPLES, *closed_form.bottom_shape, generator=draw).to(form.weight.device)
    trial.start(other)
    with torch.no_grad():
        expected, actual = other(read_view(closed_form.part.bottom_view, x)), trial(x)
    spread = float(expected.std())
    return actual.shape == expected.shape and float((actual - expected).abs().max()) <= TOLERANCE * spread


def _by_place(x: Tensor) -> Tensor:
    """Return maps, tokens or vectors as (images, channels, places)."""
    if x.ndim == 4:
        return x.flatten(2)
    return x.transpose(1, 2) if x.ndim == 3 else x[:, :, None]
