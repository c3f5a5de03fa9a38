"""A substitute for the bottom model that depends only on the label (Smith et al. 2025).

A's activation is replaced by a fixed random code of the image's true class, of the same shape. If a stitch of these
codes has a low penalty, a low penalty does not require a representation similar to the top's.
"""

from collections.abc import Iterable, Mapping
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from sweeper.spec.cards.card import Shape
from sweeper.trials.process.philox import Purpose, bits, uniform


class LabelCodes(nn.Module):
    """Codes of the classes at each cut: uniform with mean 0 and variance 1, dependent on the seed only."""

    def __init__(self, cuts: Mapping[str, Shape], classes: int, seed: int):
        super().__init__()
        self._names = {cut: f"code{i}" for i, cut in enumerate(cuts)}
        for cut, shape in cuts.items():
            drawn = uniform(bits(seed, Purpose.CODE, 0, classes * prod(shape))).reshape(classes, *shape)
            code = (12**0.5 * (drawn - 0.5)).astype(np.float32)
            self.register_buffer(self._names[cut], torch.from_numpy(code))

    def codes_of(self, labels: Tensor, cuts: Iterable[str]) -> dict[str, Tensor]:
        """Return the codes of labels (images,) at some cuts, each (images, *shape)."""
        return {cut: getattr(self, self._names[cut])[labels] for cut in cuts}
