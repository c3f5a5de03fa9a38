"""One linear map with bias between vectors, such as pooled features, or tokens; no norms."""

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.shapes import channels
from sweeper.trials.stitching.stitchers.affine import Linear


def linear(shape_a: Shape, shape_b: Shape, options: OptionValues) -> Linear:
    """Builds the stitcher from vectors or tokens of `shape_a` to those of `shape_b`. torch's default initialisation,
    from its global generator."""
    return Linear(channels(shape_a), channels(shape_b))
