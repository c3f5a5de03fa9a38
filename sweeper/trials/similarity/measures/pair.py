"""Two activations of the same images, and what several measures of the two share."""

from functools import cached_property

import torch
from torch import Tensor

from sweeper.trials.similarity.measures.activation import Activation, products


class Pair:
    """A's activation `x` and B's `y`.

    order: int64 (images,), which of B's images meets each of A's; None: its own. With a permutation, what the
    activations hold by themselves (axes, distances, neighbours) serves as it is.
    """

    def __init__(self, x: Activation, y: Activation, order: Tensor | None = None):
        """Raises ValueError where the numbers of images differ."""
        if len(x) != len(y):
            raise ValueError(f"{len(x)} images of A against {len(y)} of B")
        self.x, self.y, self.order = x, y, order

    def __len__(self) -> int:
        return len(self.x)

    def placed(self, of_b: Tensor) -> Tensor:
        """What B has for each image (a row), beside the image of A that it meets."""
        return of_b if self.order is None else of_b[self.order]

    def order_of(self, images: Tensor) -> Tensor | None:
        """Of some of the images, in rising order: which of them, as B's, meets each, as A's. The ranks of a uniform
        permutation of all are a uniform one of some, so that what B holds of these images serves too."""
        return None if self.order is None else self.order[images].argsort().argsort()

    def seen(self, maps: str) -> "Pair":
        """As a measure sees maps: "flat" one vector an image, "pixels" each place as an example of its own.

        Raises ValueError for pixels of maps that differ in their number.
        """
        return self._pixels if maps == "pixels" else self

    @cached_property
    def _pixels(self) -> "Pair":
        places = self.x.by_place.shape[1]
        if places != self.y.by_place.shape[1]:
            raise ValueError(f"{places} places of A against {self.y.by_place.shape[1]} of B: no pixel meets another")
        if places == 1:
            return self
        order = self.order
        if order is not None:
            order = (order[:, None] * places + torch.arange(places, device=order.device)).flatten()
        return Pair(self.x.pixels, self.y.pixels, order)

    @cached_property
    def reduced(self) -> "Pair":
        """Both in no more features than there are images: the same to what a rotation of features doesn't move."""
        x, y = self.x.reduced, self.y.reduced
        return self if (x, y) == (self.x, self.y) else Pair(x, y, self.order)

    @cached_property
    def cross(self) -> Tensor:
        """X'Y of the centred activations, (features of A, features of B) float64."""
        return products(self.x.centred, self.placed(self.y.centred))

    @cached_property
    def nuclear(self) -> float:
        """|X'Y|_*, the sum of the singular values of `cross`: what the best rotation makes of tr(Q'X'Y)."""
        return float(torch.linalg.svdvals(self.cross).sum())

    @cached_property
    def overlap(self) -> Tensor:
        """U_x'U_y (axes of A, axes of B) float64, U the left singular vectors of each centred activation."""
        x, y = self.x.spectrum, self.y.spectrum
        return (x.vectors / x.values.sqrt()).T @ self.cross @ (y.vectors / y.values.sqrt())
