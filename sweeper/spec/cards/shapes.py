"""Shapes of one example at a cut: vector (features,), tokens (tokens, features), map (channels, height, width)."""

from math import isqrt, prod

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


def has_class_token(shape: Shape) -> bool:
    """Whether tokens are a square grid and one more, which by convention comes first: 65 are a class token and 8 x 8
    patches."""
    return len(shape) == 2 and shape[0] > 1 and isqrt(shape[0] - 1) ** 2 == shape[0] - 1


def grid(shape: Shape) -> tuple[int, int]:
    """Height and width of the places, a class token apart: those of a map, the square root of the tokens, 1 x 1 of a
    vector. (0, 0) for tokens that are no square grid."""
    if len(shape) == 3:
        return shape[1], shape[2]
    patches = places(shape) - has_class_token(shape)
    side = isqrt(patches)
    return (side, side) if side**2 == patches else (0, 0)


def show(shape: Shape) -> str:
    """As people write it: 64x8x8."""
    return "x".join(map(str, shape))
