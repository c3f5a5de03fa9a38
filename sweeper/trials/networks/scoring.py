"""Scores of a network on some images: loss, error, and which predictions are right."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sweeper.trials.networks.drift import SquaredDeviations, TopComparison


@dataclass(frozen=True, slots=True)
class Score:
    """The loss and error of a network on some images; for a stitched network also its comparison with the top.

    `drift` and `agreement` are defined in `StitchRow`.
    """

    loss: float  # mean cross-entropy, in nats
    error: float  # percent
    correct: bytes  # one bit per image, 1 if the prediction is right, as `pack_bits` packs them
    drift: float | None = None
    agreement: float | None = None


class ScoreCounter:
    """The losses and correct predictions of one network, accumulated batch by batch."""

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._hits: list[Tensor] = []
        self._outputs = 0
        self._wrong_outputs: Tensor | int = 0  # those that are not finite numbers
        self.comparison = TopComparison()

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits (images, classes), labels int64 (images,)."""
        self._losses.append(functional.cross_entropy(logits, labels, reduction="none"))
        self._hits.append(logits.argmax(1) == labels)
        self._outputs += logits.numel()
        self._wrong_outputs = self._wrong_outputs + (~torch.isfinite(logits)).sum()

    def score(self, deviations: SquaredDeviations | None = None) -> Score:
        """Return the score over all batches added.

        Args:
            deviations: Those of B's activation at the cut; None leaves `drift` undefined.

        Raises:
            FloatingPointError: If an output or the loss is not a finite number.
        """
        if wrong := int(self._wrong_outputs):
            raise FloatingPointError(f"{wrong:,} of {self._outputs:,} outputs are not finite numbers (NaN or infinite)")
        losses, hits = torch.cat(self._losses).double(), torch.cat(self._hits).cpu()
        correct, loss = int(hits.sum()), float(losses.mean())
        if not math.isfinite(loss):
            wrong = int((~torch.isfinite(losses)).sum())
            raise FloatingPointError(f"the loss is {loss}: that of {wrong:,} of {len(losses):,} images is not finite")
        score = Score(loss, 100 * (len(hits) - correct) / len(hits), pack_bits(hits))
        drift = self.comparison.drift(deviations) if deviations else None
        return replace(score, drift=drift, agreement=self.comparison.agreement)


def pack_bits(hits: Tensor) -> bytes:
    """Pack a bool tensor (images,) into one bit per image, big-endian, the last byte padded with zeros."""
    return np.packbits(hits.numpy()).tobytes()
