"""The five-layer Myrtle CNN of any base width (Page 2018; Nakkiran et al. 2020; Bansal et al. 2021).

It consists of four times convolution (with bias), norm and ReLU, with 2 x 2 max pooling after the second, third and
fourth; a max pooling over the remaining map (4 x 4 of a 32 x 32 image); and a linear layer. A stage starts with the
norm of the convolution before it, so a cut is before the norm. Pooling leaves a side of 1 unchanged, so that images may
be too small for three halvings: the sides of an 8 x 8 image are 8, 4, 2, 1.
"""

from torch import nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.trials.networks.archs.staged import GlobalPool, Staged, kaiming


def myrtle(options: OptionValues, shape: Shape, classes: int) -> nn.Module:
    """Build the network, with the stages conv1 .. conv4, pool, linear. Weights come from torch's global generator.

    Args:
        options: `width`, the number of channels of the first stage.
        shape: The shape of an image (channels, height, width).
        classes: The number of classes.
    """
    width = int(options["width"])
    stages: dict[str, nn.Module] = {"conv1": nn.Conv2d(shape[0], width, 3, padding=1)}
    channels, sides = width, shape[1:]
    stage_start: list[nn.Module] = _norm(channels)
    for conv in range(2, 5):
        stages[f"conv{conv}"] = nn.Sequential(*stage_start, nn.Conv2d(channels, 2 * channels, 3, padding=1))
        channels *= 2
        pool = tuple(min(side, 2) for side in sides)
        sides = tuple(side // factor for side, factor in zip(sides, pool, strict=True))
        stage_start = [*_norm(channels), nn.MaxPool2d(pool)]
    stages["pool"] = nn.Sequential(*stage_start, GlobalPool(maximum=True))
    stages["linear"] = nn.Linear(channels, classes)
    network = Staged(stages)
    kaiming(network)
    return network


def _norm(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
