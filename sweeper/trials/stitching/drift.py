"""How like B's own a stitched activation is: a stitch may serve B's top with activations that B never has.

Sums alone are kept, batch by batch: no activation outlives its batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Own:
    """What B itself makes of a batch of images: its tensors at some cuts, the classes that it predicts, (images,)."""

    at: Mapping[str, Tensor]
    predictions: Tensor


class Spread:
    """The sum over images and places of |y - mean|^2, with the mean of each channel, batch after batch."""

    def __init__(self) -> None:
        self._count = 0
        self._centre: Tensor | None = None
        self._sum: Tensor | float = 0.0
        self._squares: Tensor | float = 0.0

    def add(self, y: Tensor) -> None:
        """Takes in a map, tokens or vectors. Deviations are counted from the first batch's mean, so that a mean far
        from 0 drowns nothing in single precision."""
        channel = 1 if y.ndim == 4 else y.ndim - 1
        others = [axis for axis in range(y.ndim) if axis != channel]
        if self._centre is None:
            self._centre = y.mean(others, keepdim=True)
        y = y - self._centre
        self._count += y.numel() // y.shape[channel]
        self._sum = self._sum + y.sum(others).double()
        self._squares = self._squares + y.square().sum(others).double()

    @property
    def total(self) -> float:
        return float((torch.as_tensor(self._squares) - torch.as_tensor(self._sum).square() / self._count).sum())


class Likeness:
    """One stitch against B: how far its activations are from B's own, and how often both say the same."""

    def __init__(self) -> None:
        self._off: Tensor | float = 0.0
        self._same: Tensor | float = 0.0
        self._count = 0

    def see(self, stitched: Tensor, y: Tensor) -> None:
        """Takes in the stitched activation of a batch and B's own."""
        self._off = self._off + (stitched - y).square().sum().double()

    def hear(self, logits: Tensor, predictions: Tensor) -> None:
        """Takes in the stitched logits of a batch, and what B itself predicts."""
        self._same = self._same + (logits.argmax(1) == predictions).sum()
        self._count += len(predictions)

    def drift(self, spread: Spread) -> float | None:
        """|stitched - y|^2 / |y - mean y|^2: 1 - R2; None where B's activation never moves."""
        return float(self._off) / spread.total if spread.total > 0 else None

    @property
    def agreement(self) -> float | None:
        """Percent of the images; None where none were heard."""
        return 100 * float(self._same) / self._count if self._count else None
