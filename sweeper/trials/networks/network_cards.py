"""The cards of the networks that this process has built; a worker needs no card from the machine that planned the job.

An external network's card is measured when the network is built. Only `sweeper.trials` reads these cards: planning
takes its cards from the resolved job.

The cards are state of the process because they are a by-product of building: `build` returns only the network, and a
cached function of a network's name would have to build and trace each external network a second time.
"""

from sweeper.spec.cards.catalog import Catalog, NetworkKey
from sweeper.spec.cards.probed import Probed

_external: dict[NetworkKey, Probed] = {}


def add_measured(card: Probed) -> None:
    """Add the card of an external network that was just built; a later card of the same network replaces it."""
    _external[card.name, card.options, tuple(card.shape), card.classes] = card


def catalog() -> Catalog:
    """Return the built-in cards and those of the external networks that this process has built."""
    return Catalog().with_networks(_external.values())
