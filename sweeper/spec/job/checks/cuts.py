"""Where the networks of families can be cut."""

from collections.abc import Iterable, Iterator
from itertools import islice

from sweeper.spec.cards import probed
from sweeper.spec.cards.archs import ARCHS, misfit, network, options_of, settings
from sweeper.spec.cards.card import Network, Shape
from sweeper.spec.cards.labels import outputs
from sweeper.spec.job import grid
from sweeper.spec.job.checks.option_findings import unfit_options
from sweeper.spec.job.sweep import Family
from sweeper.spec.records.task import Data

# Combinations of an architecture's settings whose cuts are looked at.
MOST_NETWORKS = 64


def cuts_of(families: Iterable[Family], data: Data | None) -> dict[str, list[tuple[str, int]]]:
    """Names and positions of the cuts of each known architecture among the families, whatever its settings."""
    shape = data.shape if data else (3, 32, 32)
    found: dict[str, dict[tuple[str, int], None]] = {}
    for family in families:
        classes = outputs(family.labels[0], data) if data else 10
        for arch, cut_there in networks(family, shape, classes, MOST_NETWORKS):
            found.setdefault(arch, {}).update({(cut.name, cut.position): None for cut in cut_there.cuts})
    return {arch: list(cuts) for arch, cuts in found.items()}


def networks(family: Family, shape: Shape, classes: int, most: int | None = None) -> Iterator[tuple[str, Network]]:
    """The networks of a family by architecture, those apart that a mistake makes impossible; of each architecture at
    most so many settings."""
    for arch in family.arch:
        if not _countable(arch, shape, classes) or list(unfit_options((), family.options, options_of(arch), arch)):
            continue
        for options in islice(grid.expand(family.options), most):
            if not misfit(arch, settings(arch, options), shape):
                yield arch, network(arch, options, shape, classes)


def _countable(arch: str, shape: Shape, classes: int) -> bool:
    """Whether the cuts of an architecture are known: those of our own, and of one from elsewhere that was probed."""
    card = probed.recall(arch, shape, classes) if probed.is_external(arch) else None
    if card:
        probed.register_card(card)
    return arch in ARCHS or card is not None
