"""Between unlike places: ResNet to ViT, an early cut to a late one. How places are matched stands in
`spec.cards.places`."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.places import Part, resampled
from sweeper.trials.stitching.least_squares import Affine
from sweeper.trials.stitching.spatial import assemble, mapped, read
from sweeper.trials.stitching.stitchers.affine import BetweenNorms
from sweeper.trials.stitching.stitchers.conv import conv1x1


class Adapter(nn.Module):
    """A map of its own for each part of B's activation: its grid of places, what it has of the whole image."""

    def __init__(self, parts: Sequence[Part], maps: Sequence[nn.Module], shape_b: Shape):
        super().__init__()
        self._parts, self._shape_b = tuple(parts), shape_b
        self.maps = nn.ModuleList(maps)

    def forward(self, x: Tensor) -> Tensor:
        """(images, *shape_a) to (images, *shape_b). A norm in train mode takes its statistics over B's places."""
        if self.training:
            made = [map_(read(part.of_a, x)) for part, map_ in zip(self._parts, self.maps, strict=True)]
        else:
            made = [mapped(part.of_a, x, map_) for part, map_ in zip(self._parts, self.maps, strict=True)]
        return assemble(made, self._shape_b)

    @torch.no_grad()
    def start(self, *forms: Affine) -> None:
        """Become the forms, one for each part."""
        for map_, form in self._with(forms):
            map_.start(form)

    def reads(self, *forms: Affine) -> Mapping[str, Tensor]:
        """Each part's map reads A's channels at the part's places."""
        found = [map_.reads(form) for map_, form in self._with(forms)]
        return {f"maps.{part}.{name}": read for part, reads in enumerate(found) for name, read in reads.items()}

    def _with(self, forms: Sequence[Affine]) -> Iterator[tuple[BetweenNorms, Affine]]:
        for map_, form in zip(self.maps, forms, strict=True):
            assert isinstance(map_, BetweenNorms)
            yield map_, form


def adapter(shape_a: Shape, shape_b: Shape, options: OptionValues) -> Adapter:
    """Builds the stitcher between any two shapes, its places matched as `places` says: `conv1x1` for each part."""
    parts = resampled(shape_a, shape_b, str(options["places"]))
    return Adapter(parts, [conv1x1(part.shape_a, part.shape_b, {}) for part in parts], shape_b)
