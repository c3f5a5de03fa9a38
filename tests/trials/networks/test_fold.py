"""Tests of folding: the frozen copy computes the same with fewer norms."""

import pytest
import torch
from support.toy_archs import TINY
from torch import Tensor, nn

from sweeper.spec.cards.archs import ARCHS, network
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.cut import bottom, top
from sweeper.trials.networks.fold import ScaleAndShift, fold


def _network_with_trained_norms(name: str) -> tuple[nn.Module, Tensor]:
    """Return a network whose norms are far from the identity, and images."""
    model = build(name, TINY[name], (3, 16, 16), 10)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2, generator=generator)
            nn.init.normal_(module.bias, generator=generator)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, generator=generator)
            nn.init.uniform_(module.running_var, 0.2, 3, generator=generator)
    return model.eval(), torch.randn(8, 3, 16, 16, generator=generator)


def _relative_difference(x: Tensor, y: Tensor) -> float:
    """Return the largest difference, relative to the largest value."""
    return float((x - y).abs().max() / y.abs().max())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", ARCHS)
def test_the_tensors_at_cuts_and_the_logits_are_unchanged(name: str, layout: torch.memory_format) -> None:
    model, x = _network_with_trained_norms(name)
    model.to(memory_format=layout)
    folded = fold(model)
    with torch.no_grad():
        assert _relative_difference(folded(x), model(x)) < 1e-5
        for cut in network(name, TINY[name], (3, 16, 16), 10).cuts:
            tensor = bottom(model, cut.name)(x)
            assert _relative_difference(bottom(folded, cut.name)(x), tensor) < 1e-5
            assert _relative_difference(fold(top(model, cut.name))(tensor), model(x)) < 1e-5


def test_half_of_the_norms_of_a_resnet_are_folded() -> None:
    model, _ = _network_with_trained_norms("resnet18k")
    kinds = [type(module) for module in fold(model).modules()]
    assert kinds.count(nn.BatchNorm2d) == 0
    assert kinds.count(nn.Identity) == 8
    assert kinds.count(ScaleAndShift) == 8


def test_all_norms_of_a_post_activation_resnet_are_folded() -> None:
    model, _ = _network_with_trained_norms("resnet_cifar")
    kinds = [type(module) for module in fold(model).modules()]
    assert kinds.count(nn.BatchNorm2d) == kinds.count(ScaleAndShift) == 0
    assert kinds.count(nn.Identity) == 7


def test_layer_norms_are_not_folded() -> None:
    """Fold a vision transformer: a layer norm's scale depends on its input, so it can't be folded."""
    model, _ = _network_with_trained_norms("vit")
    kinds = [[type(module) for module in network.modules()] for network in (model, fold(model))]
    assert kinds[0] == kinds[1]
    assert kinds[1].count(nn.LayerNorm) == 5


@pytest.mark.parametrize("name", ARCHS)
def test_the_original_is_unchanged_and_shares_no_memory_with_the_copy(name: str) -> None:
    model, _ = _network_with_trained_norms(name)
    original_state = {key: value.clone() for key, value in model.state_dict().items()}
    folded = fold(model.train())
    assert model.training
    assert not any(module.training for module in folded.modules())
    assert all(weights.requires_grad for weights in model.parameters())
    assert all(torch.equal(value, original_state[key]) for key, value in model.state_dict().items())
    model_addresses = {tensor.data_ptr() for tensor in model.state_dict().values()}
    assert not model_addresses & {tensor.data_ptr() for tensor in folded.state_dict().values()}


@pytest.mark.parametrize("name", ARCHS)
def test_gradients_reach_the_input_and_no_weight(name: str) -> None:
    model, x = _network_with_trained_norms(name)
    gradients = []
    for network_ in (model, fold(model)):
        x = x.detach().requires_grad_()
        network_(x).square().sum().backward()
        gradients.append(x.grad)
    assert _relative_difference(gradients[1], gradients[0]) < 1e-4
    assert not any(weights.requires_grad for weights in fold(model).parameters())


def test_a_norm_of_vectors_is_folded_too() -> None:
    norm = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU())
    for _ in range(20):
        norm(3 + torch.randn(30, 4))
    x = torch.randn(7, 4)
    with torch.no_grad():
        assert _relative_difference(fold(norm)(x), norm.eval()(x)) < 1e-5
