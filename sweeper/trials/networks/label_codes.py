"""A sender that knows the label and nothing else: what a stitcher and a top make of that alone (Smith et al. 2025).

In place of A's activation stands a fixed random code of the image's true class, of A's shape at the cut. A top that
does well behind it shows that a low penalty needs no representation like its own.
"""

from collections.abc import Iterable, Mapping
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from sweeper.spec.cards.card import Shape
from sweeper.trials.process.philox import Purpose, bits, uniform


class LabelCodes(nn.Module):
    """One code a class and cut: uniform with mean 0 and variance 1, from the seed alone."""

    def __init__(self, cuts: Mapping[str, Shape], classes: int, seed: int):
        super().__init__()
        self._names = {cut: f"code{i}" for i, cut in enumerate(cuts)}
        for cut, shape in cuts.items():
            drawn = uniform(bits(seed, Purpose.CODE, 0, classes * prod(shape))).reshape(classes, *shape)
            code = (12**0.5 * (drawn - 0.5)).astype(np.float32)
            self.register_buffer(self._names[cut], torch.from_numpy(code))

    def codes_of(self, labels: Tensor, cuts: Iterable[str]) -> dict[str, Tensor]:
        """The codes of some images' labels, (images, *shape) for each cut."""
        return {cut: getattr(self, self._names[cut])[labels] for cut in cuts}
