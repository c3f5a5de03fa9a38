"""Tests of the tensors that a saved state holds: what is restored behaves as what was saved."""

import pytest
import torch
from torch import nn

from sweeper.spec.records.saved_state import StateError
from sweeper.trials.process.state_tensors import (
    generators,
    module_tensors,
    optimizer_tensors,
    restore_generators,
    restore_module,
    restore_optimizer,
)


def network() -> nn.Module:
    """Return a small network with norms, in channels last, as on a CPU."""
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    return layers.to(memory_format=torch.channels_last)


OPTIMIZERS = {
    "SGD": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9, fused=True),
    "SGD without momentum": lambda weights: torch.optim.SGD(weights, lr=0.1),
    "Adam": lambda weights: torch.optim.Adam(weights, lr=0.01),
}


def step(layers: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    """Take a step on random images."""
    images = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(seed))

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = layers(images).square().mean()
        value.backward()
        return value

    loss()
    optimizer.step()


@pytest.mark.parametrize("name", ["SGD", "SGD without momentum", "Adam"])
def test_a_restored_optimizer_takes_the_same_steps(name: str) -> None:
    layers, restored = network(), network()
    optimizer, new_optimizer = (OPTIMIZERS[name](module.parameters()) for module in (layers, restored))
    for seed in range(3):
        step(layers, optimizer, seed)
    tensors = module_tensors("network", layers) | optimizer_tensors("optimizer", optimizer)
    tensors = {key: x.detach().clone().contiguous() for key, x in tensors.items()}  # as in a file
    restore_module("network", restored, tensors)()
    restore_optimizer("optimizer", new_optimizer, tensors)()
    for seed in range(3, 6):
        step(layers, optimizer, seed)
        step(restored, new_optimizer, seed)
    for saved, x in zip(layers.state_dict().values(), restored.state_dict().values(), strict=True):
        assert torch.equal(saved, x)
    for saved, x in zip(layers.parameters(), restored.parameters(), strict=True):
        momentum, new_momentum = optimizer.state[saved], new_optimizer.state[x]
        assert momentum.keys() == new_momentum.keys()
        for quantity, value in momentum.items():
            if isinstance(value, torch.Tensor):
                assert value.stride() == new_momentum[quantity].stride()


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("network.0.weight"),
        lambda tensors: tensors.update({"network.0.weight": torch.zeros(4, 3, 3, 2)}),
        lambda tensors: tensors.update({"network.1.running_mean": torch.zeros(4, dtype=torch.float64)}),
    ],
    ids=["missing", "shape", "type"],
)
def test_tensors_of_another_network_are_refused_before_anything_changes(change: object) -> None:
    layers = network()
    before = {name: x.clone() for name, x in layers.state_dict().items()}
    tensors = {name: x.detach() + 1 for name, x in module_tensors("network", layers).items()}
    change(tensors)  # type: ignore[operator]
    with pytest.raises(StateError, match="is missing or of another form"):
        restore_module("network", layers, tensors)
    assert all(torch.equal(before[name], x) for name, x in layers.state_dict().items())


@pytest.mark.parametrize("key", ["optimizer.9.momentum_buffer", "optimizer.x.momentum_buffer"])
def test_an_optimizer_refuses_the_state_of_a_parameter_that_it_lacks(key: str) -> None:
    with pytest.raises(StateError, match="belongs to no parameter"):
        restore_optimizer("optimizer", OPTIMIZERS["SGD"](network().parameters()), {key: torch.zeros(1)})


def test_restored_generators_draw_the_same_numbers() -> None:
    saved = generators()
    drawn = torch.rand(5)
    restore_generators(saved)()
    assert torch.equal(torch.rand(5), drawn)


def test_other_generators_are_refused() -> None:
    with pytest.raises(StateError, match=r"generator\.cpu is missing"):
        restore_generators({"generator.cpu": torch.zeros(3)})
