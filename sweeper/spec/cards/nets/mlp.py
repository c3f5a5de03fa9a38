"""The card of the plain multi-layer perceptron."""

from sweeper.spec.cards.card import ArchCard, NetworkLayout, Option, OptionValues, Shape
from sweeper.spec.cards.tally import Tally


def _network(options: OptionValues, shape: Shape, classes: int) -> NetworkLayout:
    """Count `depth` hidden layers and the linear layer."""
    depth, width = int(options["depth"]), int(options["width"])
    tally = Tally(shape)
    tally.flatten()
    for layer in range(1, depth + 1):
        tally.linear(width)
        tally.cut(f"hidden{layer}", layer, layer / (depth + 1))
    tally.linear(classes)
    return tally.network(affine_from=f"hidden{depth}")


MLP = ArchCard(
    name="mlp",
    meaning="multi-layer perceptron on flattened images, without normalization layers; cuts after each ReLU",
    builder="sweeper.trials.networks.archs.mlp:mlp",
    options={
        "depth": Option(int, 3, "number of hidden layers", least=1, most=200),
        "width": Option(int, 512, "number of units of each hidden layer", least=1),
    },
    network=_network,
)
