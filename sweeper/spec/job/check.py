"""Checks of a validated job: names that don't exist, impossible lengths and numbers of samples.

`check` serves the Python API. `findings` returns the same mistakes with the keys that lead to them, from which `load`
finds the line and column. Each kind of mistake has a file in `checks/`.
"""

from collections.abc import Iterator

from sweeper.errors import DataError, Mistake, did_you_mean
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.datasets import DATASETS
from sweeper.spec.job import resolve
from sweeper.spec.job.checks.family_findings import family_findings
from sweeper.spec.job.checks.finding import Finding
from sweeper.spec.job.checks.pairing_findings import pairing_findings
from sweeper.spec.job.checks.size_findings import size_findings
from sweeper.spec.job.checks.start_findings import start_findings
from sweeper.spec.job.source import dotted
from sweeper.spec.job.sweep import ResolvedSweep, Sweep
from sweeper.spec.records.task import Data


def check(sweep: Sweep) -> list[Mistake]:
    """Return all mistakes of a job made with the Python API: those of `load`, without lines and columns."""
    return [Mistake(finding.what, dotted(finding.keys), finding.right) for finding in findings(ResolvedSweep.of(sweep))]


def findings(sweep: ResolvedSweep) -> Iterator[Finding]:
    """Yield all mistakes of a job, with the keys that lead to them."""
    data = sweep.data
    if data is None:
        data, mistakes = _sizes(sweep)
        yield from mistakes
    catalog = Catalog.of(sweep) if data is None else resolve.available_cards(sweep, data)
    for name, family in sweep.models.items():
        yield from family_findings(("models", name), family, sweep, data)
        yield from start_findings(("models", name), family, sweep, data, catalog)
    for kind, sections in (("stitch", sweep.stitch), ("similarity", sweep.similarity)):
        for i, section in enumerate(sections):
            yield from pairing_findings((kind, i), section, sweep, data, catalog)
    yield from size_findings(sweep, data, catalog)


def _sizes(sweep: Sweep) -> tuple[Data | None, list[Finding]]:
    """Return the data set's sizes without its digest, or None and the mistake."""
    names = ", ".join(DATASETS)
    try:
        return resolve.sizes(sweep.dataset), []
    except KeyError:
        right = (
            did_you_mean(str(sweep.dataset), DATASETS)
            or f"known are {names}, {{parquet: FOLDER}} and {{imagefolder: FOLDER}}"
        )
        return None, [Finding(("dataset",), f"no data set '{sweep.dataset}'", right)]
    except DataError as error:
        keys = () if isinstance(sweep.dataset, str) else tuple(sweep.dataset.model_dump(exclude_none=True))
        return None, [Finding(("dataset", *keys[:1]), str(error))]
