"""The comparison of a stitched network with its top model B: a good stitch may use activations that B never has.

Only sums are stored, batch by batch; no activation is kept after its batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class TopReference:
    """A top model's activations at some cuts and its predicted classes, for one batch of images."""

    at: Mapping[str, Tensor]  # by cut, (images, *shape)
    predictions: Tensor  # int64 (images,)


class SquaredDeviations:
    """The sum over images and places of |y - mean|^2, where mean is each channel's, accumulated batch by batch."""

    def __init__(self) -> None:
        self._count = 0
        self._centre: Tensor | None = None
        self._sum: Tensor | float = 0.0
        self._squares: Tensor | float = 0.0

    def add(self, y: Tensor) -> None:
        """Add a batch of maps, tokens or vectors.

        Deviations are taken from the mean of the first batch: with a mean far from 0, sums of squares in single
        precision would lose the small differences.
        """
        channel = 1 if y.ndim == 4 else y.ndim - 1
        reduced_axes = [axis for axis in range(y.ndim) if axis != channel]
        if self._centre is None:
            self._centre = y.mean(reduced_axes, keepdim=True)
        y = y - self._centre
        self._count += y.numel() // y.shape[channel]
        self._sum = self._sum + y.sum(reduced_axes).double()
        self._squares = self._squares + y.square().sum(reduced_axes).double()

    @property
    def total(self) -> float:
        """The sum of squared deviations over all batches added."""
        return float((torch.as_tensor(self._squares) - torch.as_tensor(self._sum).square() / self._count).sum())


class TopComparison:
    """The distance of a stitch's activations from B's own, and the share of equal predictions, accumulated by batch."""

    def __init__(self) -> None:
        self._squared_distance: Tensor | float = 0.0
        self._equal: Tensor | float = 0.0
        self._count = 0

    def add_activations(self, stitched: Tensor, y: Tensor) -> None:
        """Add the stitcher's output for a batch and B's own activation, of equal shape."""
        self._squared_distance = self._squared_distance + (stitched - y).square().sum().double()

    def add_predictions(self, logits: Tensor, predictions: Tensor) -> None:
        """Add the stitched network's logits (images, classes) for a batch and B's predicted classes (images,)."""
        self._equal = self._equal + (logits.argmax(1) == predictions).sum()
        self._count += len(predictions)

    def drift(self, deviations: SquaredDeviations) -> float | None:
        """Return |stitched - y|^2 / |y - mean y|^2, that is 1 - R2; None if B's activation y is constant."""
        return float(self._squared_distance) / deviations.total if deviations.total > 0 else None

    @property
    def agreement(self) -> float | None:
        """The percentage of images with equal predictions; None if no predictions were added."""
        return 100 * float(self._equal) / self._count if self._count else None
