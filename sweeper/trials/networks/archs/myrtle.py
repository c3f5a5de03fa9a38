"""The five-layer Myrtle CNN of any base width (Page 2018; Nakkiran et al. 2020; Bansal et al. 2021).

Four times convolution (with bias), norm, ReLU; a 2 x 2 max pooling after the second, third and fourth; a max pooling
over what remains (4 x 4 of a 32 x 32 image); a linear layer. A stage starts with the norm of the convolution before
it, so that a cut lies before the norm. On images too small for three halvings a pooling leaves a side of 1 as it is:
8 x 8 images go 8, 4, 2, 1.
"""

from torch import nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.trials.networks.archs.staged import GlobalPool, Staged, kaiming


def myrtle(options: OptionValues, shape: Shape, classes: int) -> nn.Module:
    """Builds the network for images of `shape` (channels, height, width); option `width` is the channels of the first
    stage. Stages: conv1 .. conv4, pool, linear. Weights come from torch's global generator."""
    width = int(options["width"])
    stages: dict[str, nn.Module] = {"conv1": nn.Conv2d(shape[0], width, 3, padding=1)}
    channels, sides = width, shape[1:]
    enter: list[nn.Module] = _norm(channels)
    for conv in range(2, 5):
        stages[f"conv{conv}"] = nn.Sequential(*enter, nn.Conv2d(channels, 2 * channels, 3, padding=1))
        channels *= 2
        pool = tuple(min(side, 2) for side in sides)
        sides = tuple(side // by for side, by in zip(sides, pool, strict=True))
        enter = [*_norm(channels), nn.MaxPool2d(pool)]
    stages["pool"] = nn.Sequential(*enter, GlobalPool(maximum=True))
    stages["linear"] = nn.Linear(channels, classes)
    network = Staged(stages)
    kaiming(network)
    return network


def _norm(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
