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
from sweeper.trials.stitching.least_squares import Affine, Moments, Products, by_channel, solve
from sweeper.trials.stitching.spatial import assemble, mapped, read_view


class MatchedCuts(NamedTuple):
    """A pair of cuts that a closed form is solved between, with the parts that each of its affine maps reads."""

    cut_a: str
    b: str
    cut_b: str
    top_shape: Shape
    parts: tuple[Part, ...]


class ClosedFormStitcher(nn.Module):
    """The solved maps of a place as a stitcher."""

    def __init__(self, place: MatchedCuts, forms: Sequence[Affine]):
        super().__init__()
        self._place, self._forms = place, forms

    def forward(self, x: Tensor) -> Tensor:
        parts = self._place.parts
        outputs = [mapped(part.bottom_view, x, form) for part, form in zip(parts, self._forms, strict=True)]
        return outputs[0] if parts[0].top_view.part == "all" else assemble(outputs, self._place.top_shape)


@torch.no_grad()
def match(
    a: nn.Module, tops: Mapping[str, nn.Module], places: Sequence[MatchedCuts], batches: Iterable[tuple[Tensor, Tensor]]
) -> dict[MatchedCuts, tuple[Affine, ...]]:
    """Return the least-squares map for each part of each place.

    The maps to a cut of B are fitted to B's own activation there; those to its output to the one-hot labels.

    Args:
        a: The bottom model, whole, in eval mode.
        tops: The top models, whole, in eval mode, by the `b` of places.
        places: The pairs of cuts.
        batches: Normalised images and their labels.
    """
    moments_a = {(place.cut_a, part.bottom_view): Moments() for place in places for part in place.parts}
    moments_b = {(place.b, place.cut_b, part.top_view): Moments() for place in places for part in place.parts}
    products_of_parts = {(place, part): Products() for place in places for part in place.parts}
    for images, labels in batches:
        activations_a = bottom_activations(a, images, labels, [cut for cut, _ in moments_a])
        rows_a = _rows_by_view(activations_a, moments_a)
        for key, rows in rows_a.items():
            moments_a[key].add(rows)
        for b, network in tops.items():
            views = [(cut, view) for other, cut, view in moments_b if other == b]
            shapes = {place.cut_b: place.top_shape for place in places if place.b == b}
            rows_b = _rows_by_view(_targets(network, images, labels, shapes), views)
            for key, rows in rows_b.items():
                moments_b[b, *key].add(rows)
            for (place, part), products in products_of_parts.items():
                if place.b == b:
                    products.add(rows_a[place.cut_a, part.bottom_view], rows_b[place.cut_b, part.top_view])
    return {
        place: tuple(
            solve(
                moments_a[place.cut_a, part.bottom_view],
                moments_b[place.b, place.cut_b, part.top_view],
                products_of_parts[place, part],
            )
            for part in place.parts
        )
        for place in places
    }


def _targets(b: nn.Module, images: Tensor, labels: Tensor, shapes: Mapping[str, Shape]) -> dict[str, Tensor]:
    """Return the tensors of a batch that maps to B's cuts should give; `shapes` are those of B's tensors by cut."""
    tensor_by_cut = activations(b, images, shapes.keys() - {OUTPUT})
    if OUTPUT in shapes:
        tensor_by_cut[OUTPUT] = functional.one_hot(labels, *shapes[OUTPUT]).to(images.dtype)
    return tensor_by_cut


def _rows_by_view(
    tensor_by_cut: Mapping[str, Tensor], views: Iterable[tuple[str, PlaceView]]
) -> dict[tuple[str, PlaceView], Tensor]:
    return {(cut, view): by_channel(read_view(view, tensor_by_cut[cut])) for cut, view in views}
