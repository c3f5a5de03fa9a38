"""Two activations of the same images, and the quantities that several measures derive from both."""

from functools import cached_property

import torch
from torch import Tensor

from sweeper.trials.similarity.measures.activation import Activation, products


class Pair:
    """The activations of the bottom A (`a`) and of the top B (`b`) for the same images.

    In formulas X and Y are their centred matrices (images, features). Under a permutation of B's images the quantities
    that each activation caches (axes, distances, neighbours) are used unchanged.
    """

    def __init__(self, a: Activation, b: Activation, order: Tensor | None = None):
        """Pair two activations.

        Args:
            a: The bottom's activation.
            b: The top's activation.
            order: The image of B that is paired with each image of A, int64 (images,); None for the same image.

        Raises:
            ValueError: If the numbers of images differ.
        """
        if len(a) != len(b):
            raise ValueError(f"the activations are of {len(a)} images of A and {len(b)} images of B")
        self.a, self.b, self.order = a, b, order

    def __len__(self) -> int:
        return len(self.a)

    def permute_top(self, rows: Tensor) -> Tensor:
        """Return rows of B, one for each image, in the order of the images of A that they are paired with."""
        return rows if self.order is None else rows[self.order]

    def order_of(self, images: Tensor) -> Tensor | None:
        """Return the permutation of B for a subset of the images, given in ascending order.

        It is the ranks of `order` within the subset. They are a uniform permutation if `order` is, and the quantities
        that B caches for the subset can be used.
        """
        return None if self.order is None else self.order[images].argsort().argsort()

    def view_maps(self, maps: str) -> "Pair":
        """Return the pair in a measure's view of maps.

        Args:
            maps: "flat" for one vector per image; "pixels" for each place of an image as an example.

        Raises:
            ValueError: If `maps` is "pixels" and the maps of A and B have different numbers of places.
        """
        return self._pixels if maps == "pixels" else self

    @cached_property
    def _pixels(self) -> "Pair":
        places = self.a.by_place.shape[1]
        if places != self.b.by_place.shape[1]:
            raise ValueError(f"pixels can't be paired: A has {places} places and B has {self.b.by_place.shape[1]}")
        if places == 1:
            return self
        order = self.order
        if order is not None:
            order = (order[:, None] * places + torch.arange(places, device=order.device)).flatten()
        return Pair(self.a.pixels, self.b.pixels, order)

    @cached_property
    def reduced(self) -> "Pair":
        """The pair with no more features than images, for measures that are invariant to a rotation of the features."""
        a, b = self.a.reduced, self.b.reduced
        return self if (a, b) == (self.a, self.b) else Pair(a, b, self.order)

    @cached_property
    def cross(self) -> Tensor:
        """X'Y of the centred activations, (features of A, features of B) float64."""
        return products(self.a.centred, self.permute_top(self.b.centred))

    @cached_property
    def nuclear(self) -> float:
        """The nuclear norm |X'Y|_*, the sum of the singular values of `cross`: max tr(Q'X'Y) over orthogonal Q."""
        return float(torch.linalg.svdvals(self.cross).sum())

    @cached_property
    def overlap(self) -> Tensor:
        """U_a'U_b, (axes of A, axes of B) float64, with the left singular vectors U of each centred activation."""
        a, b = self.a.spectrum, self.b.spectrum
        return (a.vectors / a.values.sqrt()).T @ self.cross @ (b.vectors / b.values.sqrt())
