"""A network from elsewhere as the rest of this room knows networks: stages in a row, its card learnt on the way."""

from collections.abc import Mapping

from torch import Tensor

from sweeper.spec.cards import probed
from sweeper.spec.cards.card import Shape
from sweeper.trials.archs.staged import Staged
from sweeper.trials.external.dissect import dissect
from sweeper.trials.external.source import make
from sweeper.trials.weights import fill


def build(name: str, image: Shape, classes: int, seed: int, state: Mapping[str, Tensor] | None = None) -> Staged:
    """The network at its random initialisation, or with a state dict under its own names, in train mode. A worker
    learns the card here, so that it needs none from the machine that planned. Raises as `make`, `fill` and `dissect`
    do."""
    network = make(name, image, classes, seed=seed, trust=True)  # the plan holds none but trusted code
    if state is not None:
        fill(network, state)
    found = dissect(network, image)
    probed.register_card(probed.Probed(name, image, classes, found.card))
    return found.staged.train()
