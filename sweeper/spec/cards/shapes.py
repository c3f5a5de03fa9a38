"""Shapes of one example at a cut: vector (features,), tokens (tokens, features), map (channels, height, width)."""

from math import isqrt, prod

Shape = tuple[int, ...]  # of one example: map (channels, height, width), tokens (tokens, features), vector (features,)


def channels(shape: Shape) -> int:
    """Return the number of channels, which affine stitchers mix: features of a vector or token, or a map's channels."""
    return shape[-1] if len(shape) == 2 else shape[0]


def places(shape: Shape) -> int:
    """Return the number of places in an example: 1 in a vector, else the number of tokens or of a map's pixels."""
    return prod(sites(shape))


def sites(shape: Shape) -> Shape:
    """Return the shape without its channels: () for a vector, (tokens,), or (height, width) of a map.

    Activations whose sites are equal can be matched place by place.
    """
    return shape[:1] if len(shape) == 2 else shape[1:]


def has_class_token(shape: Shape) -> bool:
    """Return True if the tokens are a square grid and one more, which by convention comes first.

    65 tokens are a class token and 8 x 8 patches.
    """
    return len(shape) == 2 and shape[0] > 1 and isqrt(shape[0] - 1) ** 2 == shape[0] - 1


def grid_sides(shape: Shape) -> tuple[int, int]:
    """Return height and width of the grid of places, without a class token.

    These are the sides of a map, the square root of the number of tokens, and (1, 1) for a vector; (0, 0) for tokens
    that are not a square grid.
    """
    if len(shape) == 3:
        return shape[1], shape[2]
    patches = places(shape) - has_class_token(shape)
    side = isqrt(patches)
    return (side, side) if side**2 == patches else (0, 0)


def format_shape(shape: Shape) -> str:
    """Format a shape for people: 64x8x8."""
    return "x".join(map(str, shape))
