"""Every stitcher's card says what its builder builds."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import nn

from sweeper.spec.cards.card import OptionValues, Shape, StitcherCard
from sweeper.spec.cards.shapes import channels
from sweeper.spec.cards.stitchers import CONV, STITCHERS
from sweeper.trials.process.builder import import_builder
from sweeper.trials.stitching.stitchers.conformance import (
    SHAPES,
    apply_closed_forms,
    check_between_shapes,
    closed_forms,
    main,
    option_combinations,
)
from sweeper.trials.stitching.stitchers.hooks import StartsAtClosedForm

JOINED = [
    pytest.param(name, options, id=" ".join([name, *map(str, options.values())]))
    for name, card in STITCHERS.items()
    for options in option_combinations(card)
]
# Not the closed form itself: a bound on their rank, another rule, a decoder of B alone, nothing that starts.
APART = {"low_rank", "orthogonal", "permutation", "relative", "identity"}


def fitting(name: str, options: OptionValues) -> list[tuple[Shape, Shape]]:
    return [shapes for shapes in product(SHAPES, SHAPES) if not STITCHERS[name].misfit(*shapes, options)]


OWN = """
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


def test_a_users_own_card_is_held_to_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "torch.py").write_text(OWN)  # a name that another module has, too
    assert main([f"{tmp_path / 'torch.py'}:CARD"]) == 0
    assert "plain agrees with its card: checked at 4 settings and pairs of shapes" in capsys.readouterr().out
    (tmp_path / "liar.py").write_text(OWN.replace("bottom_shape[0] * top_shape[0]", "7"))
    assert main([f"{tmp_path / 'liar.py'}:CARD"]) == 1
    assert "the card says 7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "name a card"),
        ("nowhere.py:CARD", "nowhere.py"),
        ("no_such_package:CARD", "no_such_package"),
        ("sweeper.spec.cards.stitchers:NONE", "NONE"),
        ("sweeper.spec.cards.stitchers:STITCHERS", "a StitcherCard is needed"),
    ],
)
def test_what_is_no_card_is_said(name: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name] if name else []) == 2
    assert words in capsys.readouterr().err


def keeps_everywhere(card: StitcherCard, options: OptionValues) -> None:
    for bottom_shape, top_shape in product(SHAPES, SHAPES):
        check_between_shapes(card, bottom_shape, top_shape, options)


def drawn(shape: Shape, seed: int) -> torch.Tensor:
    return torch.randn(40, *shape, generator=torch.Generator().manual_seed(seed)) * 4 - 1


@pytest.mark.parametrize(("name", "options"), JOINED)
def test_a_stitcher_keeps_its_card(name: str, options: OptionValues) -> None:
    keeps_everywhere(STITCHERS[name], options)
    assert fitting(name, options)


@pytest.mark.parametrize(("name", "options"), JOINED)
def test_what_the_card_refuses_can_not_be_built_to_fit(name: str, options: OptionValues) -> None:
    """A misfit is no caution: what would come of it is an error, or a tensor of another shape."""
    card = STITCHERS[name]
    refused = set(product(SHAPES, SHAPES)) - set(fitting(name, options))
    for bottom_shape, top_shape in refused:
        x = torch.zeros(3, *bottom_shape)
        try:
            shape = import_builder(card.builder)(bottom_shape, top_shape, options).eval()(x).shape
        except (RuntimeError, ValueError, IndexError, ZeroDivisionError):
            continue
        bounded = name == "low_rank" and int(options["rank"]) > min(channels(bottom_shape), channels(top_shape))
        assert bounded or shape != (3, *top_shape), (bottom_shape, top_shape)


@pytest.mark.parametrize(("name", "options"), [p for p in JOINED if p.values[0] not in APART])
def test_a_start_is_the_closed_form(name: str, options: OptionValues) -> None:
    card = STITCHERS[name]
    two = options.get("depth") == 2
    for bottom_shape, top_shape in fitting(name, options):
        x, y = drawn(bottom_shape, 0), drawn(top_shape, 1)
        forms = closed_forms(card, x, y, options)
        stitcher = import_builder(card.builder)(bottom_shape, top_shape, options).eval()
        assert isinstance(stitcher, StartsAtClosedForm)
        stitcher.start(*forms)
        wanted, found = apply_closed_forms(card, forms, x, top_shape, options), stitcher(x)
        if two:  # but for what the ReLU cuts off
            assert (found - wanted).square().mean() < 0.01 * wanted.var(), (bottom_shape, top_shape)
        else:
            torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4, msg=f"{bottom_shape} {top_shape}")


@pytest.mark.parametrize(("name", "options"), [p for p in JOINED if STITCHERS[p.values[0]].trains])
def test_eval_mode_is_the_layers_one_by_one(name: str, options: OptionValues) -> None:
    """The strict protocol computes norms and map as one; gradients are the same too."""
    for bottom_shape, top_shape in fitting(name, options):
        torch.manual_seed(2)
        stitcher = import_builder(STITCHERS[name].builder)(bottom_shape, top_shape, options)
        for _ in range(3):
            stitcher.train()(drawn(bottom_shape, 3) * 2 + 1)  # moves the running averages
        x = drawn(bottom_shape, 4)
        together, apart = value_and_gradients(stitcher.eval(), x), value_and_gradients(layer_by_layer(stitcher), x)
        for one, other in zip(together, apart, strict=True):
            torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3, msg=f"{bottom_shape} {top_shape}")


def value_and_gradients(stitcher: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    y = stitcher(x)
    return [y, *torch.autograd.grad(y.square().mean(), list(stitcher.parameters()))]


def layer_by_layer(stitcher: nn.Module) -> nn.Module:
    """In train mode, but for the norms, which use their running averages."""
    for module in stitcher.train().modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()
    return stitcher


LIES = [
    replace(CONV, parameters=lambda *_: 1),
    replace(CONV, trains=False),
    replace(CONV, misfit=lambda *_: ""),
    replace(CONV, misfit=lambda *_: "no"),
    replace(CONV, builder=f"{__name__}:unseeded"),
    replace(CONV, builder=f"{__name__}:reading_elsewhere"),
    replace(CONV, builder=f"{__name__}:reading_less"),
]


@pytest.mark.parametrize("card", LIES, ids=["parameters", "trains", "misfit", "words", "seed", "name", "covariance"])
def test_a_card_that_lies_is_found(card: StitcherCard) -> None:
    with pytest.raises((AssertionError, RuntimeError)):
        keeps_everywhere(card, {"kernel": 1, "norm": True, "depth": 1})


def unseeded(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> nn.Module:
    stitcher = import_builder(CONV.builder)(bottom_shape, top_shape, options)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.seed()
        torch.nn.init.normal_(stitcher.affine.weight)
    return stitcher


def reading_elsewhere(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> nn.Module:
    return _reading(bottom_shape, top_shape, options, lambda name, covariance: (f"{name}s", covariance))


def reading_less(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> nn.Module:
    return _reading(bottom_shape, top_shape, options, lambda name, covariance: (name, covariance[1:, 1:]))


def _reading(
    bottom_shape: Shape,
    top_shape: Shape,
    options: OptionValues,
    lie: Callable[[str, torch.Tensor], tuple[str, torch.Tensor]],
) -> nn.Module:
    """A stitcher whose `reads` says something else than is so."""
    stitcher = import_builder(CONV.builder)(bottom_shape, top_shape, options)
    reads = stitcher.reads
    stitcher.reads = lambda *forms: dict(lie(name, found) for name, found in reads(*forms).items())
    return stitcher
