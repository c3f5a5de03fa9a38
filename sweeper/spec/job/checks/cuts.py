"""The cuts of the networks of a job's families."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from sweeper.spec.cards.archs import complete_options, images_misfit, options_of
from sweeper.spec.cards.card import NetworkLayout, OptionValues, Shape
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.labels import output_count
from sweeper.spec.job import grid
from sweeper.spec.job.checks.option_findings import unfit_setting_findings
from sweeper.spec.job.family import Family
from sweeper.spec.job.inputs import image_shapes
from sweeper.spec.records.task import Data

# The most combinations of an architecture's settings whose cuts are listed.
MOST_NETWORKS = 64


def cuts_of(families: Iterable[Family], data: Data | None, catalog: Catalog) -> dict[str, list[tuple[str, int]]]:
    """Return the names and positions of the cuts of each known architecture of the families, for all its settings."""
    cuts_by_arch: dict[str, dict[tuple[str, int], None]] = {}
    for family in families:
        classes = output_count(family.labels[0], data) if data else 10
        shapes = image_shapes(family, data) if data else {arch: [(3, 32, 32)] for arch in family.arch}
        for arch, card in networks(family, shapes, classes, catalog, MOST_NETWORKS):
            cuts_by_arch.setdefault(arch, {}).update({(cut.name, cut.position): None for cut in card.cuts})
    return {arch: list(cuts) for arch, cuts in cuts_by_arch.items()}


def networks(
    family: Family,
    shapes: Mapping[str, Sequence[Shape]],
    classes: int,
    catalog: Catalog,
    most: int | None = None,
) -> Iterator[tuple[str, NetworkLayout]]:
    """Yield the networks of a family with their architecture, without those that a mistake makes impossible.

    An external network without a card in the catalog is left out, too. Of each architecture, at most `most`
    combinations of settings are yielded for each shape of images.

    Args:
        family: The family.
        shapes: The shapes of the images that the networks of an architecture take, by architecture.
        classes: The number of outputs.
        catalog: The cards of the job.
        most: The most combinations of settings.
    """
    for arch, shape in ((name, shape) for name in family.arch for shape in shapes[name]):
        user_network = catalog.user_networks.get(arch)
        for options in islice(grid.expand(family.options), most):
            if user_network and user_network.problems(options):
                continue
            if not catalog.has_network(arch, shape, classes, options if user_network else ()):
                continue
            if user_network or _fits(arch, options, family, shape):
                yield arch, catalog.network(arch, options, shape, classes)


def _fits(arch: str, options: OptionValues, family: Family, shape: Shape) -> bool:
    """Return True if settings of a family, and all its values, suit an architecture and images of a shape."""
    if list(unfit_setting_findings((), family.options, options_of(arch), arch)):
        return False
    return not images_misfit(arch, complete_options(arch, options), shape)
