"""Tests of the cards of all stitchers against their builders: shapes, parameters, closed forms, eval mode."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import nn

from sweeper.spec.cards.card import OptionValues, Shape, StitcherCard, always
from sweeper.spec.cards.shapes import channels
from sweeper.spec.cards.stitchers import CONV, STITCHERS
from sweeper.trials.networks.affine_check import is_affine
from sweeper.trials.process.builder import import_builder
from sweeper.trials.stitching.stitchers.conformance import (
    SHAPES,
    apply_closed_forms,
    check_between_shapes,
    closed_forms,
    fill_unsolved,
    is_placewise,
    main,
    option_combinations,
)
from sweeper.trials.stitching.stitchers.hooks import StartsAtClosedForm

NAMES_AND_OPTIONS = [
    pytest.param(name, options, id=" ".join([name, *map(str, options.values())]))
    for name, card in STITCHERS.items()
    for options in option_combinations(card)
]
# These do not start as the least-squares map itself: its rank is bounded, the map comes from another rule (orthogonal,
# permutation), it is fitted to the top model alone (relative), or there is no map (identity).
STARTS_DIFFERENTLY = {"low_rank", "orthogonal", "permutation", "relative", "identity"}


def accepted_shapes(name: str, options: OptionValues) -> list[tuple[Shape, Shape]]:
    """Return the pairs (bottom shape, top shape) that a card accepts."""
    return [shapes for shapes in product(SHAPES, SHAPES) if not STITCHERS[name].misfit(*shapes, options)]


USER_CARD = """
from torch import nn
from sweeper.spec.cards.card import StitcherCard

def build(bottom_shape, top_shape, options):
    return nn.Linear(bottom_shape[0], top_shape[0], bias=False)

def misfit(bottom_shape, top_shape, options):
    return "" if len(bottom_shape) == len(top_shape) == 1 else "plain joins vectors"

def parameters(bottom_shape, top_shape, options):
    return bottom_shape[0] * top_shape[0]

CARD = StitcherCard(
    name="plain", meaning="a linear map without bias", builder=f"{__name__}:build", options={}, trains=True,
    misfit=misfit, parameters=parameters, parts=lambda *_: (),
)
"""


def test_the_conformance_command_accepts_a_correct_user_card_and_rejects_a_wrong_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torch.py").write_text(USER_CARD)  # the module name of an installed package
    assert main([f"{tmp_path / 'torch.py'}:CARD"]) == 0
    assert "plain agrees with its card: checked at 4 settings and pairs of shapes" in capsys.readouterr().out
    (tmp_path / "wrong.py").write_text(USER_CARD.replace("bottom_shape[0] * top_shape[0]", "7"))
    assert main([f"{tmp_path / 'wrong.py'}:CARD"]) == 1
    assert "the card says 7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "name a card"),
        ("nowhere.py:CARD", "nowhere.py"),
        ("no_such_package:CARD", "no_such_package"),
        ("sweeper.spec.cards.stitchers:NONE", "NONE"),
        ("sweeper.spec.cards.stitchers:STITCHERS", "a StitcherCard is needed"),
    ],
)
def test_the_conformance_command_reports_an_argument_that_names_no_card(
    name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name] if name else []) == 2
    assert message in capsys.readouterr().err


def check_between_all_shapes(card: StitcherCard, options: OptionValues) -> None:
    """Check a stitcher against its card between all pairs of shapes; raise an `AssertionError` if they differ."""
    for bottom_shape, top_shape in product(SHAPES, SHAPES):
        check_between_shapes(card, bottom_shape, top_shape, options)


def random_activation(shape: Shape, seed: int) -> torch.Tensor:
    """Draw the activation of 40 images, with mean -1 and standard deviation 4."""
    return torch.randn(40, *shape, generator=torch.Generator().manual_seed(seed)) * 4 - 1


@pytest.mark.parametrize(("name", "options"), NAMES_AND_OPTIONS)
def test_a_stitcher_agrees_with_its_card(name: str, options: OptionValues) -> None:
    check_between_all_shapes(STITCHERS[name], options)
    assert accepted_shapes(name, options)


@pytest.mark.parametrize(("name", "options"), NAMES_AND_OPTIONS)
def test_a_stitcher_for_refused_shapes_raises_or_returns_another_shape(name: str, options: OptionValues) -> None:
    """A card refuses only shapes for which the stitcher does not work.

    `low_rank` also refuses a rank above the number of channels: such a stitcher works, but its rank limits nothing.
    """
    card = STITCHERS[name]
    refused = set(product(SHAPES, SHAPES)) - set(accepted_shapes(name, options))
    for bottom_shape, top_shape in refused:
        x = torch.zeros(3, *bottom_shape)
        try:
            shape = import_builder(card.builder)(bottom_shape, top_shape, options).eval()(x).shape
        except (RuntimeError, ValueError, IndexError, ZeroDivisionError):
            continue
        rank_is_too_high = name == "low_rank" and int(options["rank"]) > min(
            channels(bottom_shape), channels(top_shape)
        )
        assert rank_is_too_high or shape != (3, *top_shape), (bottom_shape, top_shape)


@pytest.mark.parametrize(("name", "options"), [p for p in NAMES_AND_OPTIONS if p.values[0] not in STARTS_DIFFERENTLY])
def test_a_stitcher_starts_as_the_least_squares_map(name: str, options: OptionValues) -> None:
    card = STITCHERS[name]
    has_relu = options.get("depth") == 2
    for bottom_shape, top_shape in accepted_shapes(name, options):
        x = random_activation(bottom_shape, 0)
        y = random_activation(top_shape, 1)
        forms = closed_forms(card, x, y, options)
        stitcher = import_builder(card.builder)(bottom_shape, top_shape, options).eval()
        assert isinstance(stitcher, StartsAtClosedForm)
        stitcher.start(*forms)
        output, expected = stitcher(x), apply_closed_forms(card, forms, x, top_shape, options)
        if has_relu:  # the few negative inputs of the ReLU are lost
            assert (output - expected).square().mean() < 0.01 * expected.var(), (bottom_shape, top_shape)
        else:
            torch.testing.assert_close(output, expected, atol=1e-4, rtol=1e-4, msg=f"{bottom_shape} {top_shape}")


@pytest.mark.parametrize(("name", "options"), [p for p in NAMES_AND_OPTIONS if STITCHERS[p.values[0]].trains])
def test_eval_mode_has_the_outputs_and_gradients_of_the_separate_layers(name: str, options: OptionValues) -> None:
    """In eval mode a stitcher computes its norms and its map as one affine map, which the strict protocol trains."""
    for bottom_shape, top_shape in accepted_shapes(name, options):
        torch.manual_seed(2)
        stitcher = import_builder(STITCHERS[name].builder)(bottom_shape, top_shape, options)
        for _ in range(3):
            stitcher.train()(random_activation(bottom_shape, 3) * 2 + 1)  # moves the running averages
        x = random_activation(bottom_shape, 4)
        folded = output_and_gradients(stitcher.eval(), x)
        separate = output_and_gradients(train_mode_with_fixed_norms(stitcher), x)
        for folded_tensor, separate_tensor in zip(folded, separate, strict=True):
            torch.testing.assert_close(
                folded_tensor, separate_tensor, atol=1e-3, rtol=1e-3, msg=f"{bottom_shape} {top_shape}"
            )


@pytest.mark.parametrize(("name", "options"), NAMES_AND_OPTIONS)
def test_a_card_says_whether_the_stitcher_is_affine_and_the_same_at_each_place(
    name: str, options: OptionValues
) -> None:
    """Also the other way round: what the card denies does not hold at all shapes."""
    card = STITCHERS[name]
    affine, placewise = [], []
    for bottom_shape, top_shape in accepted_shapes(name, options):
        torch.manual_seed(5)
        stitcher = import_builder(card.builder)(bottom_shape, top_shape, options).eval()
        fill_unsolved(stitcher)
        affine.append(is_affine(stitcher, bottom_shape))
        placewise.append(is_placewise(stitcher, random_activation(bottom_shape, 0)))
    assert all(affine) == card.affine(options)
    assert all(placewise) == card.placewise(options)


def output_and_gradients(stitcher: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Return the output and the gradients of its mean square with respect to the parameters."""
    output = stitcher(x)
    return [output, *torch.autograd.grad(output.square().mean(), list(stitcher.parameters()))]


def train_mode_with_fixed_norms(stitcher: nn.Module) -> nn.Module:
    """Set the stitcher to train mode, in which layers run one by one, with norms that use their running averages."""
    for module in stitcher.train().modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()
    return stitcher


WRONG_CARDS = [
    replace(CONV, parameters=lambda *_: 1),
    replace(CONV, trains=False),
    replace(CONV, misfit=lambda *_: ""),
    replace(CONV, misfit=lambda *_: "no"),
    replace(CONV, builder=f"{__name__}:with_unseeded_weights"),
    replace(CONV, builder=f"{__name__}:with_wrong_weight_names"),
    replace(CONV, builder=f"{__name__}:with_covariances_of_too_few_channels"),
]


@pytest.mark.parametrize(
    "card", WRONG_CARDS, ids=["parameters", "trains", "misfit", "reason", "seed", "name", "covariance"]
)
def test_a_stitcher_that_differs_from_its_card_is_detected(card: StitcherCard) -> None:
    with pytest.raises((AssertionError, RuntimeError)):
        check_between_all_shapes(card, {"kernel": 1, "norm": True, "depth": 1})


@pytest.mark.parametrize("options", [{"kernel": 1, "norm": True, "depth": 2}, {"kernel": 3, "norm": False, "depth": 1}])
def test_a_card_that_calls_a_curved_or_spatial_stitcher_affine_and_placewise_is_found(options: OptionValues) -> None:
    with pytest.raises(AssertionError, match="the card says it is"):
        check_between_all_shapes(replace(CONV, affine=always, placewise=always), options)


def with_unseeded_weights(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> nn.Module:
    """Build a `conv` stitcher whose weights don't depend on the seed of torch's global generator."""
    stitcher = import_builder(CONV.builder)(bottom_shape, top_shape, options)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.seed()
        torch.nn.init.normal_(stitcher.affine.weight)
    return stitcher


def with_wrong_weight_names(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> nn.Module:
    """Build a `conv` stitcher whose `reads` names weights that don't exist."""
    return _with_changed_reads(bottom_shape, top_shape, options, lambda name, covariance: (f"{name}s", covariance))


def with_covariances_of_too_few_channels(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> nn.Module:
    """Build a `conv` stitcher whose `reads` leaves out the first channel of each covariance."""
    return _with_changed_reads(bottom_shape, top_shape, options, lambda name, covariance: (name, covariance[1:, 1:]))


def _with_changed_reads(
    bottom_shape: Shape,
    top_shape: Shape,
    options: OptionValues,
    change: Callable[[str, torch.Tensor], tuple[str, torch.Tensor]],
) -> nn.Module:
    """Build a `conv` stitcher whose `reads` returns each (weight name, covariance) after a change."""
    stitcher = import_builder(CONV.builder)(bottom_shape, top_shape, options)
    reads = stitcher.reads
    stitcher.reads = lambda *forms: dict(change(name, covariance) for name, covariance in reads(*forms).items())
    return stitcher
