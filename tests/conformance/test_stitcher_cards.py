"""Every stitcher's card says what its builder builds."""

import itertools

import pytest
import torch

from sweeper.spec.cards.card import Shape
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.trials.builder import find

SHAPES: list[Shape] = [(4, 8, 8), (6, 8, 8), (6, 4, 4), (10,), (7,), (16, 6), (16, 9), (4, 9)]
JOINED = [
    (name, shape_a, shape_b)
    for name, card in STITCHERS.items()
    for shape_a, shape_b in itertools.product(SHAPES, SHAPES)
    if not card.misfit(shape_a, shape_b, {})
]


@pytest.mark.parametrize(("name", "shape_a", "shape_b"), JOINED)
def test_builder_keeps_the_card(name: str, shape_a: Shape, shape_b: Shape) -> None:
    card = STITCHERS[name]
    stitcher = find(card.builder)(shape_a, shape_b, {})
    trained = sum(weights.numel() for weights in stitcher.parameters() if weights.requires_grad)
    assert trained == card.parameters(shape_a, shape_b, {})
    assert (trained > 0) == card.trains
    assert stitcher(torch.randn(3, *shape_a)).shape == (3, *shape_b)


@pytest.mark.parametrize("name", STITCHERS)
def test_initialisation_comes_from_the_global_generator(name: str) -> None:
    built = []
    for _ in range(2):
        torch.manual_seed(5)
        built.append(find(STITCHERS[name].builder)((6,), (6,), {}).state_dict())
    assert all(torch.equal(first, second) for first, second in zip(*(b.values() for b in built), strict=True))


@pytest.mark.parametrize("name", STITCHERS)
def test_a_misfit_is_put_in_words(name: str) -> None:
    card = STITCHERS[name]
    assert name in card.misfit((4, 8, 8), (10,), {})
    assert all(name in reason for a in SHAPES for b in SHAPES if (reason := card.misfit(a, b, {})))


@pytest.mark.parametrize("name", ["conv1x1", "linear"])
def test_tokens_are_joined_where_they_are_as_many(name: str) -> None:
    card = STITCHERS[name]
    assert card.misfit((16, 6), (16, 9), {}) == ""
    assert "tokens of equal number, not 16x9 and 4x9" in card.misfit((16, 9), (4, 9), {})
    assert all(card.misfit(*pair, {}) for pair in (((16, 9), (9,)), ((9,), (16, 9)), ((9, 4, 4), (16, 9))))
    assert card.parameters((16, 6), (16, 9), {}) == card.parameters((6,), (9,), {})
