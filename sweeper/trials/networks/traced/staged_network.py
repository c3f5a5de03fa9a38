"""External networks (torchvision, timm, user code) as staged networks, with the card that splitting them gives."""

from collections.abc import Mapping

from torch import Tensor

from sweeper.spec.cards import probed
from sweeper.spec.cards.card import Shape
from sweeper.trials.networks.archs.staged import Staged
from sweeper.trials.networks.state_dicts import fill
from sweeper.trials.networks.traced.construct import make
from sweeper.trials.networks.traced.split_network import split_network


def build(name: str, image: Shape, classes: int, seed: int, state: Mapping[str, Tensor] | None = None) -> Staged:
    """Build an external network as stages, in train mode, and register its card.

    A worker registers the card here, so that it needs no card from the machine that planned the job.

    Args:
        name: `torchvision:NAME`, `timm:NAME` or `package.module:callable`.
        image: the shape of an image (channels, height, width).
        classes: the number of classes.
        seed: the seed of the random initialisation.
        state: weights under the names of the network's own modules; None: the random initialisation.

    Raises:
        UsageError: as `make`.
        NetworkError: as `make`, `fill` and `split_network`.
    """
    network = make(name, image, classes, seed=seed, trust=True)  # a plan contains only code that the user trusts
    if state is not None:
        fill(network, state)
    split = split_network(network, image)
    probed.register_card(probed.Probed(name, image, classes, split.card))
    return split.staged.train()
