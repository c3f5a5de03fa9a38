"""Tests of building: the seed decides the weights, and torch's global generator is unchanged."""

import math

import pytest
import torch
from support.toy_archs import TINY
from torch import Tensor, nn
from torch.nn import functional

from sweeper.spec.cards.archs import ARCHS
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.archs.vit import Embed


@pytest.mark.parametrize("name", ARCHS)
def test_weights_depend_only_on_the_seed(name: str) -> None:
    torch.manual_seed(1)
    first = build(name, TINY[name], (1, 8, 8), 10, seed=7)
    torch.rand(5)
    same_seed = build(name, tuple(TINY[name].items()), (1, 8, 8), 10, seed=7)
    other_seed = build(name, TINY[name], (1, 8, 8), 10, seed=8)
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), same_seed.state_dict().values(), strict=True)
    )
    for (key, a), b in zip(first.named_parameters(), other_seed.parameters(), strict=True):
        if a.dim() > 1:
            assert not torch.equal(a, b), key


@pytest.mark.parametrize("name", ARCHS)
def test_the_global_generator_is_unchanged(name: str) -> None:
    generator_state = torch.random.get_rng_state()
    build(name, TINY[name], (1, 8, 8), 10, seed=7)
    assert torch.equal(torch.random.get_rng_state(), generator_state)


@pytest.mark.parametrize("name", ARCHS)
def test_initial_weights_have_the_variance_of_kaiming(name: str) -> None:
    """Check the variance: its gain is 2 for layers before a ReLU (convolutions, an mlp's hidden layers), else 1."""
    wide = {"dim": 48, "heads": 3} if name == "vit" else {"width": 32}
    network = build(name, wide, (3, 32, 32), 10)
    hidden = list(network.modules())[:-1] if name == "mlp" else []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            gain = 2 if isinstance(module, nn.Conv2d) or module in hidden else 1
            expected = math.sqrt(gain / module.weight[0].numel())
            assert float(module.weight.detach().std()) == pytest.approx(expected, rel=0.1)
            assert module.bias is None or not module.bias.any()


def test_position_vectors_start_with_the_variance_of_patches() -> None:
    embed = build("vit", {"patch": 2, "dim": 96}, (3, 32, 32), 10).get_submodule("stages.embed")
    assert isinstance(embed, Embed)
    assert float(embed.position.detach().std()) == pytest.approx(1, rel=0.05)
    patches = embed.patches(torch.randn(20, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert float(patches.detach().std()) == pytest.approx(math.sqrt(2), rel=0.1)


@torch.no_grad()
def test_preact_resnet_cifar_computes_what_the_authors_network_computes() -> None:
    """Compare with a definition in functions, for norms with scales, shifts and statistics of their own."""
    network = build("preact_resnet_cifar", {"blocks": 2, "width": 3}, (3, 12, 12), 10).eval()
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                assert tensor is not None
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    x = torch.randn(4, 3, 12, 12, generator=generator)
    state = {name.removeprefix("stages."): tensor for name, tensor in network.state_dict().items()}
    assert torch.allclose(network(x), _preact_logits(state, x, blocks=2), atol=1e-5)


def _preact_logits(state: dict[str, Tensor], x: Tensor, blocks: int) -> Tensor:
    """Return the logits of hysts' `resnet_preact` with `preact_stage` true, no last norm and a first ReLU in blocks."""

    def norm_relu(x: Tensor, name: str) -> Tensor:
        statistics = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return functional.relu(
            functional.batch_norm(x, *statistics, weight=state[f"{name}.weight"], bias=state[f"{name}.bias"])
        )

    x = functional.conv2d(x, state["conv1.weight"], padding=1)
    for number in range(3 * blocks):
        name, stride = f"block{number + 1}", 2 if number in (blocks, 2 * blocks) else 1
        normed = norm_relu(x, f"{name}.enter.0")
        y = functional.conv2d(normed, state[f"{name}.residual.0.weight"], stride=stride, padding=1)
        y = functional.conv2d(norm_relu(y, f"{name}.residual.1"), state[f"{name}.residual.3.weight"], padding=1)
        first_of_stage = number % blocks == 0
        shortcut = normed if first_of_stage else x
        if f"{name}.shortcut.weight" in state:
            shortcut = functional.conv2d(shortcut, state[f"{name}.shortcut.weight"], stride=stride)
        assert (f"{name}.shortcut.weight" in state) == (stride == 2)
        x = y + shortcut
    pooled = norm_relu(x, "pool.0").mean((2, 3))
    return functional.linear(pooled, state["linear.weight"], state["linear.bias"])


@pytest.mark.parametrize("width", [1, 2, 4, 6, 8])
@pytest.mark.parametrize("name", ARCHS)
def test_gradients_are_correct_in_the_memory_layout_of_training(name: str, width: int) -> None:
    """Compare the gradients of training (float32, channels_last) with exact ones.

    For few channels, oneDNN's gradient of a strided 1 x 1 convolution in channels_last is wrong and overwrites the
    heap, so no network may contain such a convolution.
    """
    options = {**TINY[name], "dim": 3 * width} if name == "vit" else {**TINY[name], "width": width}
    x = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    float64_gradient, training_gradient = (
        _gradient(build(name, options, (3, 16, 16), 10).to(dtype).to(memory_format=layout), x.to(dtype))
        for dtype, layout in ((torch.float64, torch.contiguous_format), (torch.float32, torch.channels_last))
    )
    assert float((float64_gradient - training_gradient).norm() / float64_gradient.norm()) < 0.02
    # Not exactly equal: by rounding, a unit's input near 0 may have the other sign, and its ReLU another gradient.


def _gradient(model: nn.Module, x: Tensor) -> Tensor:
    model(x).square().sum().backward()
    return torch.cat([weights.grad.flatten().double() for weights in model.parameters() if weights.grad is not None])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(KeyError):
        build("resnet19", {}, (1, 8, 8), 10)
    with pytest.raises(ValueError, match="no option depth"):
        build("myrtle", {"depth": 2}, (1, 8, 8), 10)
