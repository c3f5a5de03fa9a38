"""What every architecture is made of: named stages in a row."""

from collections.abc import Mapping

from torch import Tensor, nn


class Staged(nn.Module):
    """A network as stages in order: the stages up to and including the one named like a cut give that cut's tensor,
    all of them give the logits. A half of a network is a `Staged` over some of the same stages."""

    def __init__(self, stages: Mapping[str, nn.Module]):
        super().__init__()
        self.stages = nn.ModuleDict({name.replace(".", _DOT): stage for name, stage in stages.items()})

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages.values():
            x = stage(x)
        return x


# A cut may be named by a module's path, and a module's own name holds no dot.
_DOT = "/"


def stages(network: nn.Module) -> dict[str, nn.Module]:
    """The stages of a `Staged`, or of what was made of one, by the names of their cuts, in order."""
    held = network.stages
    assert isinstance(held, nn.ModuleDict)
    return {name.replace(_DOT, "."): stage for name, stage in held.items()}


class GlobalPool(nn.Module):
    """Pools (images, channels, height, width) to (images, channels) over whatever height and width remain, by their
    mean or their maximum."""

    def __init__(self, maximum: bool = False):
        super().__init__()
        self.maximum = maximum

    def forward(self, x: Tensor) -> Tensor:
        return x.amax((2, 3)) if self.maximum else x.mean((2, 3))


def kaiming(network: nn.Module) -> None:
    """Draws the weights of a network in which a ReLU follows each convolution and none a linear layer; norms stay 1
    and 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            draw(module, relu=isinstance(module, nn.Conv2d))


def draw(layer: nn.Conv2d | nn.Linear, relu: bool) -> None:
    """Draws a layer's weights from torch's global generator: normal with variance 2 / fan_in where a ReLU follows it,
    1 / fan_in elsewhere (He et al. 2015); its bias is 0."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu" if relu else "linear")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
