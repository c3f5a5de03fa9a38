"""The card of resnet18k, the ResNet-18 of variable width that Bansal et al. 2021 stitch."""

from sweeper.spec.cards.card import ArchCard, NetworkLayout, Option, OptionValues, Shape
from sweeper.spec.cards.tally import Tally

WIDTH = Option(int, 64, "channels of the first stage; later stages have 2, 4 and 8 times as many", least=1)


def _network(options: OptionValues, shape: Shape, classes: int) -> NetworkLayout:
    """Count 19 layers like Bansal et al. 2021: a convolution, two in each of eight blocks, pooling, a linear layer."""
    width = int(options["width"])
    tally = Tally(shape)
    tally.conv(width)
    tally.cut("conv1", 1, 1 / 19)
    for block in range(8):
        channels, stride = width * 2 ** (block // 2), 2 if block in (2, 4, 6) else 1
        tally.norm()
        if stride > 1:
            tally.shortcut(channels, stride)
        tally.conv(channels, stride=stride)
        tally.norm()
        tally.conv(channels)
        tally.cut(f"block{block + 1}", block + 2, (3 + 2 * block) / 19)
    tally.pool()
    tally.cut("pool", 11, 18 / 19, same_as="block8")
    tally.linear(classes)
    return tally.network(affine_from="block8")


RESNET18K = ArchCard(
    name="resnet18k",
    meaning="pre-activation ResNet-18 of any base width, without a batch norm before the pooling; cuts after the first "
    "convolution, after each block and after the pooling",
    builder="sweeper.trials.networks.archs.resnet:resnet18k",
    options={"width": WIDTH},
    network=_network,
)
