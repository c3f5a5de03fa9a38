"""The form of every architecture: a sequence of named stages."""

from collections.abc import Mapping

from torch import Tensor, nn


class Staged(nn.Module):
    """A network as a sequence of stages.

    The stages up to and including the one with a cut's name compute the tensor at that cut; all stages compute the
    logits. The bottom and the top of a network are each a `Staged` of some of its stages.

    Attributes:
        head_layers: The names of the layers of an external network's head; () if the last layer is the head.
    """

    head_layers: tuple[str, ...] = ()

    def __init__(self, stages: Mapping[str, nn.Module]):
        super().__init__()
        self.stages = nn.ModuleDict({name.replace(".", _DOT): stage for name, stage in stages.items()})

    def forward(self, x: Tensor) -> Tensor:
        """Apply the stages in order."""
        for stage in self.stages.values():
            x = stage(x)
        return x


# A cut's name may be the path of a module, but the name of a child module can't contain a dot.
_DOT = "/"


def stages(network: nn.Module) -> dict[str, nn.Module]:
    """Return the stages of a `Staged`, or of a copy or a folded copy of one, in order, by the names of their cuts."""
    modules = network.stages
    assert isinstance(modules, nn.ModuleDict)
    return {name.replace(_DOT, "."): stage for name, stage in modules.items()}


class GlobalPool(nn.Module):
    """The mean or maximum over height and width: (images, channels, height, width) to (images, channels)."""

    def __init__(self, maximum: bool = False):
        super().__init__()
        self.maximum = maximum

    def forward(self, x: Tensor) -> Tensor:
        """Return the maximum or the mean of each channel."""
        return x.amax((2, 3)) if self.maximum else x.mean((2, 3))


def kaiming(network: nn.Module) -> None:
    """Draw the weights of a network in which a ReLU follows each convolution and no linear layer.

    Norms keep the scale 1 and the shift 0.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            draw(module, relu=isinstance(module, nn.Conv2d))


def draw(layer: nn.Conv2d | nn.Linear, relu: bool) -> None:
    """Draw a layer's weights from torch's global generator, and set its bias to 0.

    Weights are normal with variance 2 / fan_in if a ReLU follows the layer, else 1 / fan_in (He et al. 2015).
    """
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu" if relu else "linear")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
