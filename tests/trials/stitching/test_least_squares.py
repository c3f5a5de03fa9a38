"""Tests of direct matching, the least-squares map from moments."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.spec.cards.places import as_they_are
from sweeper.trials.stitching.least_squares import Affine, Moments, Products, by_channel, solve


def least_squares_map(x: torch.Tensor, y: torch.Tensor, batches: int = 1) -> Affine:
    """Return the least-squares map from x to y, with moments from `batches` batches."""
    moments_x, moments_y, products = Moments(), Moments(), Products()
    for part_x, part_y in zip(x.chunk(batches), y.chunk(batches), strict=True):
        rows_x, rows_y = by_channel(part_x), by_channel(part_y)
        moments_x.add(rows_x)
        moments_y.add(rows_y)
        products.add(rows_x, rows_y)
    return solve(moments_x, moments_y, products)


@settings(deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 6), st.integers(1, 6))
def test_an_affine_relation_is_recovered(seed: int, channels_a: int, channels_b: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(64, channels_a, 3, 3, generator=draw) * 3 + 1
    weight = torch.randn(channels_b, channels_a, generator=draw)
    y = torch.einsum("ba,nahw->nbhw", weight, x) - 2
    affine = least_squares_map(x, y)
    assert affine.r2 == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(affine(x), y, atol=1e-3, rtol=1e-3)


def test_the_map_equals_that_of_torchs_lstsq() -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(400, 5, generator=draw), torch.randn(400, 3, generator=draw)
    affine = least_squares_map(x, y)
    ones = torch.cat([x.double(), torch.ones(400, 1)], 1)
    best = torch.linalg.lstsq(ones, y.double()).solution.T
    torch.testing.assert_close(torch.cat([affine.weight, affine.bias[:, None]], 1), best, atol=1e-5, rtol=1e-4)
    residual = (y.double() - ones @ best.T).square().sum()
    assert affine.r2 == pytest.approx(1 - float(residual / (y.double() - y.double().mean(0)).square().sum()), abs=1e-6)


def test_the_map_does_not_depend_on_the_batches() -> None:
    draw = torch.Generator().manual_seed(1)
    x, y = torch.randn(60, 4, 2, 2, generator=draw), torch.randn(60, 2, 2, 2, generator=draw)
    torch.testing.assert_close(least_squares_map(x, y, 1).weight, least_squares_map(x, y, 7).weight)


def test_constant_channels_get_weight_0() -> None:
    x = torch.randn(100, 3, generator=torch.Generator().manual_seed(2))
    x[:, 1] = 5.0
    affine = least_squares_map(x, x[:, [0, 2]])
    assert affine.weight[:, 1].abs().max() < 1e-6
    assert affine.r2 == pytest.approx(1, abs=1e-5)


def test_the_r2_of_a_constant_top_is_1() -> None:
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(3))
    affine = least_squares_map(x, torch.full((50, 2), 7.0))
    assert affine.r2 == 1.0
    torch.testing.assert_close(affine(x), torch.full((50, 2), 7.0))


def test_a_large_mean_does_not_reduce_the_precision_of_the_map() -> None:
    x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(4)).double() + 1e4
    affine = least_squares_map(x, 2 * x)
    assert affine.r2 == pytest.approx(1, abs=1e-5)


def test_tokens_and_equal_pixels_have_the_same_map() -> None:
    """Compare the map of tokens with that of a map whose pixels are the same tokens."""
    draw = torch.Generator().manual_seed(5)
    x, y = torch.randn(40, 6, 4, generator=draw), torch.randn(40, 6, 2, generator=draw)
    tokens, pixels = (
        least_squares_map(x, y, 4),
        least_squares_map(x.transpose(1, 2)[..., None], y.transpose(1, 2)[..., None]),
    )
    torch.testing.assert_close(tokens.weight, pixels.weight)
    torch.testing.assert_close(tokens.bias, pixels.bias)
    torch.testing.assert_close(tokens(x), pixels(x.transpose(1, 2)[..., None])[..., 0].transpose(1, 2))


@pytest.mark.parametrize(
    ("bottom_shape", "top_shape", "matches"),
    [
        ((16, 8), (16, 5), True),
        ((16, 8), (4, 8), False),
        ((8, 4, 4), (5, 4, 4), True),
        ((8, 4, 4), (8, 2, 8), False),
        ((16, 8), (8,), False),
        ((8, 4, 4), (16, 8), False),
        ((8,), (5,), True),
    ],
)
def test_activations_match_without_resampling_only_if_their_places_are_equal(
    bottom_shape: tuple[int, ...], top_shape: tuple[int, ...], matches: bool
) -> None:
    assert bool(as_they_are(bottom_shape, top_shape)) == matches
