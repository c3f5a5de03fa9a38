"""What a card counts an architecture with: shapes, operations and parameters, layer by layer.

Convolutions, linear layers and the two products of attention are counted, a multiply-add as two operations; norms,
pooling, activations and biases are left out, as in torch's own counter.
"""

from math import prod

from sweeper.spec.cards.card import Cut, Network, Shape
from sweeper.spec.cards.shapes import channels, places


class Tally:
    """Runs through an architecture layer by layer, with the tensor's shape and the cost so far."""

    def __init__(self, shape: Shape):
        self.shape = shape
        self.flops = 0
        self.parameters = 0
        self.cuts: list[Cut] = []

    def conv(self, out: int, kernel: int = 3, stride: int = 1, bias: bool = False) -> None:
        """A convolution padded by half its kernel, or one of patches (stride = kernel) that fill the map."""
        height, width = (-(-side // stride) for side in self.shape[1:])
        weights = out * self.shape[0] * kernel**2
        self.flops += 2 * height * width * weights
        self.parameters += weights + out * bias
        self.shape = (out, height, width)

    def shortcut(self, out: int, stride: int) -> None:
        """A 1 x 1 convolution beside the main path, which goes on from the present shape."""
        shape = self.shape
        self.conv(out, kernel=1, stride=stride)
        self.shape = shape

    def norm(self) -> None:
        """A scale and a shift for each channel or feature."""
        self.parameters += 2 * channels(self.shape)

    def halve(self) -> None:
        """Pooling over 2 x 2; a side of 1 stays."""
        self.shape = (self.shape[0], *(max(side // 2, 1) for side in self.shape[1:]))

    def pool(self) -> None:
        """Pooling over all places that remain."""
        self.shape = (channels(self.shape),)

    def flatten(self) -> None:
        """All numbers of an example as one vector."""
        self.shape = (prod(self.shape),)

    def tokens(self) -> None:
        """A map's pixels as tokens, with a learned vector added to each."""
        self.shape = (places(self.shape), channels(self.shape))
        self.parameters += prod(self.shape)

    def linear(self, features: int) -> None:
        """A linear map with bias, of a vector or of each token."""
        weights = self.shape[-1] * features
        self.flops += 2 * places(self.shape) * weights
        self.parameters += weights + features
        self.shape = (*self.shape[:-1], features)

    def attention(self) -> None:
        """Self-attention: queries, keys and values, every query times every key, the weighted sum of values, and the
        map back. How many heads share the features changes nothing."""
        tokens, features = places(self.shape), channels(self.shape)
        self.linear(3 * features)
        self.flops += 2 * 2 * tokens**2 * features
        self.shape = (tokens, features)
        self.linear(features)

    def cut(self, name: str, position: int, depth: float) -> None:
        self.cuts.append(Cut(name, position, depth, self.shape, self.flops))

    def network(self) -> Network:
        return Network(tuple(self.cuts), self.flops, self.parameters)
