"""The plain multi-layer perceptron: flattened images, hidden layers of one width with a ReLU each, a linear layer."""

from math import prod

from torch import nn

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.trials.networks.archs.staged import Staged, draw


def mlp(options: OptionValues, shape: Shape, classes: int) -> nn.Module:
    """Builds the network for images of `shape` (channels, height, width); option `depth` is the number of hidden
    layers, `width` their units. Stages: hidden1 .. hidden<depth>, linear. Weights come from torch's global
    generator."""
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
