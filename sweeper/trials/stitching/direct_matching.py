"""Direct matching of networks: one pass of A and one of each B over the same images solves for every pair of cuts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweeper.spec.cards.card import OUTPUT, Shape
from sweeper.spec.cards.places import Part, View
from sweeper.trials.networks.activation_batches import bottom_activations
from sweeper.trials.networks.activations import activations
from sweeper.trials.stitching.least_squares import Affine, Moments, Products, by_channel, solve
from sweeper.trials.stitching.spatial import assemble, mapped, read


class Place(NamedTuple):
    """Where a closed form is solved: a cut of A, a cut of one of the Bs, what each affine map between them reads."""

    cut_a: str
    b: str
    cut_b: str
    shape_b: Shape
    parts: tuple[Part, ...]


class Applied(nn.Module):
    """A place's solved maps as a stitcher."""

    def __init__(self, place: Place, forms: Sequence[Affine]):
        super().__init__()
        self._place, self._forms = place, forms

    def forward(self, x: Tensor) -> Tensor:
        parts = self._place.parts
        made = [mapped(part.of_a, x, form) for part, form in zip(parts, self._forms, strict=True)]
        return made[0] if parts[0].of_b.part == "all" else assemble(made, self._place.shape_b)


@torch.no_grad()
def match(
    a: nn.Module, tops: Mapping[str, nn.Module], places: Sequence[Place], batches: Iterable[tuple[Tensor, Tensor]]
) -> dict[Place, tuple[Affine, ...]]:
    """The least-squares map for each part of each place, over batches of normalised images and labels.

    a: the sender; tops: each receiver, whole, by the key that `places` use; both in eval mode. B's tensor at its cut
    is what the maps should give; at its output they should give the labels, one-hot.
    """
    of_a = {(place.cut_a, part.of_a): Moments() for place in places for part in place.parts}
    of_b = {(place.b, place.cut_b, part.of_b): Moments() for place in places for part in place.parts}
    of_both = {(place, part): Products() for place in places for part in place.parts}
    for images, labels in batches:
        rows_a = _rows(bottom_activations(a, images, labels, [cut for cut, _ in of_a]), of_a)
        for key, rows in rows_a.items():
            of_a[key].add(rows)
        for b, network in tops.items():
            wanted = [(cut, view) for other, cut, view in of_b if other == b]
            shapes = {place.cut_b: place.shape_b for place in places if place.b == b}
            rows_b = _rows(_aims(network, images, labels, shapes), wanted)
            for key, rows in rows_b.items():
                of_b[b, *key].add(rows)
            for (place, part), products in of_both.items():
                if place.b == b:
                    products.add(rows_a[place.cut_a, part.of_a], rows_b[place.cut_b, part.of_b])
    return {
        place: tuple(
            solve(of_a[place.cut_a, part.of_a], of_b[place.b, place.cut_b, part.of_b], of_both[place, part])
            for part in place.parts
        )
        for place in places
    }


def _aims(b: nn.Module, images: Tensor, labels: Tensor, shapes: Mapping[str, Shape]) -> dict[str, Tensor]:
    """What maps to some cuts of B should give for a batch; shapes: of B's tensor at each."""
    found = activations(b, images, shapes.keys() - {OUTPUT})
    if OUTPUT in shapes:
        found[OUTPUT] = functional.one_hot(labels, *shapes[OUTPUT]).to(images.dtype)
    return found


def _rows(found: Mapping[str, Tensor], wanted: Iterable[tuple[str, View]]) -> dict[tuple[str, View], Tensor]:
    return {(cut, view): by_channel(read(view, found[cut])) for cut, view in wanted}
