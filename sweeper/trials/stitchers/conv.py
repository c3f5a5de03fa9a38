"""The paper's stitcher: batch norm, 1x1 convolution with bias, batch norm (Bansal et al. 2021, section 3)."""

from torch import nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.shapes import channels

from .affine import BetweenNorms


def conv1x1(shape_a: Shape, shape_b: Shape, options: OptionValues) -> BetweenNorms:
    """Builds the stitcher from `shape_a` to `shape_b`: maps of equal height and width, or vectors, or tokens of
    equal number, where a linear map stands for the convolution. torch's default initialisation, from its global
    generator."""
    channels_a, channels_b = channels(shape_a), channels(shape_b)
    if len(shape_a) < 3:
        return BetweenNorms(nn.BatchNorm1d(channels_a), nn.Linear(channels_a, channels_b), nn.BatchNorm1d(channels_b))
    return BetweenNorms(nn.BatchNorm2d(channels_a), nn.Conv2d(channels_a, channels_b, 1), nn.BatchNorm2d(channels_b))
