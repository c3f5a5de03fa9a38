"""One linear map with bias between vectors, such as pooled features; no norms."""

from sweeper.spec.cards.card import OptionValues, Shape

from .affine import Linear


def linear(shape_a: Shape, shape_b: Shape, options: OptionValues) -> Linear:
    """Builds the stitcher from vectors of `shape_a` to vectors of `shape_b`. torch's default initialisation, from its
    global generator."""
    return Linear(shape_a[0], shape_b[0])
