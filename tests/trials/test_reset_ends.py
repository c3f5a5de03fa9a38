"""A trained network with its ends drawn again: the ends as at the start of training, the rest as it was."""

import math

import pytest
import torch
from torch import Tensor, nn
from toy_archs import TINY

from sweeper.spec.cards.archs import ARCHS
from sweeper.trials.archs import build
from sweeper.trials.reset_ends import reset_ends

ENDS = {
    "resnet18k": ("stages.conv1.", "stages.linear."),
    "myrtle": ("stages.conv1.", "stages.linear."),
    "resnet_cifar": ("stages.stem.0.", "stages.linear."),
    "vit": ("stages.embed.patches.", "stages.linear."),
    "mlp": ("stages.hidden1.1.", "stages.linear."),
}


def _trained(name: str) -> nn.Module:
    """A network none of whose weights, biases and averages is what a fresh one holds."""
    network = build(name, TINY[name], (3, 8, 8), 10).to(memory_format=torch.channels_last)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.add_(1)
    return network


@pytest.mark.parametrize("name", ARCHS)
def test_the_ends_are_new_and_the_rest_is_kept_bit_for_bit(name: str) -> None:
    network = _trained(name)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    after = reset_ends(network, seed=5).state_dict()
    assert {key for key in before if not torch.equal(before[key], after[key])} == {
        key for key in before if key.startswith(ENDS[name])
    }
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items()), (
        "a copy, not the network"
    )


@pytest.mark.parametrize("name", ARCHS)
def test_the_seed_alone_decides_what_is_drawn(name: str) -> None:
    before = torch.random.get_rng_state()
    other = build(name, TINY[name], (3, 8, 8), 10, seed=1)
    drawn = [_ends(name, reset_ends(network, seed)) for network, seed in ((_trained(name), 5), (other, 5), (other, 6))]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", ARCHS)
def test_the_ends_are_drawn_as_at_the_start_of_training(name: str) -> None:
    wide = {"dim": 48, "heads": 3, "depth": 1} if name == "vit" else {"width": 64}
    fresh = build(name, wide, (3, 32, 32), 10)
    reset = reset_ends(fresh, seed=1)
    for end in ENDS[name]:
        drawn, started = (network.state_dict()[f"{end}weight"] for network in (reset, fresh))
        few = 4 / math.sqrt(2 * drawn.numel())  # standard errors of a deviation, relative
        assert float(drawn.std()) == pytest.approx(float(started.std()), rel=math.sqrt(2) * few)
        assert float(drawn.mean()) == pytest.approx(0, abs=few * float(started.std()) * math.sqrt(2))
        assert not any(tensor.any() for key, tensor in reset.state_dict().items() if key == f"{end}bias")


def test_a_network_of_one_layer_has_no_two_ends() -> None:
    with pytest.raises(ValueError, match="a network of 1 layers"):
        reset_ends(nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), seed=0)


def _ends(name: str, network: nn.Module) -> Tensor:
    return torch.cat([tensor.flatten() for key, tensor in network.state_dict().items() if key.startswith(ENDS[name])])
