"""Direct matching of networks: the closed forms of all pairs of cuts, from one pass of A and of each B."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.spec.cards.card import OUTPUT, Shape
from sweeper.spec.cards.places import Part, PlaceView
from sweeper.trials.networks.activation_batches import bottom_activations
from sweeper.trials.networks.activations import activations
from sweeper.trials.networks.finite import CheckedActivations
from sweeper.trials.stitching.least_squares import Affine, Moments, Products, by_channel, solve
from sweeper.trials.stitching.spatial import assemble, map_places, read_view


class MatchedCuts(NamedTuple):
    """A pair of cuts that a closed form is solved between, with the parts that each of its affine maps reads."""

    cut_a: str
    b: str
    cut_b: str
    top_shape: Shape
    parts: tuple[Part, ...]


class ClosedFormStitcher(nn.Module):
    """The solved maps of a pair of cuts as a stitcher, one map for each part."""

    def __init__(self, cuts: MatchedCuts, forms: Sequence[Affine]):
        super().__init__()
        self._cuts, self._forms = cuts, forms

    def forward(self, x: Tensor) -> Tensor:
        """Map A's activation (images, *bottom_shape) to B's (images, *top_shape), as the closed forms do."""
        parts = self._cuts.parts
        outputs = [map_places(part.bottom_view, x, form) for part, form in zip(parts, self._forms, strict=True)]
        return outputs[0] if parts[0].top_view.part == "all" else assemble(outputs, self._cuts.top_shape)


@torch.no_grad()
def match(
    a: nn.Module,
    tops: Mapping[str, nn.Module],
    pairs: Sequence[MatchedCuts],
    batches: Iterable[tuple[Tensor, Tensor, Tensor]],
) -> dict[MatchedCuts, tuple[Affine, ...] | Exception]:
    """Return the least-squares map for each part of each pair of cuts, or the error that a pair raised.

    The maps to a cut of B are fitted to B's own activation there; those to its output to the one-hot labels. A pair
    with a value that is not a finite number has no map.

    Args:
        a: The bottom model, whole, in eval mode.
        tops: The top models, whole, in eval mode, by the `b` of `pairs`.
        pairs: The pairs of cuts.
        batches: Normalised images of A, those of B, and their labels.
    """
    moments_a = {(pair.cut_a, part.bottom_view): Moments() for pair in pairs for part in pair.parts}
    moments_b = {(pair.b, pair.cut_b, part.top_view): Moments() for pair in pairs for part in pair.parts}
    products_of_parts = {(pair, part): Products() for pair in pairs for part in pair.parts}
    refused: dict[MatchedCuts, str] = {}
    for bottom_images, images, labels in batches:
        activations_a = bottom_activations(a, bottom_images, labels, [cut for cut, _ in moments_a])
        refused |= {pair: activations_a.refused[pair.cut_a] for pair in pairs if pair.cut_a in activations_a.refused}
        rows_a = _rows_by_view(activations_a, moments_a)
        for key, rows in rows_a.items():
            moments_a[key].add(rows)
        for b, network in tops.items():
            views = [(cut, view) for top, cut, view in moments_b if top == b]
            shapes = {pair.cut_b: pair.top_shape for pair in pairs if pair.b == b}
            targets = _targets(network, images, labels, shapes)
            refused |= {
                pair: targets.refused[pair.cut_b] for pair in pairs if pair.b == b and pair.cut_b in targets.refused
            }
            rows_b = _rows_by_view(targets, views)
            for key, rows in rows_b.items():
                moments_b[b, *key].add(rows)
            for (pair, part), products in products_of_parts.items():
                if pair.b == b and pair not in refused:
                    products.add(rows_a[pair.cut_a, part.bottom_view], rows_b[pair.cut_b, part.top_view])
    maps: dict[MatchedCuts, tuple[Affine, ...] | Exception] = {}
    for pair in [pair for pair in pairs if pair not in refused]:
        try:
            maps[pair] = tuple(
                solve(
                    moments_a[pair.cut_a, part.bottom_view],
                    moments_b[pair.b, pair.cut_b, part.top_view],
                    products_of_parts[pair, part],
                )
                for part in pair.parts
            )
        except Exception as error:
            maps[pair] = error
    return maps | {pair: FloatingPointError(message) for pair, message in refused.items()}


def _targets(b: nn.Module, images: Tensor, labels: Tensor, shapes: Mapping[str, Shape]) -> CheckedActivations:
    """Return the tensors, by cut of B, to which maps are fitted for a batch; `shapes` are their shapes by cut."""
    tensor_by_cut = activations(b, images, shapes.keys() - {OUTPUT})
    if OUTPUT in shapes:
        tensor_by_cut[OUTPUT] = functional.one_hot(labels, *shapes[OUTPUT]).to(images.dtype)
    return CheckedActivations("B", tensor_by_cut)


def _rows_by_view(
    tensor_by_cut: CheckedActivations, views: Iterable[tuple[str, PlaceView]]
) -> dict[tuple[str, PlaceView], Tensor]:
    """Return the rows of the views of activations whose values are all finite numbers."""
    finite_views = [(cut, view) for cut, view in views if cut not in tensor_by_cut.refused]
    return {(cut, view): by_channel(read_view(view, tensor_by_cut[cut])) for cut, view in finite_views}
