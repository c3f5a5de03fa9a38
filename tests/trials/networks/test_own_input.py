"""Tests of a network's own images, against torchvision's transforms of the pixels."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from sweeper.spec.records.task import NetworkInput
from sweeper.trials.data.stream import normalize
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.archs.staged import stages
from sweeper.trials.networks.cut import bottom, top
from sweeper.trials.networks.fold import fold
from sweeper.trials.networks.own_input import OwnInput, with_own_input

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DATA = {1: ((0.3,), (0.4,)), 3: ((0.49, 0.48, 0.45), (0.25, 0.24, 0.26))}


def pixels(channels: int, side: int = 32) -> Tensor:
    return torch.randint(0, 256, (5, channels, side, side), dtype=torch.uint8)


@pytest.mark.parametrize("size", [(16, 16), (32, 32), (48, 40)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_resized_and_normalised_as_by_torchvision(
    size: tuple[int, int], interpolation: str, channels: int
) -> None:
    images = pixels(channels)
    own = OwnInput(NetworkInput(size, MEAN, STD, interpolation), *DATA[channels])(normalize(images, *DATA[channels]))
    scaled = images.expand(-1, 3, -1, -1).float() / 255
    resized = transforms.resize(scaled, list(size), InterpolationMode(interpolation), antialias=True)
    expected = transforms.normalize(resized, list(MEAN), list(STD))
    assert own.shape == (5, 3, *size)
    torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-4)


def test_without_mean_the_normalisation_of_the_data_set_stays() -> None:
    images = normalize(pixels(3), *DATA[3])
    own = OwnInput(NetworkInput((32, 32), (), (), "bilinear"), *DATA[3])(images)
    torch.testing.assert_close(own, images, rtol=0, atol=0)


def test_the_stage_of_the_input_is_before_all_cuts_and_has_no_weights() -> None:
    plain = build("resnet18k", {"width": 2}, (3, 16, 16), 10).eval()
    names = list(plain.state_dict())
    images = NetworkInput((16, 16), MEAN, STD, "bilinear")
    batch = normalize(pixels(1, 8), *DATA[1])
    expected = plain(OwnInput(images, *DATA[1])(batch))
    network = with_own_input(plain, images, *DATA[1]).eval()
    assert list(network.state_dict()) == names
    assert torch.equal(network(batch), expected)
    for cut in list(stages(network))[1:-1]:
        assert torch.equal(top(network, cut)(bottom(network, cut)(batch)), expected)
    torch.testing.assert_close(fold(network)(batch), expected, rtol=1e-4, atol=1e-4)
