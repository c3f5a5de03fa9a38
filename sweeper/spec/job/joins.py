"""What the users' own stitchers of a job say of the shapes that meet in it: asked once, carried by the resolved job."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from sweeper.errors import JobError, Mistake, UsageError
from sweeper.spec.cards import user_stitchers
from sweeper.spec.cards.card import Shape, StitcherCard
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.labels import outputs
from sweeper.spec.cards.options import complete
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.cards.user_stitchers import Join, UserStitcher
from sweeper.spec.job import grid
from sweeper.spec.job.checks.cuts import networks
from sweeper.spec.job.source import dotted
from sweeper.spec.job.sweep import StitchSection, Sweep
from sweeper.spec.records.task import Data, Options
from sweeper.spec.user_code import code


def named(sweep: Sweep) -> dict[str, str]:
    """The users' own stitchers that a job names and whose code may run, each with what imports it: those that were
    trusted, and those that installed distributions declare."""
    found: dict[str, str] = {}
    for use in (use for section in sweep.stitch for use in section.stitcher if use.name not in STITCHERS):
        trusted = code.known(sweep.code, use.name)
        if trusted:
            found[use.name] = f"{trusted.path}:{use.name.rpartition(':')[2]}" if trusted.path else use.name
        elif ":" not in use.name and user_stitchers.entry(use.name):
            found[use.name] = use.name
    return found


def of(sweep: Sweep, data: Data) -> tuple[UserStitcher, ...]:
    """The users' own stitchers of a job, with what each says; those that the job carries already aren't asked again.

    The networks of the job must be known. Raises JobError where a card can't be had or doesn't answer.
    """
    known = {each.name for each in sweep.stitchers}
    asked = {name: where for name, where in named(sweep).items() if name not in known}
    return (*sweep.stitchers, *(_asked(name, where, sweep, data) for name, where in asked.items()))


def _asked(name: str, where: str, sweep: Sweep, data: Data) -> UserStitcher:
    joins: dict[tuple[Shape, Shape, Options], Join] = {}
    places = [i for i, section in enumerate(sweep.stitch) if name in (use.name for use in section.stitcher)]
    place = places[0]
    try:
        theirs, card = user_stitchers.user_stitcher(name, where)
        for place in places:
            section = sweep.stitch[place]
            shape_pairs = _shapes(section, sweep, data, card.replaces_top)
            for options, shapes in product(_options(name, card, section), shape_pairs):
                if (*shapes, options) not in joins:
                    joins[*shapes, options] = user_stitchers.join(theirs, card, *shapes, options)
    except UsageError as error:
        raise JobError([Mistake(str(error), dotted(("stitch", place, "stitcher")))]) from None
    return replace(theirs, joins=tuple(joins.values()))


def _options(name: str, card: StitcherCard, section: StitchSection) -> Iterator[Options]:
    """The points of the grid of a stitcher's settings."""
    for use in section.stitcher:
        if use.name == name:
            yield from (complete(card.options, point, name) for point in grid.expand(use.options))


def _shapes(section: StitchSection, sweep: Sweep, data: Data, replaces_top: bool) -> Iterator[tuple[Shape, Shape]]:
    """Every pair of shapes that may meet in a section: at A's cuts, and at B's, or at its output where the stitcher
    stands for the top."""
    catalog = Catalog.of(sweep)
    below = dict.fromkeys(shape for cuts, _ in _networks(section.bottom, sweep, data, catalog) for shape in cuts)
    tops = _networks(section.top, sweep, data, catalog)
    above = dict.fromkeys(shape for cuts, output in tops for shape in ([output] if replaces_top else cuts))
    yield from product(below, above)


def _networks(names: Sequence[str], sweep: Sweep, data: Data, catalog: Catalog) -> Iterator[tuple[list[Shape], Shape]]:
    """The shapes at the cuts of each network of some families, and of its output."""
    for family in (sweep.models[name] for name in names if name in sweep.models):
        for classes in dict.fromkeys(outputs(labels, data) for labels in family.labels):
            for _, network in networks(family, data.shape, classes, catalog):
                yield [cut.shape for cut in network.cuts], network.output(classes).shape
