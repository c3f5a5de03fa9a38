"""The joins of a job's user stitchers: the pairs of shapes that each can join, recorded in the resolved job."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from sweeper.errors import JobError, Mistake, UsageError
from sweeper.spec.cards import user_stitchers
from sweeper.spec.cards.card import Shape, StitcherCard
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.labels import output_count
from sweeper.spec.cards.options import complete
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.cards.user_stitchers import Join, UserStitcher
from sweeper.spec.job import grid
from sweeper.spec.job.checks.cuts import networks
from sweeper.spec.job.inputs import image_shapes
from sweeper.spec.job.source import dotted
from sweeper.spec.job.sweep import PartlyResolvedSweep, StitchSection
from sweeper.spec.records.task import Data, Options
from sweeper.spec.user_code import code


def importable_stitchers(sweep: PartlyResolvedSweep) -> dict[str, str]:
    """Return the import paths of the user stitchers of a job whose code may run, by name.

    These are the trusted stitchers, and those that installed distributions declare.
    """
    import_paths: dict[str, str] = {}
    for operation in (
        operation for section in sweep.stitch for operation in section.stitcher if operation.name not in STITCHERS
    ):
        trusted = code.find_trusted(sweep.code, operation.name)
        if trusted:
            import_paths[operation.name] = (
                f"{trusted.path}:{operation.name.rpartition(':')[2]}" if trusted.path else operation.name
            )
        elif ":" not in operation.name and user_stitchers.is_declared(operation.name):
            import_paths[operation.name] = operation.name
    return import_paths


def with_joins(sweep: PartlyResolvedSweep, data: Data) -> tuple[UserStitcher, ...]:
    """Return the user stitchers of a job with the joins that their cards describe.

    The functions of a card are called only if the job doesn't record the stitcher yet.

    Args:
        sweep: The job, with the cards of all its external networks.
        data: Its data set.

    Raises:
        JobError: A card can't be imported, or one of its functions raises or returns a wrong type.
    """
    recorded_names = {stitcher.name for stitcher in sweep.stitchers}
    new_stitchers = (
        _record_joins(name, import_path, sweep, data)
        for name, import_path in importable_stitchers(sweep).items()
        if name not in recorded_names
    )
    return (*sweep.stitchers, *new_stitchers)


def _record_joins(name: str, import_path: str, sweep: PartlyResolvedSweep, data: Data) -> UserStitcher:
    """Return a user stitcher with a join for each pair of shapes and settings of the sections that name it."""
    joins: dict[tuple[Shape, Shape, Options], Join] = {}
    indices = [
        i for i, section in enumerate(sweep.stitch) if name in (operation.name for operation in section.stitcher)
    ]
    index = indices[0]
    try:
        stitcher, card = user_stitchers.user_stitcher(name, import_path)
        for index in indices:
            section = sweep.stitch[index]
            shape_pairs = _shapes(section, sweep, data, card.replaces_top)
            for options, shapes in product(_options(name, card, section), shape_pairs):
                if (*shapes, options) not in joins:
                    joins[*shapes, options] = user_stitchers.join(stitcher, card, *shapes, options)
    except UsageError as error:
        raise JobError([Mistake(str(error), dotted(("stitch", index, "stitcher")))]) from None
    return replace(stitcher, joins=tuple(joins.values()))


def _options(name: str, card: StitcherCard, section: StitchSection) -> Iterator[Options]:
    """Yield the points of the grid of a stitcher's settings."""
    for operation in section.stitcher:
        if operation.name == name:
            yield from (complete(card.options, point, name) for point in grid.expand(operation.options))


def _shapes(
    section: StitchSection, sweep: PartlyResolvedSweep, data: Data, replaces_top: bool
) -> Iterator[tuple[Shape, Shape]]:
    """Yield every pair of shapes that a section may join: at a cut of A and a cut of B.

    If the stitcher replaces the top, the second shape is that of B's output.
    """
    catalog = Catalog.of(sweep)
    bottom_shapes = dict.fromkeys(
        shape for cuts, _ in _networks(section.bottom, sweep, data, catalog) for shape in cuts
    )
    tops = _networks(section.top, sweep, data, catalog)
    top_shapes = dict.fromkeys(shape for cuts, output in tops for shape in ([output] if replaces_top else cuts))
    yield from product(bottom_shapes, top_shapes)


def _networks(
    names: Sequence[str], sweep: PartlyResolvedSweep, data: Data, catalog: Catalog
) -> Iterator[tuple[list[Shape], Shape]]:
    """Yield, for each network of some families, the shapes at its cuts and the shape of its output."""
    for family in (sweep.models[name] for name in names if name in sweep.models):
        for classes in dict.fromkeys(output_count(labels, data) for labels in family.labels):
            for _, network in networks(family, image_shapes(family, data, sweep.weights), classes, catalog):
                yield [cut.shape for cut in network.cuts], network.output(classes).shape
