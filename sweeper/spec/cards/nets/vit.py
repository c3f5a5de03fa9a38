"""The card of the vision transformer."""

from sweeper.spec.cards.card import ArchCard, NetworkLayout, Option, OptionValues, Shape
from sweeper.spec.cards.shapes import format_shape
from sweeper.spec.cards.tally import Tally


def _network(options: OptionValues, shape: Shape, classes: int) -> NetworkLayout:
    """Count 2 depth + 3 layers, numbered like those of a ResNet.

    The layers are the map of the patches, two in each block (attention, perceptron), pooling, and the linear layer.
    """
    patch, depth, dim, ratio = (int(options[name]) for name in ("patch", "depth", "dim", "mlp_ratio"))
    layers = 2 * depth + 3
    tally = Tally(shape)
    tally.conv(dim, kernel=patch, stride=patch, bias=True)
    tally.tokens()
    tally.cut("embed", 1, 1 / layers)
    for block in range(1, depth + 1):
        tally.norm()
        tally.attention()
        tally.norm()
        tally.linear(ratio * dim)
        tally.linear(dim)
        tally.cut(f"block{block}", block + 1, (1 + 2 * block) / layers)
    tally.norm()
    tally.pool()
    tally.cut("pool", depth + 2, (layers - 1) / layers)
    tally.linear(classes)
    return tally.network(affine_from="pool")


def _misfit(options: OptionValues, shape: Shape) -> str:
    patch, dim, heads = (int(options[name]) for name in ("patch", "dim", "heads"))
    if any(side % patch for side in shape[1:]):
        return f"patch {patch} does not divide images of {format_shape(shape[1:])}"
    return f"heads {heads} does not divide dim {dim}" if dim % heads else ""


VIT = ArchCard(
    name="vit",
    meaning="pre-norm vision transformer with learned positions and mean pooling, without class token and dropout; "
    "cuts after the embedding and after each block, where an activation is tokens x features, and after pooling",
    builder="sweeper.trials.networks.archs.vit:vit",
    options={
        "patch": Option(int, 4, "side of a patch in pixels; must divide the images' sides", least=1),
        "depth": Option(int, 12, "number of blocks of attention and perceptron", least=1, most=200),
        "dim": Option(int, 768, "number of features of a token", least=1),
        "heads": Option(int, 12, "number of attention heads; must divide dim", least=1),
        "mlp_ratio": Option(int, 4, "hidden units of each block's perceptron, as a multiple of dim", least=1),
    },
    network=_network,
    misfit=_misfit,
)
