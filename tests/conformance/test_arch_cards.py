"""Tests of the cards of all architectures against their builders: cuts, shapes, costs."""

import itertools

import pytest
import torch
from support.toy_archs import TINY
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sweeper.spec.cards.archs import ARCHS, complete_options, network
from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.shapes import channels
from sweeper.trials.networks.affine_check import is_affine, keeps_channels
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.archs.staged import stages
from sweeper.trials.networks.cut import bottom, top

SHAPES: list[Shape] = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 9, 13), (1, 4, 4), (3, 64, 64)]
SETTINGS: dict[str, list[OptionValues]] = {
    "resnet18k": [{"width": 1}, {"width": 5}],
    "myrtle": [{"width": 1}, {"width": 5}],
    "preact_resnet_cifar": [{"blocks": 1, "width": 1}, {"blocks": 3, "width": 5}],
    "resnet_cifar": [{"blocks": 1, "width": 1}, {"blocks": 3, "width": 5}],
    "vit": [
        {"patch": 1, "depth": 1, "dim": 3, "heads": 1, "mlp_ratio": 1},
        {"patch": 4, "depth": 3, "dim": 10, "heads": 5, "mlp_ratio": 3},
    ],
    "mlp": [{"depth": 1, "width": 1}, {"depth": 4, "width": 5}],
}
NETWORKS = [
    (name, options, shape, classes)
    for name, (shape, classes) in itertools.product(ARCHS, zip(SHAPES, (10, 10, 7, 2, 3, 10), strict=True))
    for options in SETTINGS[name]
    if not ARCHS[name].misfit(options, shape)
]


def _flops(module: torch.nn.Module, x: torch.Tensor) -> int:
    """Count the floating-point operations of a forward pass.

    Attention is computed by plain products, because the counter doesn't see into the CPU's fused kernel (torch 2.14).
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        module(x)
    return counter.get_total_flops()


@pytest.mark.parametrize(("name", "options", "shape", "classes"), NETWORKS)
def test_a_built_network_has_the_shapes_and_costs_of_its_card(
    name: str, options: OptionValues, shape: Shape, classes: int
) -> None:
    card = network(name, options, shape, classes)
    model = build(name, options, shape, classes).eval()
    x = torch.randn(1, *shape)
    assert card.parameters == sum(weights.numel() for weights in model.parameters())
    assert card.flops == _flops(model, x)
    assert model(x).shape == (1, classes)
    for cut in card.cuts:
        bottom_half = bottom(model, cut.name)
        assert bottom_half(x).shape == (1, *cut.shape)
        assert _flops(bottom_half, x) == cut.flops


@pytest.mark.parametrize(("name", "options", "shape", "classes"), NETWORKS)
def test_the_card_says_after_which_cuts_all_layers_are_affine(
    name: str, options: OptionValues, shape: Shape, classes: int
) -> None:
    card = network(name, options, shape, classes)
    model = build(name, options, shape, classes).eval()
    for cut in card.cuts:
        assert cut.affine_top == is_affine(top(model, cut.name), cut.shape), cut.name
    assert card.output(classes).affine_top
    assert card.cuts[-1].affine_top


@pytest.mark.parametrize(("name", "options", "shape", "classes"), NETWORKS)
def test_the_card_says_which_cuts_differ_in_places_alone(
    name: str, options: OptionValues, shape: Shape, classes: int
) -> None:
    card = network(name, options, shape, classes)
    layers = stages(build(name, options, shape, classes).eval())
    for before, cut in itertools.pairwise(card.cuts):
        same = channels(before.shape) == channels(cut.shape) and keeps_channels(layers[cut.name], before.shape)
        assert cut.same_as == ((before.same_as or before.name) if same else ""), cut.name


def test_resnet18k_ends_in_two_cuts_of_one_linear_probe() -> None:
    cuts = network("resnet18k", {}, (3, 32, 32), 10).cuts
    assert [cut.name for cut in cuts if cut.affine_top] == ["block8", "pool"]
    assert {cut.name: cut.same_as for cut in cuts if cut.same_as} == {"pool": "block8"}


@pytest.mark.parametrize("name", ARCHS)
def test_cuts_are_in_order_and_every_stage_except_the_last_ends_with_a_cut(name: str) -> None:
    cuts = network(name, TINY[name], (3, 32, 32), 10).cuts
    stages = [key for key, _ in build(name, TINY[name], (3, 32, 32), 10).get_submodule("stages").named_children()]
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


@pytest.mark.parametrize(
    ("blocks", "layers", "millions"), [(3, 20, 0.27), (5, 32, 0.46), (9, 56, 0.85), (18, 110, 1.7)]
)
def test_resnet_cifar_has_the_layers_and_parameters_of_he_et_al(blocks: int, layers: int, millions: float) -> None:
    """Compare with He et al. 2016, table 6, which counts the layers with weights: all except the pooling."""
    card = network("resnet_cifar", {"blocks": blocks}, (3, 32, 32), 10)
    assert card.parameters / 1e6 == pytest.approx(millions, abs=0.05 if blocks == 18 else 0.005)
    assert [cut.name for cut in card.cuts] == ["stem", *(f"block{i}" for i in range(1, 3 * blocks + 1)), "pool"]
    assert [cut.position for cut in card.cuts] == [*range(1, 3 * blocks + 2), 3 * blocks + 3]
    assert [round((layers + 1) * cut.depth, 6) for cut in card.cuts] == [*range(1, layers, 2), layers]
    assert [cut.shape for cut in card.cuts[blocks::blocks]] == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


@pytest.mark.parametrize(
    ("blocks", "layers", "parameters"), [(3, 20, 272_282), (6, 38, 563_930), (18, 110, 1_730_522), (27, 164, 2_605_466)]
)
def test_preact_resnet_cifar_is_cut_where_the_authors_cut_it(blocks: int, layers: int, parameters: int) -> None:
    """Check the number of parameters and the positions, counted in the modules of the authors' code.

    Their modules are a convolution, 3n blocks, a norm, a ReLU, pooling, flattening and a linear layer.
    """
    card = network("preact_resnet_cifar", {"blocks": blocks}, (3, 32, 32), 10)
    assert card.parameters == parameters
    assert [cut.name for cut in card.cuts] == ["conv1", *(f"block{i}" for i in range(1, 3 * blocks + 1)), "pool"]
    assert [cut.position for cut in card.cuts] == [*range(1, 3 * blocks + 2), 3 * blocks + 5]
    assert [round((layers + 1) * cut.depth, 6) for cut in card.cuts] == [*range(1, layers, 2), layers]
    assert [cut.shape for cut in card.cuts[blocks::blocks]] == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


def test_vit_is_cut_into_tokens() -> None:
    card = network("vit", {}, (3, 32, 32), 10)
    assert [cut.name for cut in card.cuts] == ["embed", *(f"block{i}" for i in range(1, 13)), "pool"]
    assert [cut.shape for cut in card.cuts] == [(64, 768)] * 13 + [(768,)]
    assert [round(27 * cut.depth, 9) for cut in card.cuts] == [*range(1, 26, 2), 26]
    assert 85e6 < card.parameters < 86e6


@pytest.mark.parametrize(
    ("options", "shape", "reason"),
    [
        ({"patch": 3}, (3, 32, 32), "patch 3 does not divide images of 32x32"),
        ({"patch": 3}, (3, 9, 13), "patch 3 does not divide images of 9x13"),
        ({"patch": 16}, (1, 8, 8), "patch 16 does not divide images of 8x8"),
        ({"heads": 5}, (3, 32, 32), "heads 5 does not divide dim 768"),
    ],
)
def test_a_network_that_does_not_fit_its_images_is_refused_with_the_reason(
    options: OptionValues, shape: Shape, reason: str
) -> None:
    assert ARCHS["vit"].misfit(complete_options("vit", options), shape) == reason
    for function in (network, build):
        with pytest.raises(ValueError, match=reason):
            function("vit", options, shape, 10)


@pytest.mark.parametrize("name", ARCHS)
def test_every_architecture_except_vit_fits_images_of_any_size(name: str) -> None:
    assert ARCHS[name].misfit(complete_options(name, {}), (3, 32, 32)) == ""
    if name != "vit":
        assert ARCHS[name].misfit(complete_options(name, {}), (2, 1, 7)) == ""


@pytest.mark.parametrize("name", ARCHS)
def test_options_left_out_take_their_defaults(name: str) -> None:
    defaults = {option: spec.default for option, spec in ARCHS[name].options.items() if spec.default is not None}
    assert network(name, {}, (1, 8, 8), 10) is network(name, tuple(defaults.items()), (1, 8, 8), 10)
    assert complete_options(name, TINY[name]) == {**defaults, **TINY[name]}
    with pytest.raises(ValueError, match=rf"no option size; it has {', '.join(defaults)}"):
        network(name, {"size": 3}, (1, 8, 8), 10)


@pytest.mark.parametrize("name", ARCHS)
def test_the_number_of_layers_is_bounded(name: str) -> None:
    """The time to make a card grows with its layers, so an option that adds layers needs an upper bound."""
    for option, spec in ARCHS[name].options.items():
        if len(network(name, TINY[name], (3, 8, 8), 10).cuts) != len(
            network(name, {**TINY[name], option: 2 * int(TINY[name][option])}, (3, 8, 8), 10).cuts
        ):
            assert spec.most is not None, option
