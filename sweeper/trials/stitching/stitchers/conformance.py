"""What every stitcher promises, as checks that any card can be held against: those here, and a user's own.

    python -m sweeper.trials.stitching.stitchers.conformance path/to/file.py:CARD

runs that code and says whether it keeps its card; `conform(card)` is the same in a test.
"""

import sys
from collections.abc import Iterator, Mapping
from itertools import product

import torch
from torch import Tensor, nn

from sweeper.errors import UsageError
from sweeper.spec.cards import user_stitchers
from sweeper.spec.cards.card import Option, OptionValues, Shape, StitcherCard
from sweeper.trials.process.builder import import_builder
from sweeper.trials.stitching.least_squares import Affine, Moments, Products, by_channel, solve
from sweeper.trials.stitching.spatial import assemble, read
from sweeper.trials.stitching.stitchers.affine import Reads, Starts

# Maps of several sides and channels, tokens with a class token, without, and no square grid, vectors.
SHAPES: tuple[Shape, ...] = ((4, 8, 8), (6, 8, 8), (6, 4, 4), (3, 2, 2), (17, 6), (16, 5), (15, 5), (10,), (7,))
IMAGES = 12


def settings(card: StitcherCard) -> Iterator[Mapping[str, bool | int | float | str]]:
    """The grid of a card's options: every choice, both truths, a short range in full; else the default, or the least
    that there may be."""
    axes = [_values(option) for option in card.options.values()]
    for values in product(*axes):
        yield dict(zip(card.options, values, strict=True))


def conform(card: StitcherCard) -> int:
    """Holds a card against every pair of shapes, at each of its settings; how many of these it joins.

    Raises AssertionError as `conforms` does, and where it joins nothing; and whatever its builder raises.
    """
    joined = 0
    for options in settings(card):
        for shape_a, shape_b in product(SHAPES, SHAPES):
            conforms(card, shape_a, shape_b, options)
            joined += not card.misfit(shape_a, shape_b, options)
    assert joined, f"{card.name} joins none of the shapes that it was tried on"
    return joined


def conforms(card: StitcherCard, shape_a: Shape, shape_b: Shape, options: OptionValues) -> None:
    """Raises AssertionError where the stitcher between two shapes isn't what its card says; where they don't fit, the
    reason must be in words that name the card."""
    joined = f"{card.name} {dict(options)} from {shape_a} to {shape_b}"
    if reason := card.misfit(shape_a, shape_b, options):
        assert card.name in reason, f"{joined}: {reason!r} doesn't say which stitcher"
        return
    stitcher = _built(card, shape_a, shape_b, options, seed=1)
    _same_seed_same_weights(stitcher, _built(card, shape_a, shape_b, options, seed=1), joined)
    _counts(card, stitcher, shape_a, shape_b, options, joined)
    x, y = _drawn(shape_a, 2), _drawn(shape_b, 3)
    assert stitcher.train()(x).shape == y.shape, f"{joined}: gives {tuple(stitcher(x).shape)}"
    forms = closed_forms(card, x, y, options)
    if forms and isinstance(stitcher, Starts):
        stitcher.start(*forms)
        _reads(stitcher, forms, joined)
    assert stitcher.eval()(x).shape == y.shape, f"{joined}: gives {tuple(stitcher(x).shape)} in eval mode"


def closed_forms(card: StitcherCard, x: Tensor, y: Tensor, options: OptionValues) -> tuple[Affine, ...]:
    """The least-squares map of each part of a card between two activations of the same images."""
    return tuple(
        _solved(by_channel(read(part.of_a, x)), by_channel(read(part.of_b, y)))
        for part in card.parts(tuple(x.shape[1:]), tuple(y.shape[1:]), options)
    )


def applied(card: StitcherCard, forms: tuple[Affine, ...], x: Tensor, shape_b: Shape, options: OptionValues) -> Tensor:
    """What the closed forms themselves make of an activation."""
    parts = card.parts(tuple(x.shape[1:]), shape_b, options)
    made = [form(read(part.of_a, x)) for part, form in zip(parts, forms, strict=True)]
    return made[0] if parts[0].of_b.part == "all" else assemble(made, shape_b)


def _values(option: Option) -> tuple[bool | int | float | str, ...]:
    if option.choices:
        return option.choices
    if option.type is bool:
        return (True, False)
    if option.least is not None and option.most is not None and option.type is int:
        return tuple(range(int(option.least), int(option.most) + 1))
    value = option.least if option.type is int and option.least is not None else option.default
    assert value is not None
    return (option.type(value),)


def _built(card: StitcherCard, shape_a: Shape, shape_b: Shape, options: OptionValues, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return import_builder(card.builder)(shape_a, shape_b, options)


def _same_seed_same_weights(one: nn.Module, other: nn.Module, joined: str) -> None:
    for name, tensor in one.state_dict().items():
        same = torch.equal(tensor.nan_to_num(), other.state_dict()[name].nan_to_num())
        assert same, f"{joined}: {name} doesn't come from torch's global generator"


def _counts(
    card: StitcherCard, stitcher: nn.Module, shape_a: Shape, shape_b: Shape, options: OptionValues, joined: str
) -> None:
    trained = sum(weights.numel() for weights in stitcher.parameters() if weights.requires_grad)
    said = card.parameters(shape_a, shape_b, options)
    assert trained == said, f"{joined}: trains {trained} parameters; the card says {said}"
    assert (trained > 0) == card.trains, f"{joined}: trains {trained} parameters; the card says trains={card.trains}"


def _reads(stitcher: nn.Module, forms: tuple[Affine, ...], joined: str) -> None:
    weights = dict(stitcher.named_parameters())
    for name, covariance in stitcher.reads(*forms).items() if isinstance(stitcher, Reads) else ():
        assert name in weights, f"{joined}: reads names {name}, which is no weight of it"
        shape, channels = tuple(covariance.shape), weights[name].shape[1]
        assert shape == (channels, channels), f"{joined}: {name} reads {channels} channels; their covariance is {shape}"


def _drawn(shape: Shape, seed: int) -> Tensor:
    return torch.randn(IMAGES, *shape, generator=torch.Generator().manual_seed(seed)) * 3 + 1


def _solved(x: Tensor, y: Tensor) -> Affine:
    of_x, of_y, of_both = Moments(), Moments(), Products()
    of_x.add(x)
    of_y.add(y)
    of_both.add(x, y)
    return solve(of_x, of_y, of_both)


def main(names: list[str]) -> int:
    """The command: 0 where each card is kept, 1 where one is not, 2 where one isn't there."""
    if not names:
        print("name a card: path/to/file.py:CARD or package.module:CARD", file=sys.stderr)
        return 2
    for name in names:
        try:
            card = user_stitchers.stitcher(name)
            print(f"{card.name} keeps its card: {conform(card)} settings and pairs of shapes")
        except UsageError as error:
            print(error, file=sys.stderr)
            return 2
        except AssertionError as error:
            print(f"{name} doesn't keep its card: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
