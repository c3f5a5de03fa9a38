"""Tests of bottoms and tops: together they compute the network, and they share its modules."""

import itertools

import pytest
import torch
from support.toy_archs import TINY
from torch import Tensor, nn

from sweeper.spec.cards.archs import ARCHS, network
from sweeper.spec.cards.card import Shape
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.cut import bottom, top

SHAPES: list[Shape] = [(1, 8, 8), (3, 32, 32), (1, 28, 28)]
CUTS = [
    (name, shape, cut.name)
    for name, shape in itertools.product(ARCHS, SHAPES)
    for cut in network(name, TINY[name], shape, 10).cuts
]


def _model(name: str, shape: Shape) -> tuple[nn.Module, Tensor]:
    """Return a network whose norms have running averages of some images, and these images."""
    model = build(name, TINY[name], shape, 10)
    x = torch.randn(6, *shape)
    with torch.no_grad():
        model(x)
    return model, x


@pytest.mark.parametrize(("name", "shape", "cut"), CUTS)
@pytest.mark.parametrize("training", [False, True])
def test_the_top_of_the_bottom_computes_the_network(name: str, shape: Shape, cut: str, training: bool) -> None:
    model, x = _model(name, shape)
    model.train(training)
    with torch.no_grad():
        assert torch.equal(top(model, cut)(bottom(model, cut)(x)), model(x))


@pytest.mark.parametrize("name", ARCHS)
def test_halves_share_all_weights_and_do_not_change_train_or_eval_mode(name: str) -> None:
    model, _ = _model(name, (1, 8, 8))
    model.eval()
    next(model.get_submodule("stages").children()).train()
    modes = [module.training for module in model.modules()]
    for cut in network(name, TINY[name], (1, 8, 8), 10).cuts:
        halves = [*bottom(model, cut.name).parameters(), *top(model, cut.name).parameters()]
        assert [id(weights) for weights in halves] == [id(weights) for weights in model.parameters()]
    assert [module.training for module in model.modules()] == modes


def test_a_half_can_be_cut_again() -> None:
    model, x = _model("resnet18k", (1, 8, 8))
    model.eval()
    middle = top(bottom(model, "block5"), "block2")
    with torch.no_grad():
        assert torch.equal(top(model, "block5")(middle(bottom(model, "block2")(x))), model(x))


def test_an_unknown_cut_is_refused() -> None:
    with pytest.raises(KeyError, match="no stage 'block9'; there are conv1, block1"):
        bottom(build("resnet18k", {"width": 1}, (1, 8, 8), 10), "block9")
