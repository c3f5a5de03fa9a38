"""The card of the Myrtle CNN."""

from sweeper.spec.cards.card import ArchCard, NetworkLayout, OptionValues, Shape
from sweeper.spec.cards.nets.resnet import WIDTH
from sweeper.spec.cards.tally import Tally


def _network(options: OptionValues, shape: Shape, classes: int) -> NetworkLayout:
    """Count six layers like figure 2A of Bansal et al. 2021: four convolutions, pooling, the linear layer."""
    width = int(options["width"])
    tally = Tally(shape)
    for conv in range(4):
        tally.conv(width * 2**conv, bias=True)
        tally.cut(f"conv{conv + 1}", conv + 1, (conv + 1) / 6)
        tally.norm()
        if conv:
            tally.halve()
    tally.pool()
    tally.cut("pool", 5, 5 / 6)
    tally.linear(classes)
    return tally.network(affine_from="pool")


MYRTLE = ArchCard(
    name="myrtle",
    meaning="five-layer Myrtle CNN of any base width, with a cut after each convolution (before its batch norm) and "
    "after pooling",
    builder="sweeper.trials.networks.archs.myrtle:myrtle",
    options={"width": WIDTH},
    network=_network,
)
