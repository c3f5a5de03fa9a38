"""Counter of an architecture's shapes, operations and parameters, layer by layer.

Convolutions, linear layers and the two products of attention are counted, a multiply-add as two operations; norms,
pooling, activations and biases are left out, as in torch's own counter.
"""

from dataclasses import replace
from math import prod

from sweeper.spec.cards.card import Cut, NetworkLayout, Shape
from sweeper.spec.cards.shapes import channels, places


class Tally:
    """A counter with the shape of the tensor and the cost after the layers added so far."""

    def __init__(self, shape: Shape):
        self.shape = shape
        self.flops = 0
        self.parameters = 0
        self.cuts: list[Cut] = []

    def conv(self, out: int, kernel: int = 3, stride: int = 1, bias: bool = False) -> None:
        """Add a convolution padded by half its kernel, or one of patches (stride = kernel) that fill the map."""
        height, width = (-(-side // stride) for side in self.shape[1:])
        weights = out * self.shape[0] * kernel**2
        self.flops += 2 * height * width * weights
        self.parameters += weights + out * bias
        self.shape = (out, height, width)

    def shortcut(self, out: int, stride: int) -> None:
        """Add a 1 x 1 convolution parallel to the main path, whose shape stays."""
        shape = self.shape
        self.conv(out, kernel=1, stride=stride)
        self.shape = shape

    def norm(self) -> None:
        """Add a scale and a shift for each channel or feature."""
        self.parameters += 2 * channels(self.shape)

    def halve(self) -> None:
        """Add a pooling over 2 x 2; a side of 1 stays."""
        self.shape = (self.shape[0], *(max(side // 2, 1) for side in self.shape[1:]))

    def pool(self) -> None:
        """Add a pooling over all remaining places."""
        self.shape = (channels(self.shape),)

    def flatten(self) -> None:
        """Flatten an example to one vector."""
        self.shape = (prod(self.shape),)

    def tokens(self) -> None:
        """Turn a map's pixels into tokens, with a learned vector added to each."""
        self.shape = (places(self.shape), channels(self.shape))
        self.parameters += prod(self.shape)

    def linear(self, features: int) -> None:
        """Add a linear map with bias, of a vector or of each token."""
        weights = self.shape[-1] * features
        self.flops += 2 * places(self.shape) * weights
        self.parameters += weights + features
        self.shape = (*self.shape[:-1], features)

    def attention(self) -> None:
        """Add self-attention: queries, keys, values, their two products, and the output map.

        The number of heads that share the features changes nothing.
        """
        tokens, features = places(self.shape), channels(self.shape)
        self.linear(3 * features)
        self.flops += 2 * 2 * tokens**2 * features
        self.shape = (tokens, features)
        self.linear(features)

    def cut(self, name: str, position: int, depth: float, same_as: str = "") -> None:
        """Add a cut after the layers so far; the arguments are fields of `Cut`."""
        self.cuts.append(Cut(name, position, depth, self.shape, self.flops, same_as=same_as))

    def network(self, affine_from: str) -> NetworkLayout:
        """Return the cuts and the total costs of the layers added so far.

        Args:
            affine_from: The first cut after which all layers are affine.
        """
        first = [cut.name for cut in self.cuts].index(affine_from)
        cuts = tuple(replace(cut, affine_top=i >= first) for i, cut in enumerate(self.cuts))
        return NetworkLayout(cuts, self.flops, self.parameters)
