"""Tests of the numerical checks of layers: affine, and the same for all channels."""

import pytest
import torch
from torch import Tensor, nn

from sweeper.trials.networks.affine_check import is_affine, keeps_channels

MAP = (4, 6, 6)


class First(nn.Module):
    """The first place of a map."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 0, 0]


class Clamp(nn.Module):
    """An identity between two bounds."""

    def __init__(self, bound: float):
        super().__init__()
        self.bound = bound

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(-self.bound, self.bound)


class InPlace(nn.Module):
    """A change of the input itself."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2)


AFFINE = [
    nn.Identity(), nn.Conv2d(4, 3, 3), nn.BatchNorm2d(4), nn.AvgPool2d(2),
    nn.Sequential(nn.Flatten(), nn.Linear(144, 5)), nn.Dropout(), First(), InPlace(),
    nn.Upsample(scale_factor=2, mode="bilinear"),
]  # fmt: skip
CURVED = [
    nn.ReLU(), nn.GELU(), nn.MaxPool2d(2), nn.LeakyReLU(0.9), nn.GroupNorm(2, 4), nn.Softmax(1), nn.ReLU6(),
    nn.Hardtanh(-10, 10), nn.LayerNorm([4, 6, 6]), Clamp(60.0), nn.Softplus(), nn.InstanceNorm2d(4), nn.PReLU(),
]  # fmt: skip


@pytest.mark.parametrize("module", AFFINE, ids=str)
def test_affine_layers_are_recognised(module: nn.Module) -> None:
    assert is_affine(module.eval(), MAP)


@pytest.mark.parametrize("module", CURVED, ids=str)
def test_other_layers_are_refused(module: nn.Module) -> None:
    assert not is_affine(module.eval(), MAP)
    assert not is_affine(nn.Sequential(nn.Conv2d(4, 4, 1), module, nn.Conv2d(4, 2, 1)).eval(), MAP)


def test_a_norm_of_the_batch_itself_is_not_affine() -> None:
    assert not is_affine(nn.BatchNorm2d(4, track_running_stats=False).eval(), MAP)


def test_log_softmax_is_affine_as_logits_alone() -> None:
    head = nn.Sequential(nn.Linear(6, 3), nn.LogSoftmax(1))
    assert is_affine(head, (6,), logits=True)
    assert not is_affine(head, (6,))
    assert not is_affine(nn.Sequential(nn.Linear(6, 3), nn.Softmax(1)), (6,), logits=True)


def test_weights_that_are_not_finite_are_not_affine() -> None:
    layer = nn.Linear(3, 2)
    layer.weight.data[0, 0] = torch.nan
    assert not is_affine(layer, (3,))


@pytest.mark.parametrize(
    "module",
    [nn.Identity(), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), First(), nn.Upsample(scale_factor=2)],
    ids=str,
)
def test_layers_of_places_keep_channels(module: nn.Module) -> None:
    assert keeps_channels(module, MAP)


@pytest.mark.parametrize(
    "module",
    [nn.MaxPool2d(6), nn.ReLU(), nn.BatchNorm2d(4, affine=False), nn.Flatten(), nn.AvgPool2d(3, padding=1),
     nn.Conv2d(4, 4, 1), nn.LayerNorm([4, 6, 6])],
    ids=str,
)  # fmt: skip
def test_other_layers_do_not(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d):
        assert module.running_var is not None
        module.running_var += torch.arange(4.0)
    assert not keeps_channels(module.eval(), MAP)


def test_flattening_keeps_the_channels_of_a_single_place_alone() -> None:
    assert keeps_channels(nn.Flatten(), (4, 1, 1))
    assert not keeps_channels(nn.Flatten(), (4, 2, 1))
