"""Scores of a network on some images: loss, error, and which predictions are right."""

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
        self.comparison = TopComparison()

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits (images, classes), labels int64 (images,)."""
        self._losses.append(functional.cross_entropy(logits, labels, reduction="none"))
        self._hits.append(logits.argmax(1) == labels)

    def score(self, deviations: SquaredDeviations | None = None) -> Score:
        """Return the score over all batches added.

        Args:
            deviations: Those of B's activation at the cut; None leaves `drift` undefined.
        """
        losses, hits = torch.cat(self._losses).double(), torch.cat(self._hits).cpu()
        correct = int(hits.sum())
        score = Score(float(losses.mean()), 100 * (len(hits) - correct) / len(hits), pack_bits(hits))
        drift = self.comparison.drift(deviations) if deviations else None
        return replace(score, drift=drift, agreement=self.comparison.agreement)


def pack_bits(hits: Tensor) -> bytes:
    """Pack a bool tensor (images,) into one bit per image, big-endian, the last byte padded with zeros."""
    return np.packbits(hits.numpy()).tobytes()
