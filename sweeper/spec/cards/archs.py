"""Architectures: where each can be cut, the shapes there, and what a forward pass costs, without torch.

Costs count convolutions and linear layers, a multiply-add as two operations; norms, pooling and biases are left
out, as in torch's own counter.
"""

from collections.abc import Mapping
from functools import lru_cache

from sweeper.spec.task import Options

from . import probed
from .card import ArchCard, Cut, Network, Option, OptionValues, Shape

WIDTH = Option(int, 64, "channels of the first stage; later stages have 2, 4 and 8 times as many", least=1)


class _Tally:
    """Runs through an architecture layer by layer, with the tensor's shape and the cost so far."""

    def __init__(self, shape: Shape):
        self.shape = shape
        self.flops = 0
        self.parameters = 0
        self.cuts: list[Cut] = []

    def conv(self, channels: int, kernel: int = 3, stride: int = 1, bias: bool = False) -> None:
        """A convolution padded by half its kernel."""
        height, width = (-(-side // stride) for side in self.shape[1:])
        weights = channels * self.shape[0] * kernel**2
        self.flops += 2 * height * width * weights
        self.parameters += weights + channels * bias
        self.shape = (channels, height, width)

    def shortcut(self, channels: int, stride: int) -> None:
        """A 1 x 1 convolution beside the main path, which goes on from the present shape."""
        shape = self.shape
        self.conv(channels, kernel=1, stride=stride)
        self.shape = shape

    def norm(self) -> None:
        self.parameters += 2 * self.shape[0]

    def halve(self) -> None:
        """Pooling over 2 x 2; a side of 1 stays."""
        self.shape = (self.shape[0], *(max(side // 2, 1) for side in self.shape[1:]))

    def flatten(self) -> None:
        """Pooling over all that remains."""
        self.shape = (self.shape[0],)

    def linear(self, features: int) -> None:
        self.flops += 2 * self.shape[0] * features
        self.parameters += features * (self.shape[0] + 1)
        self.shape = (features,)

    def cut(self, name: str, position: int, depth: float) -> None:
        self.cuts.append(Cut(name, position, depth, self.shape, self.flops))

    def network(self) -> Network:
        return Network(tuple(self.cuts), self.flops, self.parameters)


def _resnet18k(options: OptionValues, shape: Shape, classes: int) -> Network:
    """19 layers as the paper counts them: a convolution, two in each of eight blocks, pooling, the linear layer."""
    width = int(options["width"])
    tally = _Tally(shape)
    tally.conv(width)
    tally.cut("conv1", 1, 1 / 19)
    for block in range(8):
        channels, stride = width * 2 ** (block // 2), 2 if block in (2, 4, 6) else 1
        tally.norm()
        if stride > 1:
            tally.shortcut(channels, stride)
        tally.conv(channels, stride=stride)
        tally.norm()
        tally.conv(channels)
        tally.cut(f"block{block + 1}", block + 2, (3 + 2 * block) / 19)
    tally.flatten()
    tally.cut("pool", 11, 18 / 19)
    tally.linear(classes)
    return tally.network()


def _myrtle(options: OptionValues, shape: Shape, classes: int) -> Network:
    """Six layers as the paper's figure 2A counts them: four convolutions, pooling, the linear layer."""
    width = int(options["width"])
    tally = _Tally(shape)
    for conv in range(4):
        tally.conv(width * 2**conv, bias=True)
        tally.cut(f"conv{conv + 1}", conv + 1, (conv + 1) / 6)
        tally.norm()
        if conv:
            tally.halve()
    tally.flatten()
    tally.cut("pool", 5, 5 / 6)
    tally.linear(classes)
    return tally.network()


ARCHS: dict[str, ArchCard] = {
    card.name: card
    for card in (
        ArchCard(
            name="resnet18k",
            meaning="pre-activation ResNet-18 of any base width; no norm before the pooling",
            builder="sweeper.trials.archs.resnet:resnet18k",
            options={"width": WIDTH},
            network=_resnet18k,
        ),
        ArchCard(
            name="myrtle",
            meaning="five-layer Myrtle CNN of any base width; cut after each convolution, before its norm",
            builder="sweeper.trials.archs.myrtle:myrtle",
            options={"width": WIDTH},
            network=_myrtle,
        ),
    )
}


def options_of(name: str) -> Mapping[str, Option]:
    """The settings that an architecture has. Raises KeyError for an unknown one."""
    return {} if probed.elsewhere(name) else ARCHS[name].options


def settings(name: str, options: OptionValues | Options) -> OptionValues:
    """Every option of an architecture, sorted: those given, the card's defaults for the others.

    Raises KeyError for an unknown architecture, ValueError for an option that it doesn't have.
    """
    known, given = options_of(name), dict(options)
    if unknown := given.keys() - known.keys():
        raise ValueError(f"{name} has no option {', '.join(sorted(unknown))}; it has {', '.join(known) or 'none'}")
    defaults = {option: spec.default for option, spec in known.items() if spec.default is not None}
    return dict(sorted({**defaults, **given}.items()))


def network(name: str, options: OptionValues | Options, shape: Shape, classes: int) -> Network:
    """The costs and cuts of an architecture on images of `shape` (channels, height, width); cached.

    `options` is a mapping or (name, value) pairs; what it leaves out takes its default. Raises as `settings` does, and
    NetworkError for a network from elsewhere that wasn't probed.
    """
    if probed.elsewhere(name):
        settings(name, options)
        return probed.network(name, shape, classes)
    return _network(name, tuple(settings(name, options).items()), tuple(shape), classes)


@lru_cache(maxsize=4096)
def _network(name: str, options: Options, shape: Shape, classes: int) -> Network:
    return ARCHS[name].network(dict(options), shape, classes)
