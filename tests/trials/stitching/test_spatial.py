"""Tests of the views of activations as places, and of activations assembled from views."""

from functools import partial
from itertools import product

import pytest
import torch

from sweeper.spec.cards.card import Shape
from sweeper.spec.cards.places import RESAMPLINGS, resampled
from sweeper.trials.stitching.least_squares import mix
from sweeper.trials.stitching.spatial import assemble, map_places, read_view

SHAPES: list[Shape] = [(3, 8, 8), (5, 4, 4), (2, 4, 2), (17, 6), (16, 5), (2, 3), (10,)]
MATCHED_SHAPES = [(a, b, how) for a, b, how in product(SHAPES, SHAPES, RESAMPLINGS) if resampled(a, b, how)]


@pytest.mark.parametrize(("bottom_shape", "top_shape", "how"), MATCHED_SHAPES)
def test_the_views_of_b_are_assembled_to_b(bottom_shape: Shape, top_shape: Shape, how: str) -> None:
    y = torch.randn(4, *top_shape, generator=torch.Generator().manual_seed(0))
    parts = resampled(bottom_shape, top_shape, how)
    views = [read_view(part.top_view, y) for part in parts]
    assert torch.equal(assemble(views, top_shape), y)
    assert [tuple(part.shape[1:]) for part in views] == [part.top_shape for part in parts]


@pytest.mark.parametrize(("bottom_shape", "top_shape", "how"), MATCHED_SHAPES)
def test_the_views_of_a_have_the_places_of_b(bottom_shape: Shape, top_shape: Shape, how: str) -> None:
    x = torch.randn(4, *bottom_shape, generator=torch.Generator().manual_seed(0))
    for part in resampled(bottom_shape, top_shape, how):
        assert tuple(read_view(part.bottom_view, x).shape[1:]) == part.bottom_shape
        assert part.bottom_shape[1:] == part.top_shape[1:]


@pytest.mark.parametrize(("bottom_shape", "top_shape", "how"), MATCHED_SHAPES)
def test_a_map_of_channels_commutes_with_resampling(bottom_shape: Shape, top_shape: Shape, how: str) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(4, *bottom_shape, generator=draw)
    for part in resampled(bottom_shape, top_shape, how):
        weight = torch.randn(part.top_shape[0], part.bottom_shape[0], generator=draw)
        affine = partial(mix, weight=weight, bias=torch.randn(part.top_shape[0], generator=draw))
        torch.testing.assert_close(
            map_places(part.bottom_view, x, affine), affine(read_view(part.bottom_view, x)), rtol=1e-5, atol=1e-5
        )


def test_the_map_is_applied_before_resampling_if_a_has_fewer_places() -> None:
    mapped_sides = []
    (up,), (down,) = resampled((3, 2, 2), (3, 8, 8), "pool"), resampled((3, 8, 8), (3, 2, 2), "pool")
    for part, x in ((up, torch.zeros(1, 3, 2, 2)), (down, torch.zeros(1, 3, 8, 8))):
        map_places(part.bottom_view, x, lambda places: (mapped_sides.append(places.shape[2:]), places)[1])
    assert mapped_sides == [(2, 2), (2, 2)]


@pytest.mark.parametrize("how", RESAMPLINGS)
def test_equal_places_are_not_resampled(how: str) -> None:
    x = torch.randn(2, 3, 4, 4)
    (part,) = resampled((3, 4, 4), (7, 4, 4), how)
    assert torch.equal(read_view(part.bottom_view, x), x)


def test_pooling_takes_means_downwards_and_repeats_upwards() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    (down,), (up,) = resampled((1, 4, 4), (1, 2, 2), "pool"), resampled((1, 4, 4), (1, 8, 8), "pool")
    assert torch.equal(read_view(down.bottom_view, x), torch.tensor([[[[2.5, 4.5], [10.5, 12.5]]]]))
    assert torch.equal(read_view(up.bottom_view, x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_the_patches_of_tokens_are_a_grid_row_by_row_without_the_class_token() -> None:
    tokens = torch.arange(5.0).view(1, 5, 1)
    grid, summary = resampled((5, 1), (5, 1), "pool")
    assert torch.equal(read_view(grid.bottom_view, tokens), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    assert torch.equal(read_view(summary.bottom_view, tokens), torch.tensor([[0.0]]))


def test_the_view_of_a_map_for_a_class_token_is_its_mean() -> None:
    x = torch.randn(3, 2, 4, 4)
    _, summary = resampled((2, 4, 4), (5, 1), "pool")
    torch.testing.assert_close(read_view(summary.bottom_view, x), x.mean((2, 3)))


@pytest.mark.parametrize(
    ("bottom_shape", "top_shape", "how"),
    [
        ((15, 6), (3, 4, 4), "pool"),
        ((3, 4, 4), (15, 6), "pool"),
        ((3, 8, 8), (3, 3, 3), "strided"),
        ((3, 4, 8), (3, 8, 4), "strided"),
        ((3, 4, 8), (3, 2, 2), "strided"),
    ],
)
def test_places_that_cannot_be_matched_have_no_parts(bottom_shape: Shape, top_shape: Shape, how: str) -> None:
    assert resampled(bottom_shape, top_shape, how) == ()
