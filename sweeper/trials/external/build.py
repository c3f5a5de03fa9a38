"""A network from elsewhere as the rest of this room knows networks: stages in a row, its card learnt on the way."""

from sweeper.spec.cards import probed
from sweeper.spec.cards.card import Shape
from sweeper.trials.archs.staged import Staged
from sweeper.trials.external.dissect import dissect
from sweeper.trials.external.source import make


def build(name: str, image: Shape, classes: int, seed: int) -> Staged:
    """The network at its random initialisation, in train mode. A worker learns the card here, so that it needs none
    from the machine that planned. Raises as `make` and `dissect` do."""
    found = dissect(make(name, image, classes, seed=seed), image)
    probed.learn(probed.Probed(name, image, classes, found.card))
    return found.staged.train()
