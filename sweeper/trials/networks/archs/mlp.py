"""The multi-layer perceptron: flattened images, hidden layers of equal width with ReLUs, and a linear layer."""

from math import prod

from torch import nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.trials.networks.archs.staged import Staged, draw


def mlp(options: OptionValues, shape: Shape, classes: int) -> nn.Module:
    """Build the network, with the stages hidden1 .. hidden<depth>, linear. Weights come from torch's global generator.

    Args:
        options: `depth`, the number of hidden layers, and `width`, the number of units of each.
        shape: The shape of an image (channels, height, width).
        classes: The number of classes.
    """
    depth, width = int(options["depth"]), int(options["width"])
    stages: dict[str, nn.Module] = {"hidden1": nn.Sequential(nn.Flatten(), *_hidden(prod(shape), width))}
    for layer in range(2, depth + 1):
        stages[f"hidden{layer}"] = nn.Sequential(*_hidden(width, width))
    stages["linear"] = head = nn.Linear(width, classes)
    draw(head, relu=False)
    return Staged(stages)


def _hidden(features: int, units: int) -> list[nn.Module]:
    layer = nn.Linear(features, units)
    draw(layer, relu=True)
    return [layer, nn.ReLU(inplace=True)]
