"""The paper's stitcher with a bottleneck, to measure how many directions of A's activation a top needs."""

import torch
from torch import nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.shapes import channels
from sweeper.trials.stitching.least_squares import Affine, truncate_rank
from sweeper.trials.stitching.stitchers.affine import BetweenNorms, Bottleneck


class LowRank(BetweenNorms):
    """Batch norm, a map to `rank` channels, a map with bias from them, batch norm."""

    def __init__(self, channels_a: int, channels_b: int, rank: int, maps: bool):
        kind = nn.BatchNorm2d if maps else nn.BatchNorm1d
        super().__init__(kind(channels_a), Bottleneck(channels_a, channels_b, rank), kind(channels_b))
        self.rank = rank

    @torch.no_grad()
    def start(self, *forms: Affine) -> None:
        """Set the layers to the least-squares map of at most this rank."""
        (form,) = forms
        super().start(truncate_rank(form, self.rank))


def low_rank(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> LowRank:
    """Return the stitcher between activations of the same places.

    Its maps have torch's default initialisation of linear layers, from torch's global generator.
    """
    return LowRank(channels(bottom_shape), channels(top_shape), int(options["rank"]), maps=len(bottom_shape) == 3)
