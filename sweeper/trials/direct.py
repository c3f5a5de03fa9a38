"""Direct matching of networks: one pass of A and one of each B over the same images solves for every pair of cuts."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from sweeper.spec.cards.card import Shape
from sweeper.spec.cards.shapes import sites
from sweeper.trials.solve import Affine, Moments, Products, by_channel, solve
from sweeper.trials.stitch import activations

Place = tuple[str, str, str]  # cut of A, which B, cut of B


class Applied(nn.Module):
    """A solved map as a stitcher."""

    def __init__(self, affine: Affine):
        super().__init__()
        self._affine = affine

    def forward(self, x: Tensor) -> Tensor:
        return self._affine(x)


def matches(shape_a: Shape, shape_b: Shape) -> bool:
    """Whether an affine map of channels can carry one activation to the other: pixel for pixel, or token for
    token."""
    return sites(shape_a) == sites(shape_b)


@torch.no_grad()
def match(
    a: nn.Module, tops: Mapping[str, nn.Module], places: Sequence[Place], batches: Iterable[Tensor]
) -> dict[Place, Affine]:
    """The least-squares map for each place, over batches of normalised images.

    a: the sender; tops: each receiver, whole, by the key that `places` use; both in eval mode. B's tensor at its cut
    is what the map should give. Raises ValueError where a pair of activations can't be matched pixel for pixel.
    """
    of_a = {cut: Moments() for cut, _, _ in places}
    of_b = {(key, cut): Moments() for _, key, cut in places}
    of_both = {place: Products() for place in places}
    for images in batches:
        rows_a = {cut: by_channel(x) for cut, x in activations(a, images, of_a).items()}
        for cut, rows in rows_a.items():
            of_a[cut].add(rows)
        for key, b in tops.items():
            found = activations(b, images, [cut for other, cut in of_b if other == key])
            for cut, y in found.items():
                rows_b = by_channel(y)
                of_b[key, cut].add(rows_b)
                for place in places:
                    if place[1:] == (key, cut):
                        of_both[place].add(rows_a[place[0]], rows_b)
    return {place: solve(of_a[place[0]], of_b[place[1:]], of_both[place]) for place in places}
