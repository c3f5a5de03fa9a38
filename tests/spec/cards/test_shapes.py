"""Numbers of channels and places of activations, and the grids of their tokens."""

import pytest

from sweeper.spec.cards.shapes import channels, format_shape, grid_sides, has_class_token, places, sites


@pytest.mark.parametrize(
    ("shape", "channel_count", "place_count", "site_shape", "text"),
    [((64,), 64, 1, (), "64"), ((65, 192), 192, 65, (65,), "65x192"), ((16, 8, 4), 16, 32, (8, 4), "16x8x4")],
)
def test_vectors_tokens_and_maps_have_channels_and_places(shape, channel_count, place_count, site_shape, text):
    assert (channels(shape), places(shape), sites(shape)) == (channel_count, place_count, site_shape)
    assert format_shape(shape) == text


@pytest.mark.parametrize(
    ("shape", "sides", "class_token"),
    [
        ((64,), (1, 1), False),
        ((16, 8, 4), (8, 4), False),
        ((64, 192), (8, 8), False),
        ((65, 192), (8, 8), True),
        ((63, 192), (0, 0), False),
        ((1, 192), (1, 1), False),
        ((2, 192), (1, 1), True),
    ],
)
def test_tokens_are_a_square_grid_with_or_without_a_class_token(shape, sides, class_token):
    assert (grid_sides(shape), has_class_token(shape)) == (sides, class_token)
