"""Reads activations as places: the views that `spec.cards.places` names, and B's activation put together from them."""

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from sweeper.spec.cards.card import Shape
from sweeper.spec.cards.places import MEANS, View
from sweeper.spec.cards.shapes import grid, has_class_token


def read(view: View, x: Tensor) -> Tensor:
    """An activation's places: itself ("all"), a map (images, channels, height, width) ("grid"), or vectors (images,
    channels) ("summary").

    x: (images, *shape) of any shape of an example.
    """
    if view.part == "all":
        return x
    if view.part == "summary":
        return _summary(x)
    return _resampled(_grid(x), view.how, view.sides)


def mapped(view: View, x: Tensor, affine: Callable[[Tensor], Tensor]) -> Tensor:
    """An affine map of channels of the places that `view` reads.

    A place resampled is a mean of A's places whose weights sum to 1, so the map may as well come before: where A has
    fewer places than B, it has then fewer to map. From one place to 32 x 32 a step takes half the time.
    """
    if view.how in MEANS and prod((places := _grid(x)).shape[2:]) < prod(view.sides):
        return _resampled(affine(places), view.how, view.sides)
    return affine(read(view, x))


def assemble(parts: Sequence[Tensor], shape: Shape) -> Tensor:
    """B's activation (images, *shape) from its grid, if it has one, and its summary, if it has one: the inverse of
    reading both from it."""
    if len(shape) == 1:
        return parts[0]
    ratio = grid(shape)[0] // parts[0].shape[2]
    places = functional.pixel_shuffle(parts[0], ratio) if ratio > 1 else parts[0]
    if len(shape) == 3:
        return places
    patches = places.flatten(2).transpose(1, 2)
    return torch.cat([parts[1][:, None], patches], 1) if has_class_token(shape) else patches


def _grid(x: Tensor) -> Tensor:
    """(images, channels, height, width): of tokens the patches, row by row; of a vector its one place."""
    if x.ndim == 4:
        return x
    if x.ndim == 2:
        return x[:, :, None, None]
    shape = tuple(x.shape[1:])
    return x[:, has_class_token(shape) :].transpose(1, 2).unflatten(2, grid(shape))


def _summary(x: Tensor) -> Tensor:
    """(images, channels): a vector, a class token, or the mean over the places."""
    if x.ndim == 3:
        return x[:, 0] if has_class_token(tuple(x.shape[1:])) else x.mean(1)
    return x.mean((2, 3)) if x.ndim == 4 else x


def _resampled(x: Tensor, how: str, sides: tuple[int, int]) -> Tensor:
    if tuple(x.shape[2:]) == sides:
        return x
    match how:
        case "pool":
            if all(side % fewer == 0 for side, fewer in zip(sides, x.shape[2:], strict=True)):
                return functional.interpolate(x, sides, mode="nearest")  # the same, and three times as fast
            return functional.adaptive_avg_pool2d(x, sides)
        case "bilinear":
            return functional.interpolate(x, sides, mode="bilinear", align_corners=False)
        case "nearest":
            return functional.interpolate(x, sides, mode="nearest-exact")
        case "stack":
            return functional.pixel_unshuffle(x, x.shape[2] // sides[0])
    raise ValueError(f"no resampling {how!r}")
