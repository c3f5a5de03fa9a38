"""Tests of the cuts of traced networks after which all layers are affine, and of cuts that differ in places alone."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.trials.networks.affine_check import is_affine
from sweeper.trials.networks.cut import top
from sweeper.trials.networks.traced.construct import make
from sweeper.trials.networks.traced.split_network import SplitNetwork, split_network

IMAGE = (3, 8, 8)


class Ended(nn.Module):
    """A convolution, a ReLU, and what a function makes of the map with a linear layer, a norm and a weight."""

    def __init__(self, end: Callable[["Ended", Tensor], Tensor]):
        super().__init__()
        self.conv, self.relu, self.end = nn.Conv2d(3, 4, 3), nn.ReLU(), end
        self.linear, self.norm, self.layer_norm = nn.Linear(4, 10), nn.BatchNorm1d(4), nn.LayerNorm(4)
        self.weight, self.bias = nn.Parameter(torch.randn(4, 10)), nn.Parameter(torch.randn(10))
        self.dropout, self.wide = nn.Dropout(), nn.Linear(4 * 36, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self, self.relu(self.conv(x)))


def affine_cuts(split: SplitNetwork) -> list[str]:
    return [cut.name for cut in split.card.cuts if cut.affine_top]


LINEAR_HEADS: dict[str, Callable[[Ended, Tensor], Tensor]] = {
    "pooled": lambda n, x: n.linear(x.mean((2, 3))),
    "flat": lambda n, x: n.wide(torch.flatten(x, 1)),
    "normed": lambda n, x: n.linear(n.norm(n.dropout(x.mean((2, 3))))),
    "product": lambda n, x: x.mean((2, 3)) @ n.weight + n.bias,
    "einsum": lambda n, x: torch.einsum("nchw,ck->nk", x, n.weight),
    "function": lambda n, x: functional.linear(x.mean((2, 3)), n.weight.T, n.bias),
    "temperature": lambda n, x: n.linear(x.mean((2, 3))) / 0.07 * 2 - 1,
    "sizes": lambda n, x: n.linear(x.reshape(x.shape[0], x.size(1), -1).sum(-1) / (x.shape[2] * x.shape[3])),
    "two_paths": lambda n, x: n.linear(x.mean((2, 3)) + x[:, :, 0, 0]),
    "halves": lambda n, x: n.linear(torch.cat(x.mean((2, 3)).chunk(2, 1)[::-1], 1)),
    "functional_dropout": lambda n, x: n.linear(functional.dropout(x.mean((2, 3)), 0.5, training=n.training)),
    "log_probabilities": lambda n, x: functional.log_softmax(n.linear(x.mean((2, 3))), dim=1),
    "padded": lambda n, x: n.linear(functional.pad(x, (1, 1, 1, 1)).mean((2, 3))),
    "in_place": lambda n, x: n.linear(x.mean((2, 3)).mul_(2).add_(1)),
}
CURVED_HEADS: dict[str, Callable[[Ended, Tensor], Tensor]] = {
    "maximum": lambda n, x: n.linear(x.amax((2, 3))),
    "layer_norm": lambda n, x: n.linear(n.layer_norm(x.mean((2, 3)))),
    "square": lambda n, x: n.linear((x * x).mean((2, 3))),
    "cosine": lambda n, x: functional.normalize(x.mean((2, 3))) @ n.weight,
    "attention": lambda n, x: n.linear((x * x.softmax(-1)).mean((2, 3))),
    "quotient": lambda n, x: n.linear(1 / (x.mean((2, 3)) + 1)),
    "ratio": lambda n, x: n.linear(x.mean((2, 3)) / (x.mean((1, 2, 3)).unsqueeze(1) + 1)),
    "variance": lambda n, x: n.linear(x.var((2, 3))),
    "probabilities": lambda n, x: n.linear(x.mean((2, 3))).softmax(1),
    "wide_clamp": lambda n, x: n.linear(x.mean((2, 3)).clamp(-1e6, 1e6)),
}


@pytest.mark.parametrize("name", LINEAR_HEADS)
def test_a_top_of_affine_operations_is_found(name: str) -> None:
    split = split_network(Ended(LINEAR_HEADS[name]), IMAGE, 10)
    assert affine_cuts(split)[0] == "relu"
    assert affine_cuts(split) == [cut.name for cut in split.card.cuts][1:]
    for cut in split.card.cuts:
        assert cut.affine_top == is_affine(top(split.staged, cut.name), cut.shape, logits=True)


@pytest.mark.parametrize("name", CURVED_HEADS)
def test_any_other_operation_ends_it(name: str) -> None:
    split = split_network(Ended(CURVED_HEADS[name]), IMAGE, 10)
    assert "relu" not in affine_cuts(split)


def test_a_hook_that_the_graph_does_not_show_is_found_by_numbers() -> None:
    network = Ended(LINEAR_HEADS["pooled"])
    network.linear.register_forward_hook(lambda module, inputs, output: output.relu())
    assert affine_cuts(split_network(network, IMAGE, 10)) == []


def test_a_parametrized_linear_layer_is_affine() -> None:
    network = Ended(LINEAR_HEADS["pooled"])
    nn.utils.parametrizations.weight_norm(network.linear)
    assert affine_cuts(split_network(network, IMAGE, 10)) == ["relu", "mean"]


class CosineLinear(nn.Linear):
    """A subclass of a linear layer that is not linear."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(functional.normalize(input), self.weight)


def test_a_subclass_of_a_linear_layer_may_be_curved() -> None:
    network = Ended(LINEAR_HEADS["pooled"])
    network.linear = CosineLinear(4, 10)
    assert "mean" not in affine_cuts(split_network(network, IMAGE, 10))


@pytest.mark.parametrize(
    ("name", "affine", "same"),
    [
        ("resnet18", ["layer4.1", "avgpool", "flatten"], {"avgpool": "layer4.1", "flatten": "layer4.1"}),
        ("vit_b_32", ["encoder", "getitem_5"], {"getitem_5": "encoder"}),
        ("mobilenet_v3_small", ["classifier.1"], {"avgpool": "features.12", "flatten": "features.12"}),
        ("vgg11", ["classifier.4"], {"avgpool": "features.20"}),
    ],
)
def test_networks_of_torchvision_end_in_probes(name: str, affine: list[str], same: dict[str, str]) -> None:
    split = split_network(make(f"torchvision:{name}", (3, 64, 64), 10), (3, 64, 64), 10)
    assert affine_cuts(split) == affine
    assert {cut.name: cut.same_as for cut in split.card.cuts if cut.same_as} == same


def test_the_last_hidden_layer_of_a_perceptron_is_a_probe() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 7), nn.ReLU(), nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3))
    assert affine_cuts(split_network(network, IMAGE, 3)) == ["4"]


def test_a_purely_linear_network_is_a_probe_everywhere() -> None:
    split = split_network(nn.Sequential(nn.Flatten(), nn.Linear(192, 7), nn.Linear(7, 3)), IMAGE, 3)
    assert affine_cuts(split) == [cut.name for cut in split.card.cuts]
