"""Checks that a stitcher does what its card says, for the cards of this package and a user's own.

    python -m sweeper.trials.stitching.stitchers.conformance path/to/file.py:CARD

runs that code and prints whether it agrees with its card; `conform(card)` is the same in a test.
"""

import sys
from collections.abc import Iterator, Mapping
from itertools import product

import torch
from torch import Tensor, nn

from sweeper.errors import UsageError
from sweeper.spec.cards import user_stitchers
from sweeper.spec.cards.card import Option, OptionValues, Shape, StitcherCard
from sweeper.trials.networks.affine_check import is_affine
from sweeper.trials.process.builder import import_builder
from sweeper.trials.stitching.least_squares import Affine, Moments, Products, by_channel, solve
from sweeper.trials.stitching.spatial import assemble, read_view
from sweeper.trials.stitching.stitchers.hooks import ReportsReadCovariances, StartsAtClosedForm

# Maps of several sizes; tokens with a class token, without one, and without a square grid; vectors.
SHAPES: tuple[Shape, ...] = ((4, 8, 8), (6, 8, 8), (6, 4, 4), (3, 2, 2), (17, 6), (16, 5), (15, 5), (10,), (7,))
IMAGES = 12


def option_combinations(card: StitcherCard) -> Iterator[Mapping[str, bool | int | float | str]]:
    """Yield all combinations of a card's options.

    An option with choices takes all of them, a boolean option both values, and an integer option with two bounds each
    value of its range. An integer option with a lower bound only takes this bound, and any other option its default.
    """
    axes = [_values(option) for option in card.options.values()]
    for values in product(*axes):
        yield dict(zip(card.options, values, strict=True))


def conform(card: StitcherCard) -> int:
    """Check a stitcher against its card between all pairs of `SHAPES`, at each setting of its options.

    Returns:
        The number of settings and pairs of shapes that the card accepts.

    Raises:
        AssertionError: If the stitcher differs from its card, or the card accepts nothing. Errors of the builder pass
            through.
    """
    accepted = 0
    for options in option_combinations(card):
        for bottom_shape, top_shape in product(SHAPES, SHAPES):
            check_between_shapes(card, bottom_shape, top_shape, options)
            accepted += not card.misfit(bottom_shape, top_shape, options)
    assert accepted, f"{card.name} accepts none of the pairs of shapes that were tried: {SHAPES}"
    return accepted


def check_between_shapes(card: StitcherCard, bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> None:
    """Check the stitcher between two shapes against its card; for shapes that it refuses, check the reason instead.

    Raises:
        AssertionError: If a check fails.
    """
    case = f"{card.name} {dict(options)} from {bottom_shape} to {top_shape}"
    if reason := card.misfit(bottom_shape, top_shape, options):
        assert card.name in reason, f"{case}: the reason {reason!r} does not name the stitcher"
        return
    stitcher = _build(card, bottom_shape, top_shape, options, seed=1)
    _check_same_weights(stitcher, _build(card, bottom_shape, top_shape, options, seed=1), case)
    _check_parameters(card, stitcher, bottom_shape, top_shape, options, case)
    x, y = _random_activation(bottom_shape, 2), _random_activation(top_shape, 3)
    assert stitcher.train()(x).shape == y.shape, f"{case}: returns the shape {tuple(stitcher(x).shape)}"
    forms = closed_forms(card, x, y, options)
    if forms and isinstance(stitcher, StartsAtClosedForm):
        stitcher.start(*forms)
        _check_read_covariances(stitcher, forms, case)
    assert stitcher.eval()(x).shape == y.shape, f"{case}: returns the shape {tuple(stitcher(x).shape)} in eval mode"
    _check_kind_of_map(card, _build(card, bottom_shape, top_shape, options, seed=1).eval(), x, options, case)


def _check_kind_of_map(card: StitcherCard, stitcher: nn.Module, x: Tensor, options: OptionValues, case: str) -> None:
    """Check that a stitcher with random weights is affine and placewise where the card says so."""
    fill_unsolved(stitcher)
    if card.affine(options):
        affine = is_affine(stitcher, tuple(x.shape[1:]))
        assert affine, f"{case}: is not an affine map in eval mode; the card says it is"
    if card.placewise(options):
        assert is_placewise(stitcher, x), f"{case}: is not one map of each place alone; the card says it is"


@torch.no_grad()
def is_placewise(stitcher: nn.Module, x: Tensor) -> bool:
    """Return whether a stitcher in eval mode applies one map to each place of an activation alone.

    Moving places then moves the places of the output, and a change at one place changes the output there alone.
    """
    outputs = _by_place(stitcher(x))
    count = _by_place(x).shape[2]
    if outputs.shape[2] != count:
        return False
    order = torch.randperm(count, generator=torch.Generator().manual_seed(4))
    moved = _by_place(stitcher(_with_places(x, _by_place(x)[:, :, order])))
    changed_places = _by_place(x).clone()
    changed_places[:, :, 0] += 1
    changed = _by_place(stitcher(_with_places(x, changed_places)))
    tolerance = 1e-4 * float(outputs.abs().max())
    return bool(
        torch.allclose(moved, outputs[:, :, order], rtol=0, atol=tolerance)
        and torch.allclose(changed[:, :, 1:], outputs[:, :, 1:], rtol=0, atol=tolerance)
    )


@torch.no_grad()
def fill_unsolved(stitcher: nn.Module) -> None:
    """Replace weights that are NaN, as they are still to be solved, by random ones."""
    generator = torch.Generator().manual_seed(5)
    for tensor in (*stitcher.parameters(), *stitcher.buffers()):
        if tensor.isnan().any():
            tensor.copy_(torch.randn(tensor.shape, generator=generator))


def _by_place(x: Tensor) -> Tensor:
    """Return an activation as (images, channels, places)."""
    return x[:, :, None] if x.ndim == 2 else x.transpose(1, 2) if x.ndim == 3 else x.flatten(2)


def _with_places(x: Tensor, by_place: Tensor) -> Tensor:
    """Return (images, channels, places) in the shape of an activation `x`."""
    return by_place.transpose(1, 2) if x.ndim == 3 else by_place.reshape(x.shape)


def closed_forms(card: StitcherCard, x: Tensor, y: Tensor, options: OptionValues) -> tuple[Affine, ...]:
    """Return the least-squares map of each part of a card between two activations of the same images."""
    return tuple(
        _solve(by_channel(read_view(part.bottom_view, x)), by_channel(read_view(part.top_view, y)))
        for part in card.parts(tuple(x.shape[1:]), tuple(y.shape[1:]), options)
    )


def apply_closed_forms(
    card: StitcherCard, forms: tuple[Affine, ...], x: Tensor, top_shape: Shape, options: OptionValues
) -> Tensor:
    """Apply the closed forms of a card's parts to an activation; returns (images, *top_shape)."""
    parts = card.parts(tuple(x.shape[1:]), top_shape, options)
    outputs = [form(read_view(part.bottom_view, x)) for part, form in zip(parts, forms, strict=True)]
    return outputs[0] if parts[0].top_view.part == "all" else assemble(outputs, top_shape)


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


def _build(card: StitcherCard, bottom_shape: Shape, top_shape: Shape, options: OptionValues, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return import_builder(card.builder)(bottom_shape, top_shape, options)


def _check_same_weights(first: nn.Module, second: nn.Module, case: str) -> None:
    for name, tensor in first.state_dict().items():
        same = torch.equal(tensor.nan_to_num(), second.state_dict()[name].nan_to_num())
        assert same, f"{case}: {name} is not drawn from torch's global generator (the same seed gave other values)"


def _check_parameters(
    card: StitcherCard, stitcher: nn.Module, bottom_shape: Shape, top_shape: Shape, options: OptionValues, case: str
) -> None:
    count = sum(weights.numel() for weights in stitcher.parameters() if weights.requires_grad)
    count_of_card = card.parameters(bottom_shape, top_shape, options)
    assert count == count_of_card, f"{case}: trains {count} parameters; the card says {count_of_card}"
    assert (count > 0) == card.trains, f"{case}: trains {count} parameters; the card says trains={card.trains}"


def _check_read_covariances(stitcher: nn.Module, forms: tuple[Affine, ...], case: str) -> None:
    weights = dict(stitcher.named_parameters())
    for name, covariance in stitcher.reads(*forms).items() if isinstance(stitcher, ReportsReadCovariances) else ():
        assert name in weights, f"{case}: `reads` names {name}, which is not a weight of the stitcher"
        shape, channels = tuple(covariance.shape), weights[name].shape[1]
        message = f"{case}: {name} reads {channels} channels; the covariance from `reads` has the shape {shape}"
        assert shape == (channels, channels), message


def _random_activation(shape: Shape, seed: int) -> Tensor:
    return torch.randn(IMAGES, *shape, generator=torch.Generator().manual_seed(seed)) * 3 + 1


def _solve(x: Tensor, y: Tensor) -> Affine:
    moments_x, moments_y, products = Moments(), Moments(), Products()
    moments_x.add(x)
    moments_y.add(y)
    products.add(x, y)
    return solve(moments_x, moments_y, products)


def main(names: list[str]) -> int:
    """Run the command; return 0 if all stitchers agree with their cards, 1 if one does not, 2 for an unknown card."""
    if not names:
        print("name a card: path/to/file.py:CARD or package.module:CARD", file=sys.stderr)
        return 2
    for name in names:
        try:
            card = user_stitchers.import_card(name)
            print(f"{card.name} agrees with its card: checked at {conform(card)} settings and pairs of shapes")
        except UsageError as error:
            print(error, file=sys.stderr)
            return 2
        except AssertionError as error:
            print(f"{name} does not agree with its card: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
