"""Correspondence between the places of A's activation and those of B's.

If both have the same places, equal places correspond: pixel to pixel, token to token. If they differ, an activation is
read as a *grid* of places (the pixels of a map, the tokens of patches) and a *summary* of the whole image (the class
token, a vector, or else the mean over the grid). A's grid is resampled to B's, and B's vector or class token is
computed from A's summary.
"""

from typing import NamedTuple

from sweeper.spec.cards.shapes import Shape, channels, grid_sides, has_class_token, sites

RESAMPLINGS = {
    "pool": "each place is the mean of the places of A that it overlaps; if B has more places, those of A repeat",
    "bilinear": "bilinear interpolation between pixel centres, without antialiasing",
    "nearest": "the nearest place of A",
    "strided": "all places are used: if B has fewer, a convolution whose kernel and stride are the ratio of the sides; "
    "if it has more, a transposed one",
}
MEANS = RESAMPLINGS.keys() - {"strided"}  # those in which a place is a mean of A's places


class PlaceView(NamedTuple):
    """The places that are read from an activation.

    `part` is "all" (unchanged), "grid" or "summary". A grid is resampled to `sides` by `how`; "stack" concatenates the
    places that fall on one place as channels.
    """

    part: str
    how: str = ""
    sides: tuple[int, int] = (0, 0)


class Part(NamedTuple):
    """One affine map between A and B: the places that it reads of each, and the shapes of what it reads."""

    bottom_view: PlaceView
    top_view: PlaceView
    bottom_shape: Shape
    top_shape: Shape


def as_they_are(bottom_shape: Shape, top_shape: Shape) -> tuple[Part, ...]:
    """Return the single map between activations of the same places; () if the places differ."""
    if sites(bottom_shape) != sites(top_shape):
        return ()
    return (Part(PlaceView("all"), PlaceView("all"), bottom_shape, top_shape),)


def resampled(bottom_shape: Shape, top_shape: Shape, how: str) -> tuple[Part, ...]:
    """Return the maps between any two activations: first that of B's grid, if it has one, then that of its summary.

    Returns () if the places can't be matched: the tokens are not a square grid, or, for `strided`, the sides are not
    multiples of each other.
    """
    summary = Part(PlaceView("summary"), PlaceView("summary"), (channels(bottom_shape),), (channels(top_shape),))
    if len(top_shape) == 1:
        return (summary,)
    if 0 in (*grid_sides(bottom_shape), *grid_sides(top_shape)):
        return ()
    grid = _stacked(bottom_shape, top_shape) if how == "strided" else _onto(bottom_shape, top_shape, how)
    if grid is None:
        return ()
    return (grid, summary) if has_class_token(top_shape) else (grid,)


def _onto(bottom_shape: Shape, top_shape: Shape, how: str) -> Part:
    """Resample A's grid to the sides of B's."""
    sides = grid_sides(top_shape)
    bottom_view, top_view = PlaceView("grid", how, sides), PlaceView("grid", "stack", sides)
    return Part(bottom_view, top_view, (channels(bottom_shape), *sides), (channels(top_shape), *sides))


def _stacked(bottom_shape: Shape, top_shape: Shape) -> Part | None:
    """Map both grids onto the coarser one; the places of the finer grid are stacked as channels."""
    both_sides = grid_sides(bottom_shape), grid_sides(top_shape)
    coarse = min(both_sides)
    ratios = {sides: {fine // side for fine, side in zip(sides, coarse, strict=True)} for sides in both_sides}
    divisible = all(fine % side == 0 for sides in both_sides for fine, side in zip(sides, coarse, strict=True))
    if not divisible or any(len(ratios_of_axes) > 1 for ratios_of_axes in ratios.values()):
        return None
    view = PlaceView("grid", "stack", coarse)
    shapes = ((channels(shape) * min(ratios[grid_sides(shape)]) ** 2, *coarse) for shape in (bottom_shape, top_shape))
    return Part(view, view, *shapes)
