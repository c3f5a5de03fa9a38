"""The cuts of the networks of a job's families."""

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

# The most combinations of an architecture's settings whose cuts are listed.
MOST_NETWORKS = 64


def cuts_of(families: Iterable[Family], data: Data | None) -> dict[str, list[tuple[str, int]]]:
    """Return the names and positions of the cuts of each known architecture of the families, for all its settings."""
    shape = data.shape if data else (3, 32, 32)
    found: dict[str, dict[tuple[str, int], None]] = {}
    for family in families:
        classes = outputs(family.labels[0], data) if data else 10
        for arch, cut_there in networks(family, shape, classes, MOST_NETWORKS):
            found.setdefault(arch, {}).update({(cut.name, cut.position): None for cut in cut_there.cuts})
    return {arch: list(cuts) for arch, cuts in found.items()}


def networks(family: Family, shape: Shape, classes: int, most: int | None = None) -> Iterator[tuple[str, Network]]:
    """Yield the networks of a family with their architecture, without those that a mistake makes impossible.

    At most `most` combinations of settings are taken of each architecture.
    """
    for arch in family.arch:
        if not _countable(arch, shape, classes) or list(unfit_options((), family.options, options_of(arch), arch)):
            continue
        for options in islice(grid.expand(family.options), most):
            if not misfit(arch, settings(arch, options), shape):
                yield arch, network(arch, options, shape, classes)


def _countable(arch: str, shape: Shape, classes: int) -> bool:
    """Return True if the cuts of an architecture are available: it is built in, or external and probed."""
    card = probed.recall(arch, shape, classes) if probed.is_external(arch) else None
    if card:
        probed.register_card(card)
    return arch in ARCHS or card is not None
