"""Tests that whitened Adam is torch's Adam for uncorrelated channels and faster for correlated ones."""

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
from sweeper.trials.stitching.whitened_adam import FLOOR, Adam, relative_rate, whitening


def correlated(count: int, channels: int, seed: int = 0) -> Tensor:
    """Return rows (count, channels) whose channels are strongly correlated."""
    draw = torch.Generator().manual_seed(seed)
    common = torch.randn(count, 1, generator=draw, dtype=torch.float64)
    return common + 0.1 * torch.randn(count, channels, generator=draw, dtype=torch.float64)


def test_whitening_gives_uncorrelated_channels_of_equal_variance() -> None:
    x = correlated(5000, 6) @ torch.diag(torch.tensor([1, 3, 1, 1, 0.5, 1], dtype=torch.float64))
    covariance = x.T.cov()
    axes = whitening(covariance)
    floored = covariance / covariance.diagonal().mean() + FLOOR * torch.eye(6)
    torch.testing.assert_close(axes @ floored @ axes, torch.eye(6, dtype=torch.float64))


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e6])
def test_whitening_does_not_depend_on_scale_and_allows_constant_channels(scale: float) -> None:
    covariance = torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    axes = whitening(scale * covariance)
    assert axes.isfinite().all()
    assert axes.diagonal().max() == pytest.approx(FLOOR**-0.5)
    if scale:
        torch.testing.assert_close(axes, whitening(covariance))


def loss_after_steps(whitened: bool, steps: int, x: Tensor, y: Tensor) -> float:
    """Return the loss of a linear map from x to y after some steps of Adam, whitened or not."""
    module = nn.Linear(x.shape[1], y.shape[1]).double()
    nn.init.zeros_(module.weight)
    optimizer = Adam(module, {"weight": x.T.cov()} if whitened else {})
    for _ in range(steps):
        optimizer.zero_grad()
        functional.mse_loss(module(x), y).backward()
        optimizer.step(1e-2)
    return functional.mse_loss(module(x), y).item()


def test_whitened_steps_fit_directions_of_small_variance_faster() -> None:
    x = correlated(500, 8)
    y = (x[:, :1] - x[:, 1:2]) * 5  # along a direction of a hundredth of the variance
    plain_loss, whitened_loss = (loss_after_steps(whitened, 60, x, y) for whitened in (False, True))
    assert whitened_loss < plain_loss / 3


def test_whitened_adam_is_torchs_adam_for_uncorrelated_channels_of_equal_variance() -> None:
    x, y = (torch.randn(200, 5, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    weights = []
    for whitened in (True, False):
        torch.manual_seed(0)
        module = nn.Linear(5, 5)
        nn.init.orthogonal_(module.weight)  # its outputs have the spread of its inputs
        optimizer = Adam(module, {"weight": torch.eye(5)} if whitened else {})
        rates = {"weight": 1e-2 if whitened else 1e-2 / (1 + FLOOR) ** 0.5, "bias": 1e-2}
        torchs = torch.optim.Adam([{"params": [w], "lr": rates[name]} for name, w in module.named_parameters()])
        for _ in range(30):
            optimizer.zero_grad()
            functional.mse_loss(module(x), y).backward()
            optimizer.step(1e-2) if whitened else torchs.step()
        weights.append(module.weight.detach())
    torch.testing.assert_close(weights[0], weights[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_steps_are_relative_to_the_spread_of_inputs_and_outputs(scale: float) -> None:
    """Scale the inputs of a map, or its outputs: after the same steps, it gives the same outputs in these units."""
    x, y = correlated(200, 4), correlated(200, 3, seed=1)
    outputs = []
    for of_inputs, of_outputs in ((1.0, 1.0), (scale, 1.0), (1.0, scale)):
        module = nn.Linear(4, 3, bias=False).double()
        with torch.no_grad():
            module.weight.copy_(torch.ones(3, 4) * of_outputs / of_inputs)
        optimizer = Adam(module, {"weight": (of_inputs * x).T.cov()})
        for _ in range(20):
            optimizer.zero_grad()
            functional.mse_loss(module(of_inputs * x) / of_outputs, y).backward()
            optimizer.step(1e-2)
        outputs.append(module(of_inputs * x).detach() / of_outputs)
    torch.testing.assert_close(outputs[1], outputs[0], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(outputs[2], outputs[0], atol=1e-4, rtol=1e-3)


def test_the_relative_rate_is_one_over_the_root_of_the_inputs_of_an_output() -> None:
    assert relative_rate(nn.Linear(64, 10)) == pytest.approx(1 / 8)
    assert relative_rate(nn.Conv2d(4, 7, 3)) == pytest.approx(1 / 6)
    assert relative_rate(nn.Identity()) == 1


def test_each_place_of_a_kernel_is_whitened_separately() -> None:
    """Compare a kernel that has a gradient only at its centre with a 1x1 convolution."""
    covariance = correlated(100, 3).T.cov()
    x = torch.randn(20, 3, 1, 1, generator=torch.Generator().manual_seed(3))
    weights = []
    for size in (1, 3):
        conv = nn.Conv2d(3, 4, size, padding=size // 2, bias=False)
        nn.init.zeros_(conv.weight)
        optimizer = Adam(conv, {"weight": covariance})
        for _ in range(5):
            optimizer.zero_grad()
            (conv(x) - x.sum(1, keepdim=True)).square().mean().backward()
            optimizer.step(1e-2)
        weights.append(conv.weight.detach())
    torch.testing.assert_close(weights[1][:, :, 1, 1], weights[0][:, :, 0, 0])
    assert weights[1].count_nonzero() == weights[0].count_nonzero()


@pytest.mark.parametrize(("name", "bottom_shape", "top_shape"), [
    ("conv1x1", (5, 4, 4), (7, 4, 4)), ("conv1x1", (9, 6), (9, 3)), ("linear", (6,), (4,)), ("low_rank", (6,), (4,)),
])  # fmt: skip
def test_a_stitcher_reports_the_covariance_that_its_weight_reads(
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
    inputs = by_channel(x).float()
    if isinstance(stitcher, BetweenNorms):
        assert stitcher.norm_in is not None
        norm = stitcher.eval().norm_in
        assert norm is not None
        inputs = norm(inputs[:, :, None, None]).flatten(1) if isinstance(norm, nn.BatchNorm2d) else norm(inputs)
    assert name_of_weight in dict(stitcher.named_parameters())
    torch.testing.assert_close(inputs.double().T.cov(correction=0), covariance, atol=1e-4, rtol=1e-4)
