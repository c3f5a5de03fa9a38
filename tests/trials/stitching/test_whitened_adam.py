"""Whitened steps: torch's Adam where channels are alike, far quicker where they move together."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.trials.process.builder import import_builder
from sweeper.trials.stitching.least_squares import by_channel
from sweeper.trials.stitching.stitchers.affine import BetweenNorms, Linear
from sweeper.trials.stitching.stitchers.conformance import closed_forms
from sweeper.trials.stitching.stitchers.hooks import StartsAtClosedForm
from sweeper.trials.stitching.whitened_adam import FLOOR, Adam, whitening


def correlated(count: int, channels: int, seed: int = 0) -> Tensor:
    """Rows whose channels share most of what they do."""
    draw = torch.Generator().manual_seed(seed)
    common = torch.randn(count, 1, generator=draw, dtype=torch.float64)
    return common + 0.1 * torch.randn(count, channels, generator=draw, dtype=torch.float64)


def test_whitened_channels_move_alike_and_not_together() -> None:
    x = correlated(5000, 6) @ torch.diag(torch.tensor([1, 3, 1, 1, 0.5, 1], dtype=torch.float64))
    covariance = x.T.cov()
    axes = whitening(covariance)
    floored = covariance / covariance.diagonal().mean() + FLOOR * torch.eye(6)
    torch.testing.assert_close(axes @ floored @ axes, torch.eye(6, dtype=torch.float64))


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e6])
def test_whitening_knows_no_unit_and_bears_channels_that_never_move(scale: float) -> None:
    covariance = torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    axes = whitening(scale * covariance)
    assert axes.isfinite().all()
    assert axes.diagonal().max() == pytest.approx(FLOOR**-0.5)
    if scale:
        torch.testing.assert_close(axes, whitening(covariance))


def fitted(reads: bool, steps: int, x: Tensor, y: Tensor) -> float:
    """The loss of a linear map from x to y after some steps."""
    module = nn.Linear(x.shape[1], y.shape[1]).double()
    nn.init.zeros_(module.weight)
    optimizer = Adam(module, {"weight": x.T.cov()} if reads else {}, lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        functional.mse_loss(module(x), y).backward()
        optimizer.step()
    return functional.mse_loss(module(x), y).item()


def test_what_lies_in_the_small_directions_is_found_sooner() -> None:
    x = correlated(500, 8)
    y = (x[:, :1] - x[:, 1:2]) * 5  # along a direction of a hundredth of the variance
    plain, whitened = (fitted(reads, 60, x, y) for reads in (False, True))
    assert whitened < plain / 3


def test_of_channels_alike_and_unrelated_it_is_torchs_adam() -> None:
    x, y = (torch.randn(200, 5, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    found = []
    for optimizer in (lambda m: Adam(m, {"weight": torch.eye(5)}, 1e-2),
                      lambda m: torch.optim.Adam([{"params": [m.weight], "lr": 1e-2 / (1 + FLOOR) ** 0.5},
                                                  {"params": [m.bias], "lr": 1e-2}])):  # fmt: skip
        torch.manual_seed(0)
        module = nn.Linear(5, 5)
        steps = optimizer(module)
        for _ in range(30):
            steps.zero_grad()
            functional.mse_loss(module(x), y).backward()
            steps.step()
        found.append(module.weight.detach())
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-4)


def test_each_tap_of_a_kernel_is_turned_by_itself() -> None:
    """A kernel of which only the centre has a gradient takes the steps of a 1x1 convolution."""
    covariance = correlated(100, 3).T.cov()
    x = torch.randn(20, 3, 1, 1, generator=torch.Generator().manual_seed(3))
    found = []
    for size in (1, 3):
        conv = nn.Conv2d(3, 4, size, padding=size // 2, bias=False)
        nn.init.zeros_(conv.weight)
        optimizer = Adam(conv, {"weight": covariance}, 1e-2)
        for _ in range(5):
            optimizer.zero_grad()
            (conv(x) - x.sum(1, keepdim=True)).square().mean().backward()
            optimizer.step()
        found.append(conv.weight.detach())
    torch.testing.assert_close(found[1][:, :, 1, 1], found[0][:, :, 0, 0])
    assert found[1].count_nonzero() == found[0].count_nonzero()


@pytest.mark.parametrize(("name", "bottom_shape", "top_shape"), [
    ("conv1x1", (5, 4, 4), (7, 4, 4)), ("conv1x1", (9, 6), (9, 3)), ("linear", (6,), (4,)), ("low_rank", (6,), (4,)),
])  # fmt: skip
def test_a_stitcher_says_what_its_weight_reads(
    name: str, bottom_shape: tuple[int, ...], top_shape: tuple[int, ...]
) -> None:
    draw = torch.Generator().manual_seed(4)
    x, y = torch.randn(80, *bottom_shape, generator=draw) * 4 - 1, torch.randn(80, *top_shape, generator=draw)
    card, options = STITCHERS[name], {"rank": 2} if name == "low_rank" else {}
    stitcher = import_builder(card.builder)(bottom_shape, top_shape, options)
    forms = closed_forms(card, x, y, options)
    assert isinstance(stitcher, StartsAtClosedForm)
    stitcher.start(*forms)
    assert isinstance(stitcher, BetweenNorms | Linear)
    ((name_of_weight, covariance),) = stitcher.reads(*forms).items()
    seen = by_channel(x).float()
    if isinstance(stitcher, BetweenNorms):
        assert stitcher.enter is not None
        norm = stitcher.eval().enter
        assert norm is not None
        seen = norm(seen[:, :, None, None]).flatten(1) if isinstance(norm, nn.BatchNorm2d) else norm(seen)
    assert name_of_weight in dict(stitcher.named_parameters())
    torch.testing.assert_close(seen.double().T.cov(correction=0), covariance, atol=1e-4, rtol=1e-4)
