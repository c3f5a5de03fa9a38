"""The card of the pre-activation ResNets made for CIFAR that Bansal et al. 2021 stitch: ResNet-20, -110, -164."""

from sweeper.spec.cards.card import ArchCard, NetworkLayout, OptionValues, Shape
from sweeper.spec.cards.nets.resnet_cifar import RESNET_CIFAR
from sweeper.spec.cards.tally import Tally


def _network(options: OptionValues, shape: Shape, classes: int) -> NetworkLayout:
    """Count 6n + 3 layers, like `resnet_cifar`; positions are the authors', who count every module after the blocks.

    These modules are the last norm, its ReLU, pooling, flattening and the linear layer.
    """
    blocks, width = int(options["blocks"]), int(options["width"])
    layers = 6 * blocks + 3
    tally = Tally(shape)
    tally.conv(width)
    tally.cut("conv1", 1, 1 / layers)
    for block in range(3 * blocks):
        channels, stride = width * 2 ** (block // blocks), 2 if block in (blocks, 2 * blocks) else 1
        tally.norm()
        if stride > 1:
            tally.shortcut(channels, stride)
        tally.conv(channels, stride=stride)
        tally.norm()
        tally.conv(channels)
        tally.cut(f"block{block + 1}", block + 2, (3 + 2 * block) / layers)
    tally.norm()
    tally.pool()
    tally.cut("pool", 3 * blocks + 5, (layers - 1) / layers)
    tally.linear(classes)
    return tally.network(affine_from="pool")


PREACT_RESNET_CIFAR = ArchCard(
    name="preact_resnet_cifar",
    meaning="pre-activation ResNet of 6n + 2 layers for small images, with a norm and a ReLU before the pooling, as in "
    "the code of Bansal et al. 2021: blocks 3, 6, 18 and 27 give ResNet-20, -38, -110 and -164; cuts after the first "
    "convolution, after each block and after pooling",
    builder="sweeper.trials.networks.archs.preact_resnet_cifar:preact_resnet_cifar",
    options=RESNET_CIFAR.options,
    network=_network,
)
