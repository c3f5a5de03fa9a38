"""Tests of SimCLR's views: each operation alone, and whole batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sweeper.trials.data.simclr_views import AREA, DRAWS, LUMA, view

NAMES = ("area", "aspect", "down", "right", "flip", "jitter", "brightness", "contrast", "saturation", "hue", "grey")
# The draws of a view that equals the image: no crop, mirror image, jitter or greyscale.
IDENTITY = dict.fromkeys(NAMES, 0.5) | {"area": 1.0, "flip": 0.9, "jitter": 0.9, "grey": 0.9}


def draws(count: int, **changes: float) -> Tensor:
    values = IDENTITY | changes
    return torch.tensor([[values[name]] * count for name in NAMES], dtype=torch.float64)


def images(channels: int = 3, size: int = 8) -> Tensor:
    raw = np.random.default_rng(0).integers(0, 256, (4, channels, size, size), np.uint8)
    return torch.from_numpy(raw)


def test_a_view_without_any_change_is_the_image() -> None:
    assert len(NAMES) == DRAWS
    for x in (images(), images(1)):
        assert torch.allclose(view(x, draws(4), mirror=True), x / 255, atol=1e-5)
        assert torch.allclose(view(x, draws(4, jitter=0.1), mirror=True), x / 255, atol=1e-5), "factors of 1"


def test_images_are_mirrored_only_if_allowed() -> None:
    x = images()
    assert torch.allclose(view(x, draws(4, flip=0.4), mirror=True), x.flip(3) / 255, atol=1e-5)
    assert torch.allclose(view(x, draws(4, flip=0.4), mirror=False), x / 255, atol=1e-5)


@pytest.mark.parametrize(("down", "right"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.5, 0.5)])
def test_a_crop_is_a_box_of_the_image_enlarged(down: float, right: float) -> None:
    """Crop a quarter of a ramp: enlarged linearly, it is a ramp of half the slope that begins at the crop."""
    size = 16
    ramp = 8 * torch.arange(size, dtype=torch.uint8).expand(1, 1, size, size)
    for x, at in ((ramp, right), (ramp.transpose(2, 3), down)):
        quarter = (0.25 - AREA[0]) / (AREA[1] - AREA[0])
        views = view(x, draws(1, area=quarter, down=down, right=right), mirror=False)[0, 0]
        line = views[0] if x is ramp else views[:, 0]
        places = at * size / 2 + (torch.arange(size) + 0.5) / 2 - 0.5
        assert torch.allclose(line, 8 * places.clamp(0, size - 1) / 255, atol=1e-5)


def test_brightness_scales_and_contrast_interpolates_to_the_mean_grey() -> None:
    x = images(1) // 3
    grey = x / 255
    assert torch.allclose(view(x, draws(4, jitter=0, brightness=1), False), 1.4 * grey, atol=1e-5)
    mean = grey.mean((1, 2, 3), keepdim=True)
    assert torch.allclose(view(x, draws(4, jitter=0, contrast=0), False), mean + 0.6 * (grey - mean), atol=1e-5)


def test_saturation_interpolates_to_grey_and_hue_does_not_change_brightness() -> None:
    x = 64 + images() // 4  # far from black and white, where nothing is clipped
    luma = torch.einsum("nchw,c->nhw", x / 255, torch.tensor(LUMA))[:, None]
    views = view(x, draws(4, jitter=0, saturation=0), False)
    assert torch.allclose(views, luma + 0.6 * (x / 255 - luma), atol=1e-5)
    rotated = view(x, draws(4, jitter=0, hue=1), False)
    assert (rotated - x / 255).abs().max() > 0.02
    assert torch.allclose(torch.einsum("nchw,c->nhw", rotated, torch.tensor(LUMA))[:, None], luma, atol=1e-4)
    rotated_back = view((255 * rotated).round().to(torch.uint8), draws(4, jitter=0, hue=0), False)
    assert torch.allclose(rotated_back, x / 255, atol=0.01)


def test_grey_views_have_equal_channels() -> None:
    views = view(images(), draws(4, grey=0.1), False)
    assert torch.allclose(views, views[:, :1].expand_as(views))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), channels=st.sampled_from([1, 3]), mirror=st.booleans())
def test_any_view_is_an_image_of_the_same_size_and_depends_only_on_its_own_draws(
    seed: int, channels: int, mirror: bool
) -> None:
    x, drawn = images(channels), torch.from_numpy(np.random.default_rng(seed).random((DRAWS, 4)))
    views = view(x, drawn, mirror)
    assert views.shape == x.shape
    assert views.dtype == torch.float32
    assert views.min() >= 0
    assert views.max() <= 1
    assert torch.allclose(view(x[2:3], drawn[:, 2:3], mirror), views[2:3], atol=1e-6)
