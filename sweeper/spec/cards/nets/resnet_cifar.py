"""The card of the ResNets made for CIFAR: ResNet-20, -38, -110, -164."""

from sweeper.spec.cards.card import ArchCard, NetworkLayout, Option, OptionValues, Shape
from sweeper.spec.cards.tally import Tally


def _network(options: OptionValues, shape: Shape, classes: int) -> NetworkLayout:
    """Count 6n + 3 layers, numbered like those of resnet18k; shortcuts cost nothing.

    The layers are a convolution, two in each of 3n blocks, pooling, and the linear layer.
    """
    blocks, width = int(options["blocks"]), int(options["width"])
    layers = 6 * blocks + 3
    tally = Tally(shape)
    tally.conv(width)
    tally.norm()
    tally.cut("stem", 1, 1 / layers)
    for block in range(3 * blocks):
        channels, stride = width * 2 ** (block // blocks), 2 if block in (blocks, 2 * blocks) else 1
        tally.conv(channels, stride=stride)
        tally.norm()
        tally.conv(channels)
        tally.norm()
        tally.cut(f"block{block + 1}", block + 2, (3 + 2 * block) / layers)
    tally.pool()
    tally.cut("pool", 3 * blocks + 3, (layers - 1) / layers, same_as=f"block{3 * blocks}")
    tally.linear(classes)
    return tally.network(affine_from=f"block{3 * blocks}")


RESNET_CIFAR = ArchCard(
    name="resnet_cifar",
    meaning="post-activation ResNet of 6n + 2 layers for small images: blocks 3, 6, 18 and 27 give ResNet-20, -38, "
    "-110 and -164; cuts after the first convolution, after each block's last ReLU and after pooling",
    builder="sweeper.trials.networks.archs.resnet_cifar:resnet_cifar",
    options={
        "blocks": Option(
            int, 3, "number of blocks in each of the three stages: the n of 6n + 2 layers", least=1, most=200
        ),
        "width": Option(int, 16, "channels of the first stage; later stages have 2 and 4 times as many", least=1),
    },
    network=_network,
)
