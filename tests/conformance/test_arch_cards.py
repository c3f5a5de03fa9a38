"""Every architecture's card says what its builder builds: cuts, shapes, costs."""

import itertools

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sweeper.spec.cards.archs import ARCHS, network, settings
from sweeper.spec.cards.card import Shape
from sweeper.trials.archs import build
from sweeper.trials.cut import bottom

SHAPES: list[Shape] = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 9, 13), (1, 4, 4), (3, 64, 64)]
BUILT = [
    (name, {"width": width}, shape, classes)
    for name, width, (shape, classes) in itertools.product(
        ARCHS, (1, 5), zip(SHAPES, (10, 10, 7, 2, 3, 10), strict=True)
    )
]


def _flops(module: torch.nn.Module, x: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(x)
    return counter.get_total_flops()


@pytest.mark.parametrize(("name", "options", "shape", "classes"), BUILT)
def test_builder_keeps_the_card(name: str, options: dict[str, int], shape: Shape, classes: int) -> None:
    card = network(name, options, shape, classes)
    model = build(name, options, shape, classes).eval()
    x = torch.randn(1, *shape)
    assert card.parameters == sum(weights.numel() for weights in model.parameters())
    assert card.flops == _flops(model, x)
    assert model(x).shape == (1, classes)
    for cut in card.cuts:
        half = bottom(model, cut.name)
        assert half(x).shape == (1, *cut.shape)
        assert _flops(half, x) == cut.flops


@pytest.mark.parametrize("name", ARCHS)
def test_cuts_are_in_order_and_only_the_end_is_none(name: str) -> None:
    cuts = network(name, {}, (3, 32, 32), 10).cuts
    stages = [key for key, _ in build(name, {"width": 1}, (3, 32, 32), 10).get_submodule("stages").named_children()]
    assert [cut.name for cut in cuts] == stages[:-1]
    assert all(a.position < b.position and a.depth < b.depth for a, b in itertools.pairwise(cuts))
    assert all(0 < cut.depth < 1 for cut in cuts)


def test_resnet18k_is_cut_where_the_paper_cuts_it() -> None:
    card = network("resnet18k", {}, (3, 32, 32), 10)
    assert [cut.name for cut in card.cuts] == ["conv1", *(f"block{i}" for i in range(1, 9)), "pool"]
    assert [cut.position for cut in card.cuts] == [*range(1, 10), 11]
    assert [round(19 * cut.depth, 9) for cut in card.cuts] == [*range(1, 19, 2), 18]
    assert 11.1e6 < card.parameters < 11.2e6


def test_myrtle_is_cut_where_the_paper_cuts_it() -> None:
    cuts = network("myrtle", {}, (3, 32, 32), 10).cuts
    assert [(cut.name, round(6 * cut.depth, 9)) for cut in cuts] == [
        ("conv1", 1), ("conv2", 2), ("conv3", 3), ("conv4", 4), ("pool", 5)
    ]  # fmt: skip
    assert [cut.shape for cut in cuts] == [(64, 32, 32), (128, 32, 32), (256, 16, 16), (512, 8, 8), (512,)]


@pytest.mark.parametrize("name", ARCHS)
def test_options_left_out_take_their_defaults(name: str) -> None:
    assert network(name, {}, (1, 8, 8), 10) is network(name, (("width", 64),), (1, 8, 8), 10)
    assert settings(name, {"width": 3}) == {"width": 3}
    with pytest.raises(ValueError, match=r"no option depth; it has width"):
        network(name, {"depth": 3}, (1, 8, 8), 10)
