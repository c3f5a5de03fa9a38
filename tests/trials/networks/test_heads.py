"""Tests of the head of a network: the layers that make its logits."""

import torch
from torch import nn

from sweeper.trials.networks.archs import build
from sweeper.trials.networks.heads import freeze_all_but_head, head_layers, without_head
from sweeper.trials.networks.traced.construct import make


def test_the_head_is_the_last_layer() -> None:
    assert head_layers(make("torchvision:resnet18", (3, 32, 32), 10)) == ("fc",)
    assert head_layers(make("torchvision:squeezenet1_1", (3, 32, 32), 10)) == ("classifier.1",)
    assert head_layers(build("resnet18k", {"width": 2}, (1, 8, 8), 10)) == ("stages.linear",)


def test_a_description_names_the_head() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2), nn.Linear(3, 2))
    network.pretrained_cfg = {"classifier": ("1", "2")}  # type: ignore[assignment]
    assert head_layers(network) == ("1", "2")


def test_stages_remember_the_head_of_their_network() -> None:
    network = build("torchvision:resnet18", (), (3, 32, 32), 10)
    names = {name for name in network.state_dict() if name not in without_head(network, network.state_dict())}
    assert {name.rpartition(".")[2] for name in names} == {"weight", "bias"}
    assert [tuple(network.state_dict()[name].shape) for name in sorted(names)] == [(10,), (10, 512)]


def test_all_layers_but_the_head_are_frozen() -> None:
    network = build("resnet18k", {"width": 2}, (1, 8, 8), 10)
    freeze_all_but_head(network)
    trained = [name for name, weights in network.named_parameters() if weights.requires_grad]
    assert trained == ["stages.linear.weight", "stages.linear.bias"]
    statistics = {name: tensor.clone() for name, tensor in network.named_buffers()}
    network(torch.rand(4, 1, 8, 8))
    assert all(tensor.equal(statistics[name]) for name, tensor in network.named_buffers())
