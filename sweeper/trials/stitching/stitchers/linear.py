"""A linear map with bias between vectors, such as pooled features, or tokens; without norms."""

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.shapes import channels
from sweeper.trials.stitching.stitchers.affine import Linear


def linear(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> Linear:
    """Return the stitcher between vectors or tokens, initialised as by torch, from torch's global generator."""
    return Linear(channels(bottom_shape), channels(top_shape))
