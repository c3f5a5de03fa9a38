"""Check of the number of tasks of a job against `limits.tasks`, counted without expanding the grids."""

from collections.abc import Iterable, Iterator

from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.job import grid
from sweeper.spec.job.checks.cuts import cuts_of
from sweeper.spec.job.checks.finding import Finding
from sweeper.spec.job.checks.stitcher_findings import find_card
from sweeper.spec.job.sweep import Every, OperationSpec, Pairing, PartlyResolvedSweep, SimilaritySection, StitchSection
from sweeper.spec.records.task import Data

# Axes of a section, except its stitchers or measures.
AXES = ("protocol", "data", "seed", "steps", "batch", "lr", "augment", "stop", "sender", "train", "null")
Layers = str | Every | tuple[str | int, ...]


def size_findings(sweep: PartlyResolvedSweep, data: Data | None, catalog: Catalog) -> Iterator[Finding]:
    """Yield a mistake if the job has more tasks than allowed, counting all pairs that `where` might exclude."""
    models = count_models(sweep.models, sweep)
    if models is None:
        return
    total = models
    largest, largest_keys = models, ("models",)
    for kind, sections in (("stitch", sweep.stitch), ("similarity", sweep.similarity)):
        for i, section in enumerate(sections):
            tasks = _tasks(section, sweep, data, catalog)
            if tasks is None:
                return
            total += tasks
            if tasks > largest:
                largest, largest_keys = tasks, (kind, i)
    if total > sweep.limits.tasks:
        problem = f"the job has {total} tasks (not counting where), {largest} of them from this section"
        yield Finding(
            largest_keys, problem, f"at most {sweep.limits.tasks} are allowed: limits.tasks", needs=(("limits",),)
        )


def _tasks(section: Pairing, sweep: PartlyResolvedSweep, data: Data | None, catalog: Catalog) -> int | None:
    """Return the number of stitches or measurements of a section; None if another mistake prevents counting."""
    bottoms, tops = count_models(section.bottom, sweep), count_models(section.top, sweep)
    if bottoms is None or tops is None:
        return None
    pairs = bottoms if any("bottom" in group for group in section.zip) else bottoms * tops
    bottom_cuts = _count(section.layers, section.bottom, sweep, data, catalog)
    top_cuts = 1 if section.top_layers == "same" else _count(section.top_layers, section.top, sweep, data, catalog)
    operations = section.stitcher if isinstance(section, StitchSection) else getattr(section, "measure", ())
    values_by_axis = {name: getattr(section, name, None) for name in AXES}
    zipped = [group for group in section.zip if "bottom" not in group]
    try:
        points = grid.count({name: values for name, values in values_by_axis.items() if values is not None}, zipped)
    except ValueError:
        return None
    cells = (
        (
            1
            if _compares_outputs(section, operation)
            else bottom_cuts * (1 if has_no_top(section, operation, sweep, catalog) else top_cuts)
        )
        * grid.count(operation.options)
        for operation in operations
    )
    return pairs * points * sum(cells)


def _compares_outputs(section: Pairing, operation: OperationSpec) -> bool:
    """Return True if a measure compares the models' outputs, so that each pair has one result for all its cuts."""
    card = MEASURES.get(operation.name) if isinstance(section, SimilaritySection) else None
    return card is not None and card.compares == "outputs"


def has_no_top(section: Pairing, operation: OperationSpec, sweep: PartlyResolvedSweep, catalog: Catalog) -> bool:
    """Return True if a stitcher replaces the whole top, so that the layers of B have no effect."""
    card = find_card(operation.name, sweep, catalog) if isinstance(section, StitchSection) else None
    return card is not None and card.replaces_top


def _count(
    layers: Layers, names: Iterable[str], sweep: PartlyResolvedSweep, data: Data | None, catalog: Catalog
) -> int:
    """Return the number of cuts that a section names, for the architecture with the most."""
    if isinstance(layers, tuple):
        return len(layers)
    every = layers.every if isinstance(layers, Every) else 1
    cuts_by_arch = cuts_of([sweep.models[name] for name in names], data, catalog)
    return max((-(-len(cuts) // every) for cuts in cuts_by_arch.values()), default=0)


def count_models(names: Iterable[str], sweep: PartlyResolvedSweep) -> int | None:
    """Return the number of models of some families; None if a family doesn't exist or can't be counted."""
    families = [sweep.models.get(name) for name in names]
    try:
        return sum(grid.count(family.axes, family.zip) for family in families if family) if all(families) else None
    except ValueError:
        return None
