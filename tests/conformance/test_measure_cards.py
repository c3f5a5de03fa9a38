"""Every measure's card says how its builder behaves: what moves it and what doesn't, its range, its symmetry."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sweeper.spec.cards.archs import ARCHS, network
from sweeper.spec.cards.card import OUTPUT, MeasureCard, OptionValues
from sweeper.spec.cards.measures import MEASURES
from sweeper.trials.process.builder import import_builder
from sweeper.trials.similarity.measures.activation import Activation
from sweeper.trials.similarity.measures.evaluate import similarity
from sweeper.trials.similarity.measures.pair import Pair

CARDS = list(MEASURES.values())
CHANGES = ("orthogonal", "isotropic_scaling", "translation", "affine", "permutation")
SEEDS = st.integers(0, 2**31 - 1)
IMAGES, FEATURES = 60, 8


def by_name(card: MeasureCard) -> str:
    return card.name


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def defaults(card: MeasureCard) -> OptionValues:
    """The card's settings, a batch small enough for these tests."""
    given = {name: option.default for name, option in card.options.items() if option.default is not None}
    return given | ({"batch": 16} if "batch" in given else {})


def related(seed: int) -> tuple[Tensor, Tensor]:
    """Two activations that have something in common, with features of unlike size and unlike mean."""
    x = draw(IMAGES, FEATURES, seed=seed) * torch.arange(1, FEATURES + 1) + draw(FEATURES, seed=seed + 1)
    y = x @ draw(FEATURES, FEATURES, seed=seed + 2) / 3 + draw(IMAGES, FEATURES, seed=seed + 3) * 3
    return x, y


def value(card: MeasureCard, x: Tensor, y: Tensor, **options: bool | float | str) -> float:
    return similarity(Pair(Activation(x), Activation(y)), card.name, {**defaults(card), **options})


def changed(change: str, x: Tensor, seed: int) -> Tensor:
    """The activation under a change of its features, far from none."""
    features = x.shape[1]
    square = draw(features, features, seed=seed)
    match change:
        case "orthogonal":
            return x @ torch.linalg.qr(square).Q
        case "isotropic_scaling":
            return x * (0.1 if seed % 2 else 7.0)
        case "translation":
            return x + 20 * draw(features, seed=seed)
        case "affine":  # of condition 100
            left, _, right = torch.linalg.svd(square)
            return x @ left @ torch.logspace(0, 2, features, dtype=x.dtype).diag() @ right + 1
        case "permutation":
            return x[:, torch.randperm(features, generator=torch.Generator().manual_seed(seed))]
    raise ValueError(change)


def holds(card: MeasureCard, change: str) -> tuple[bool, bool]:
    """Whether the card declares that the measure is unmoved by a change of A, and of B."""
    weaker = {change} if change == "affine" else {change, "affine"}  # every other change is affine
    return tuple(bool({*weaker, f"affine_of_{side}"} & set(card.invariances)) for side in "ab")  # type: ignore[return-value]


def moved(card: MeasureCard, change: str, seed: int) -> tuple[float, float]:
    """How far the value moves with a change of A, and with one of B."""
    x, y = related(seed)
    before = value(card, x, y)
    of_a = value(card, changed(change, x, seed + 4), y)
    return abs(of_a - before), abs(value(card, x, changed(change, y, seed + 5)) - before)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("card", CARDS, ids=by_name)
@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_declared_invariances_hold(card: MeasureCard, change: str, seed: int) -> None:
    for declared, by in zip(holds(card, change), moved(card, change, seed), strict=True):
        assert not declared or by < 1e-6


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("card", CARDS, ids=by_name)
def test_what_is_not_declared_does_not_hold(card: MeasureCard, change: str) -> None:
    """Some activation is a counterexample, or the card is too modest."""
    found = [moved(card, change, seed) for seed in range(5)]
    for declared, by in zip(holds(card, change), zip(*found, strict=True), strict=True):
        assert declared or max(by) > 1e-4


@pytest.mark.parametrize("card", CARDS, ids=by_name)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, noise=st.floats(0, 30))
def test_range_and_symmetry_hold(card: MeasureCard, seed: int, noise: float) -> None:
    x, _ = related(seed)
    y = draw(IMAGES, FEATURES, seed=seed + 6) * noise + x * (noise < 20)
    for options in variants(card):
        there, back = value(card, x, y, **options), value(card, y, x, **options)
        assert card.range[0] - 1e-9 <= there <= card.range[1] + 1e-9
        if card.symmetric:
            assert there == pytest.approx(back, abs=1e-9)


@pytest.mark.parametrize("card", [card for card in CARDS if not card.symmetric], ids=by_name)
def test_what_is_not_symmetric_is_not(card: MeasureCard) -> None:
    x, y = related(1)
    assert abs(value(card, x, y[:, :5]) - value(card, y[:, :5], x)) > 1e-3


def variants(card: MeasureCard) -> list[dict[str, bool | str]]:
    """The settings that are a choice, in all their combinations."""
    axes = {
        name: option.choices or ((False, True) if option.type is bool else ()) for name, option in card.options.items()
    }
    axes = {name: values for name, values in axes.items() if values}
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]


@pytest.mark.parametrize("card", CARDS, ids=by_name)
def test_an_activation_is_most_similar_to_itself(card: MeasureCard) -> None:
    x, _ = related(2)
    for options in variants(card):
        # The penalty of a ridge regression keeps it from being exact.
        assert value(card, x, x, **options) == pytest.approx(1, abs=1e-4 if "ridge" in card.options else 1e-9)
    assert card.range[1] == 1


@pytest.mark.parametrize("card", [card for card in CARDS if card.compares == "activations"], ids=by_name)
@pytest.mark.parametrize(("p", "q"), [(5, 9), (90, 7), (6, 120), (80, 100)])
def test_more_features_than_images_or_of_another_number(card: MeasureCard, p: int, q: int) -> None:
    """The forms for wide activations give what the others do: padded with features that are 0, nothing changes."""
    x, y = related(3)
    x, y = x[:, :5] @ draw(5, p, seed=1), y[:, :5] @ draw(5, q, seed=2)  # of rank 5, so that neither fits everything
    before = value(card, x, y)
    assert card.range[0] <= before <= card.range[1]
    if card.name != "rsa":  # to correlate features, zeros are features like others
        wide = [torch.cat([z, torch.zeros(IMAGES, IMAGES + 1, dtype=z.dtype)], 1) for z in (x, y)]
        assert value(card, *wide) == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize("card", CARDS, ids=by_name)
def test_half_and_single_precision(card: MeasureCard) -> None:
    x, y = related(4)
    assert value(card, x.float(), y.float()) == pytest.approx(value(card, x, y), abs=1e-4)
    assert value(card, x.half(), y.half()) == value(card, x.half().float(), y.half().float())


SHAPES = [(10,), (6, 4), (9, 4), (4, 3, 2), (5, 3, 2), (4, 2, 3), (4, 1, 1)]


@pytest.mark.parametrize("card", CARDS, ids=by_name)
def test_a_misfit_is_what_the_builder_cant_compare(card: MeasureCard) -> None:
    for a, b in itertools.product(SHAPES, SHAPES):
        for options in variants(card):
            settings = {**defaults(card), **options}
            reason = card.misfit(a, b, settings)
            if reason:
                assert card.name in reason
                assert not card.misfit(a, a, settings)
                assert card.compares == "outputs" or not card.misfit(a, b, {**settings, "maps": "flat"})
            else:
                pair = Pair(Activation(draw(20, *a, seed=1)), Activation(draw(20, *b, seed=2)))
                assert similarity(pair, card.name, settings) <= 1 + 1e-9
            assert card.operations(100, a, b, settings) > 0
            assert card.memory(100, a, b, settings) > 0


@pytest.mark.parametrize("card", CARDS, ids=by_name)
def test_a_shuffled_pair_is_the_pair_of_shuffled_images(card: MeasureCard) -> None:
    """What is kept of B serves under permutations: the value is that of B's images put in another order by hand."""
    x, y = draw(IMAGES, 4, 3, 2, seed=1), draw(IMAGES, 4, 3, 2, seed=2)
    y += 2 * x
    order = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(3))
    a, b = Activation(x), Activation(y)
    for options in variants(card):
        settings = {**defaults(card), **options}
        kept = similarity(Pair(a, b), card.name, settings)  # fills what is kept
        assert similarity(Pair(a, b, order), card.name, settings) == pytest.approx(
            similarity(Pair(Activation(x), Activation(y[order])), card.name, settings), abs=1e-9
        )
        assert similarity(Pair(a, b), card.name, settings) == kept


def test_no_cut_is_called_output() -> None:
    for name in ARCHS:
        found = network(name, {}, (3, 32, 32), 10)
        assert OUTPUT not in [cut.name for cut in found.cuts]
        assert found.output(10).depth == 1 > found.cuts[-1].depth
        assert found.output(10).position > found.cuts[-1].position


@pytest.mark.parametrize("card", CARDS, ids=by_name)
def test_cards_are_whole(card: MeasureCard) -> None:
    builder = import_builder(card.builder)
    assert set(card.options) == set(builder.__annotations__) - {"pair", "return"}
    assert card.source
    assert card.estimator
    assert card.compares in ("activations", "outputs")
