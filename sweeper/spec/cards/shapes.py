"""Shapes of one example at a cut: vector (features,), tokens (tokens, features), map (channels, height, width)."""

from math import prod

from .card import Shape


def channels(shape: Shape) -> int:
    """What an affine stitcher mixes: features of a vector or of each token, channels of a map."""
    return shape[-1] if len(shape) == 2 else shape[0]


def places(shape: Shape) -> int:
    """How many times the channels stand in an example: 1, the tokens, or the pixels of a map."""
    return prod(sites(shape))


def sites(shape: Shape) -> Shape:
    """Where the channels stand: () in a vector, (tokens,), or (height, width) of a map. Shapes of equal sites can be
    matched place by place."""
    return shape[:1] if len(shape) == 2 else shape[1:]


def show(shape: Shape) -> str:
    """As people write it: 64x8x8."""
    return "x".join(map(str, shape))
