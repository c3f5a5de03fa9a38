"""Relative representations (Moschella et al. 2023): A's cosines to shared anchors, decoded by a map fitted on B alone.

Anchors are places of some training images, the same places for A and for B. The stitcher replaces each place of A by
its cosines to A's anchors; a decoder, fitted by least squares from B's cosines (to B's anchors) to B's activation,
maps them to the input of B's top. The decoder is fitted without A, so the stitch measures what the two spaces share
without any map fitted between them. A cosine is independent of the length of a vector, so even B into B is not exact.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.shapes import channels
from sweeper.trials.stitching.least_squares import Moments, Products, by_channel, mix, solve

ROWS = 2**15  # the number of places whose cosines are in memory at once


class Relative(nn.Module):
    """A stitcher that decodes cosines to A's anchors as if they were cosines to B's.

    Its weights are NaN until it is solved.
    """

    anchors: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, channels_a: int, channels_b: int, anchors: int):
        super().__init__()
        self.register_buffer("anchors", torch.full((anchors, channels_a), torch.nan))  # of A, unit length
        self.register_buffer("weight", torch.full((channels_b, anchors), torch.nan))
        self.register_buffer("bias", torch.full((channels_b,), torch.nan))

    def forward(self, x: Tensor) -> Tensor:
        """Map A's activation (images, *bottom_shape) to B's (images, *top_shape) through cosines to A's anchors."""
        unit = functional.normalize(x, dim=1 if x.ndim == 4 else -1)
        return mix(mix(unit, self.anchors, None), self.weight, self.bias)

    @torch.no_grad()
    def choose_anchors(self, bottom: Tensor, top: Tensor) -> None:
        """Take evenly spaced anchors from the places of A's and B's activations of the same images.

        Raises:
            ValueError: If there are fewer places than anchors.
        """
        rows_a, rows_b = by_channel(bottom), by_channel(top)
        if len(rows_a) < len(self.anchors):
            raise ValueError(
                f"the stitcher relative needs {len(self.anchors)} places for its anchors; there are {len(rows_a)}"
            )
        anchor_rows = torch.from_numpy(np.linspace(0, len(rows_a) - 1, len(self.anchors)).astype(np.int64))
        anchor_rows = anchor_rows.to(bottom.device)
        self.anchors.copy_(functional.normalize(rows_a[anchor_rows]))
        self._anchors_b = functional.normalize(rows_b[anchor_rows])
        self._cosines, self._values, self._products = Moments(), Moments(), Products()

    @torch.no_grad()
    def accumulate(self, top: Tensor) -> None:
        """Add B's activation of a batch to the moments that the decoder is solved from."""
        for rows in by_channel(top).split(ROWS):
            cosines = functional.normalize(rows) @ self._anchors_b.T
            self._cosines.add(cosines)
            self._values.add(rows)
            self._products.add(cosines, rows)

    @torch.no_grad()
    def solve(self) -> None:
        """Solve the decoder from the accumulated moments, by least squares."""
        form = solve(self._cosines, self._values, self._products)
        self.weight.copy_(form.weight)
        self.bias.copy_(form.bias)
        del self._anchors_b, self._cosines, self._values, self._products


def relative(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> Relative:
    """Return the stitcher between activations of the same places; option `anchors` is the number of anchors."""
    return Relative(channels(bottom_shape), channels(top_shape), int(options["anchors"]))
