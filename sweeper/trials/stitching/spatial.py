"""Views of activations as places, as `spec.cards.places` defines them, and the inverse, an activation from views."""

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from sweeper.spec.cards.card import Shape
from sweeper.spec.cards.places import MEANS, PlaceView
from sweeper.spec.cards.shapes import grid_sides, has_class_token


def read_view(view: PlaceView, x: Tensor) -> Tensor:
    """Return the part of an activation that a view reads.

    Args:
        view: Selects the activation as it is ("all"), its places as a map (images, channels, height, width) ("grid"),
            or one vector per image (images, channels) ("summary").
        x: The activation: maps, tokens or vectors.
    """
    if view.part == "all":
        return x
    if view.part == "summary":
        return _summary(x)
    return _resample(_grid(x), view.how, view.sides)


def map_places(view: PlaceView, x: Tensor, affine: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply an affine map of channels to the places that a view reads.

    A resampled place is a weighted mean of A's places with weights that sum to 1, so mapping before resampling gives
    the same result. If A has fewer places than B this is cheaper: from one place to 32 x 32 a step takes half the time.
    """
    if view.how in MEANS and prod((places := _grid(x)).shape[2:]) < prod(view.sides):
        return _resample(affine(places), view.how, view.sides)
    return affine(read_view(view, x))


def assemble(parts: Sequence[Tensor], shape: Shape) -> Tensor:
    """Return the activation (images, *shape) that has the given views: the inverse of `read_view`.

    Args:
        parts: The grid and the summary of the activation, as far as its shape has them, in this order.
        shape: The shape of the activation, without images.
    """
    if len(shape) == 1:
        return parts[0]
    ratio = grid_sides(shape)[0] // parts[0].shape[2]
    places = functional.pixel_shuffle(parts[0], ratio) if ratio > 1 else parts[0]
    if len(shape) == 3:
        return places
    patches = places.flatten(2).transpose(1, 2)
    return torch.cat([parts[1][:, None], patches], 1) if has_class_token(shape) else patches


def _grid(x: Tensor) -> Tensor:
    """Return the places as a map (images, channels, height, width); tokens give their patches, a vector one place."""
    if x.ndim == 4:
        return x
    if x.ndim == 2:
        return x[:, :, None, None]
    shape = tuple(x.shape[1:])
    return x[:, has_class_token(shape) :].transpose(1, 2).unflatten(2, grid_sides(shape))


def _summary(x: Tensor) -> Tensor:
    """Return one vector per image (images, channels): a vector itself, a class token, or the mean over the places."""
    if x.ndim == 3:
        return x[:, 0] if has_class_token(tuple(x.shape[1:])) else x.mean(1)
    return x.mean((2, 3)) if x.ndim == 4 else x


def _resample(x: Tensor, how: str, sides: tuple[int, int]) -> Tensor:
    if tuple(x.shape[2:]) == sides:
        return x
    match how:
        case "pool":
            if all(side % fewer == 0 for side, fewer in zip(sides, x.shape[2:], strict=True)):
                return functional.interpolate(x, sides, mode="nearest")  # the same result in a third of the time
            return functional.adaptive_avg_pool2d(x, sides)
        case "bilinear":
            return functional.interpolate(x, sides, mode="bilinear", align_corners=False)
        case "nearest":
            return functional.interpolate(x, sides, mode="nearest-exact")
        case "stack":
            return functional.pixel_unshuffle(x, x.shape[2] // sides[0])
    raise ValueError(f"unknown resampling {how!r}")
