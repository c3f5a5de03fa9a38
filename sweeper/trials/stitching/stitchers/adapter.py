"""A stitcher between activations with different places, such as ResNet to ViT or an early cut to a late one.

`spec.cards.places` defines how the places are matched.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.places import Part, resampled
from sweeper.trials.stitching.least_squares import Affine
from sweeper.trials.stitching.spatial import assemble, map_places, read_view
from sweeper.trials.stitching.stitchers.affine import BetweenNorms
from sweeper.trials.stitching.stitchers.conv import conv1x1


class Adapter(nn.Module):
    """A stitcher with one map for each part of B's activation: its grid of places and its summary of the image."""

    def __init__(self, parts: Sequence[Part], maps: Sequence[nn.Module], top_shape: Shape):
        super().__init__()
        self._parts, self._top_shape = tuple(parts), top_shape
        self.maps = nn.ModuleList(maps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (images, *bottom_shape) to (images, *top_shape); norms in train mode use statistics over B's places."""
        if self.training:
            outputs = [map_(read_view(part.bottom_view, x)) for part, map_ in zip(self._parts, self.maps, strict=True)]
        else:
            outputs = [map_places(part.bottom_view, x, map_) for part, map_ in zip(self._parts, self.maps, strict=True)]
        return assemble(outputs, self._top_shape)

    @torch.no_grad()
    def start(self, *forms: Affine) -> None:
        """Set each part's map to its closed form."""
        for map_, form in self._maps_with(forms):
            map_.start(form)

    def reads(self, *forms: Affine) -> Mapping[str, Tensor]:
        """Return the covariances that the parts' maps read: those of A's channels at each part's places."""
        covariances_of_parts = [map_.reads(form) for map_, form in self._maps_with(forms)]
        return {
            f"maps.{part}.{name}": covariance
            for part, covariances in enumerate(covariances_of_parts)
            for name, covariance in covariances.items()
        }

    def _maps_with(self, forms: Sequence[Affine]) -> Iterator[tuple[BetweenNorms, Affine]]:
        for map_, form in zip(self.maps, forms, strict=True):
            assert isinstance(map_, BetweenNorms)
            yield map_, form


def adapter(bottom_shape: Shape, top_shape: Shape, options: OptionValues) -> Adapter:
    """Return the stitcher between any two shapes: a `conv1x1` for each part, its places matched by option `places`."""
    parts = resampled(bottom_shape, top_shape, str(options["places"]))
    return Adapter(parts, [conv1x1(part.bottom_shape, part.top_shape, {}) for part in parts], top_shape)
