"""The paper's stitcher through a bottleneck: how many directions of A's activation a top needs."""

import torch
from torch import nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.shapes import channels
from sweeper.trials.stitching.least_squares import Affine, truncated
from sweeper.trials.stitching.stitchers.affine import BetweenNorms, Bottleneck


class LowRank(BetweenNorms):
    """Batch norm, a map to `rank` channels, a map with bias from them, batch norm."""

    def __init__(self, channels_a: int, channels_b: int, rank: int, maps: bool):
        kind = nn.BatchNorm2d if maps else nn.BatchNorm1d
        super().__init__(kind(channels_a), Bottleneck(channels_a, channels_b, rank), kind(channels_b))
        self.rank = rank

    @torch.no_grad()
    def start(self, *forms: Affine) -> None:
        """Become the closed form of this rank: what least squares gives under that bound."""
        (form,) = forms
        super().start(truncated(form, self.rank))


def low_rank(shape_a: Shape, shape_b: Shape, options: OptionValues) -> LowRank:
    """Builds the stitcher between activations of the same places. torch's default initialisation of linear maps, from
    its global generator."""
    return LowRank(channels(shape_a), channels(shape_b), int(options["rank"]), maps=len(shape_a) == 3)
