"""Tests of the cards of all measures against their builders: invariances, range, symmetry, shapes, precision."""

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


def card_id(card: MeasureCard) -> str:
    return card.name


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def defaults(card: MeasureCard) -> OptionValues:
    """Return the defaults of the card's options, with a batch smaller than the number of images."""
    values = {name: option.default for name, option in card.options.items() if option.default is not None}
    return values | ({"batch": 16} if "batch" in values else {})


def dependent_activations(seed: int) -> tuple[Tensor, Tensor]:
    """Return two activations (images, features): the second is a linear map of the first plus noise.

    The features of the first differ in scale and in mean.
    """
    x = draw(IMAGES, FEATURES, seed=seed) * torch.arange(1, FEATURES + 1) + draw(FEATURES, seed=seed + 1)
    y = x @ draw(FEATURES, FEATURES, seed=seed + 2) / 3 + draw(IMAGES, FEATURES, seed=seed + 3) * 3
    return x, y


def value(card: MeasureCard, x: Tensor, y: Tensor, **options: bool | float | str) -> float:
    return similarity(Pair(Activation(x), Activation(y)), card.name, {**defaults(card), **options})


def apply_change(change: str, x: Tensor, seed: int) -> Tensor:
    """Return the activation with its features changed at random, by much more than rounding errors."""
    features = x.shape[1]
    square = draw(features, features, seed=seed)
    match change:
        case "orthogonal":
            return x @ torch.linalg.qr(square).Q
        case "isotropic_scaling":
            return x * (0.1 if seed % 2 else 7.0)
        case "translation":
            return x + 20 * draw(features, seed=seed)
        case "affine":  # the condition number of the linear part is 100
            left, _, right = torch.linalg.svd(square)
            return x @ left @ torch.logspace(0, 2, features, dtype=x.dtype).diag() @ right + 1
        case "permutation":
            return x[:, torch.randperm(features, generator=torch.Generator().manual_seed(seed))]
    raise ValueError(change)


def declared_invariances(card: MeasureCard, change: str) -> tuple[bool, bool]:
    """Return True for A, and for B, if the card declares that a change of its activation leaves the value the same."""
    names = {change, "affine"}  # every change here is an affine map, so invariance to affine maps covers it
    return tuple(bool({*names, f"affine_of_{side}"} & set(card.invariances)) for side in "ab")  # type: ignore[return-value]


def value_differences(card: MeasureCard, change: str, seed: int) -> tuple[float, float]:
    """Return the absolute differences of the value after a change of A, and after a change of B."""
    x, y = dependent_activations(seed)
    unchanged = value(card, x, y)
    a_changed = value(card, apply_change(change, x, seed + 4), y)
    b_changed = value(card, x, apply_change(change, y, seed + 5))
    return abs(a_changed - unchanged), abs(b_changed - unchanged)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("card", CARDS, ids=card_id)
@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_declared_invariances_hold(card: MeasureCard, change: str, seed: int) -> None:
    differences = value_differences(card, change, seed)
    for declared, difference in zip(declared_invariances(card, change), differences, strict=True):
        assert not declared or difference < 1e-6


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("card", CARDS, ids=card_id)
def test_undeclared_invariances_have_a_counterexample(card: MeasureCard, change: str) -> None:
    """Check that the card omits no invariance that the measure has."""
    a_differences, b_differences = zip(*(value_differences(card, change, seed) for seed in range(5)), strict=True)
    a_declared, b_declared = declared_invariances(card, change)
    assert a_declared or max(a_differences) > 1e-4
    assert b_declared or max(b_differences) > 1e-4


@pytest.mark.parametrize("card", CARDS, ids=card_id)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, noise=st.floats(0, 30))
def test_range_and_symmetry_hold(card: MeasureCard, seed: int, noise: float) -> None:
    x, _ = dependent_activations(seed)
    y = draw(IMAGES, FEATURES, seed=seed + 6) * noise + x * (noise < 20)
    for options in option_combinations(card):
        x_to_y, y_to_x = value(card, x, y, **options), value(card, y, x, **options)
        assert card.range[0] - 1e-9 <= x_to_y <= card.range[1] + 1e-9
        if card.symmetric:
            assert x_to_y == pytest.approx(y_to_x, abs=1e-9)


@pytest.mark.parametrize("card", [card for card in CARDS if not card.symmetric], ids=card_id)
def test_a_measure_that_is_not_declared_symmetric_depends_on_the_order(card: MeasureCard) -> None:
    x, y = dependent_activations(1)
    assert abs(value(card, x, y[:, :5]) - value(card, y[:, :5], x)) > 1e-3


def option_combinations(card: MeasureCard) -> list[dict[str, bool | str]]:
    """Return all combinations of the values of the options that are boolean or have choices."""
    axes = {
        name: option.choices or ((False, True) if option.type is bool else ()) for name, option in card.options.items()
    }
    axes = {name: values for name, values in axes.items() if values}
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]


@pytest.mark.parametrize("card", CARDS, ids=card_id)
def test_an_activation_is_most_similar_to_itself(card: MeasureCard) -> None:
    x, _ = dependent_activations(2)
    for options in option_combinations(card):
        # The penalty of a ridge regression keeps it from being exact.
        assert value(card, x, x, **options) == pytest.approx(1, abs=1e-4 if "ridge" in card.options else 1e-9)
    assert card.range[1] == 1


@pytest.mark.parametrize("card", [card for card in CARDS if card.compares == "activations"], ids=card_id)
@pytest.mark.parametrize(("p", "q"), [(5, 9), (90, 7), (6, 120), (80, 100)])
def test_values_for_any_numbers_of_features_are_in_range_and_unchanged_by_zero_features(
    card: MeasureCard, p: int, q: int
) -> None:
    """Check that padding with zero features changes no value: the padded activations use the formulas for wide ones."""
    x, y = dependent_activations(3)
    # Of rank 5, so that no linear map fits exactly.
    x, y = x[:, :5] @ draw(5, p, seed=1), y[:, :5] @ draw(5, q, seed=2)
    unpadded = value(card, x, y)
    assert card.range[0] <= unpadded <= card.range[1]
    if card.name != "rsa":  # RSA correlates the features of two images, and zero features change this correlation
        wide = [torch.cat([z, torch.zeros(IMAGES, IMAGES + 1, dtype=z.dtype)], 1) for z in (x, y)]
        assert value(card, *wide) == pytest.approx(unpadded, abs=1e-6)


@pytest.mark.parametrize("card", CARDS, ids=card_id)
def test_half_and_single_precision_agree_with_double(card: MeasureCard) -> None:
    x, y = dependent_activations(4)
    assert value(card, x.float(), y.float()) == pytest.approx(value(card, x, y), abs=1e-4)
    assert value(card, x.half(), y.half()) == value(card, x.half().float(), y.half().float())


SHAPES = [(10,), (6, 4), (9, 4), (4, 3, 2), (5, 3, 2), (4, 2, 3), (4, 1, 1)]


@pytest.mark.parametrize("card", CARDS, ids=card_id)
def test_a_card_accepts_only_shapes_that_the_builder_compares(card: MeasureCard) -> None:
    for a, b in itertools.product(SHAPES, SHAPES):
        for options in option_combinations(card):
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


@pytest.mark.parametrize("card", CARDS, ids=card_id)
def test_a_shuffled_pair_is_the_pair_of_shuffled_images(card: MeasureCard) -> None:
    """Check that a pair with an order of B's images reuses B's cached results and has the value of reordered images."""
    x, y = draw(IMAGES, 4, 3, 2, seed=1), draw(IMAGES, 4, 3, 2, seed=2)
    y += 2 * x
    order = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(3))
    a, b = Activation(x), Activation(y)
    for options in option_combinations(card):
        settings = {**defaults(card), **options}
        unshuffled = similarity(Pair(a, b), card.name, settings)  # fills the caches of `a` and `b`
        assert similarity(Pair(a, b, order), card.name, settings) == pytest.approx(
            similarity(Pair(Activation(x), Activation(y[order])), card.name, settings), abs=1e-9
        )
        assert similarity(Pair(a, b), card.name, settings) == unshuffled


def test_no_cut_is_called_output() -> None:
    for name in ARCHS:
        layout = network(name, {}, (3, 32, 32), 10)
        assert OUTPUT not in [cut.name for cut in layout.cuts]
        assert layout.output(10).depth == 1 > layout.cuts[-1].depth
        assert layout.output(10).position > layout.cuts[-1].position


@pytest.mark.parametrize("card", CARDS, ids=card_id)
def test_every_card_lists_the_builders_options_and_names_a_source(card: MeasureCard) -> None:
    builder = import_builder(card.builder)
    assert set(card.options) == set(builder.__annotations__) - {"pair", "return"}
    assert card.source
    assert card.estimator
    assert card.compares in ("activations", "outputs")


@pytest.mark.parametrize("side", ["A", "B"])
@pytest.mark.parametrize("planted", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("card", CARDS, ids=card_id)
def test_a_value_that_is_not_finite_is_an_error_that_names_the_activation(
    card: MeasureCard, planted: float, side: str
) -> None:
    x, y = (z.float() for z in dependent_activations(1))
    (x if side == "A" else y)[3, 2] = planted
    kind = "NaN" if planted != planted else "infinite"
    with pytest.raises(FloatingPointError, match=rf"^the activation of {side}: 1 of 480 values .*\(1 {kind}\)$"):
        value(card, x, y)


@pytest.mark.parametrize("factor", [2.0**100, 2.0**120, 2.0**-100, 2.0**-120])
@pytest.mark.parametrize("card", CARDS, ids=card_id)
def test_activations_whose_squares_leave_the_range_of_float32_have_the_same_value(
    card: MeasureCard, factor: float
) -> None:
    x, y = (z.float() for z in dependent_activations(1))
    unscaled = value(card, x, y)
    assert value(card, x * factor, y) == pytest.approx(unscaled, abs=1e-5)
    assert value(card, x, y * factor) == pytest.approx(unscaled, abs=1e-5)
