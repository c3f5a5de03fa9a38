"""Checks of a validated job: names that don't exist, impossible lengths and numbers of samples.

`check` serves the Python API. `findings` returns the same mistakes with the keys that lead to them, from which `load`
finds the line and column. Each kind of mistake has a file in `checks/`.
"""

from collections.abc import Iterator

from sweeper.errors import DataError, JobError, Mistake, did_you_mean
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.datasets import DATASETS
from sweeper.spec.content.fingerprint import Progress
from sweeper.spec.content.folders import Listing, read_contents
from sweeper.spec.job import resolve
from sweeper.spec.job.checks.engine_findings import engine_findings
from sweeper.spec.job.checks.family_findings import family_findings
from sweeper.spec.job.checks.finding import Finding
from sweeper.spec.job.checks.input_findings import input_findings
from sweeper.spec.job.checks.pairing_findings import pairing_findings
from sweeper.spec.job.checks.size_findings import size_findings
from sweeper.spec.job.checks.start_findings import start_findings
from sweeper.spec.job.source import dotted
from sweeper.spec.job.sweep import PartlyResolvedSweep, ResolvedSweep, Sweep
from sweeper.spec.job.weight_fits import weight_findings
from sweeper.spec.records.task import Data


def resolve_and_check(sweep: Sweep) -> ResolvedSweep:
    """Return a job resolved, as `load` does for a job of a file.

    Raises:
        JobError: The job has mistakes; all of them are listed.
    """
    resolved = resolve.resolve(sweep)
    mistakes = check(resolved) or [_mistake_of(finding) for finding in weight_findings(resolved)]
    if mistakes:
        raise JobError(mistakes)
    return resolved


def check(sweep: Sweep) -> list[Mistake]:
    """Return all mistakes of a job made with the Python API: those of `load`, without lines and columns."""
    sweep = PartlyResolvedSweep.of(sweep)
    data, data_findings = (sweep.data, []) if isinstance(sweep, ResolvedSweep) else data_with_findings(sweep)
    all_findings = (*data_findings, *findings(sweep, data))
    return [_mistake_of(finding) for finding in all_findings]


def _mistake_of(finding: Finding) -> Mistake:
    return Mistake(finding.problem, dotted(finding.keys), finding.correction)


def findings(sweep: PartlyResolvedSweep, data: Data | None) -> Iterator[Finding]:
    """Yield all mistakes of a job, with the keys that lead to them.

    Args:
        sweep: The job.
        data: Its data set; None if it can't be read, which is a mistake of its own (`data_with_findings`).
    """
    catalog = Catalog.of(sweep) if data is None else resolve.available_cards(sweep, data)
    for name, family in sweep.models.items():
        yield from family_findings(("models", name), family, sweep, data)
        yield from start_findings(("models", name), family, sweep, data, catalog)
        yield from input_findings(("models", name), family, sweep, data)
    for kind, sections in (("stitch", sweep.stitch), ("similarity", sweep.similarity)):
        for i, section in enumerate(sections):
            yield from pairing_findings((kind, i), section, sweep, data, catalog)
    yield from size_findings(sweep, data, catalog)
    yield from engine_findings(sweep.engine)
    if sweep.store is not None and not sweep.store.strip():
        yield Finding(("store",), "the name of the store is empty", "give a folder or URL, or leave the key out")


def data_with_findings(sweep: Sweep, progress: Progress | None = None) -> tuple[Data | None, list[Finding]]:
    """Return a job's data set, all of whose images were checked, or None and the mistakes, one for each bad image."""
    listing, listing_findings = listing_with_findings(sweep)
    if listing is None or isinstance(listing, Data):
        return listing, listing_findings
    return content_with_findings(listing, progress)


def listing_with_findings(sweep: Sweep) -> tuple[Data | Listing | None, list[Finding]]:
    """Return a job's data set before its images are read, or None and the mistakes."""
    names = ", ".join(DATASETS)
    try:
        return resolve.list_data(sweep.dataset), []
    except KeyError:
        correction = (
            did_you_mean(str(sweep.dataset), DATASETS)
            or f"available: {names}, {{parquet: FOLDER}} and {{imagefolder: FOLDER}}"
        )
        return None, [Finding(("dataset",), f"no data set '{sweep.dataset}'", correction)]
    except DataError as error:
        keys = () if isinstance(sweep.dataset, str) else tuple(sweep.dataset.model_dump(exclude_none=True))
        return None, _findings_of_lines(keys[:1], error)


def content_with_findings(listing: Listing, progress: Progress | None = None) -> tuple[Data | None, list[Finding]]:
    """Return a listed data set after a check of all its images, or None and a mistake for each bad image."""
    try:
        return resolve.data_of_folder(read_contents(listing, progress)), []
    except DataError as error:
        return None, _findings_of_lines((listing.kind,), error)


def _findings_of_lines(keys: tuple[str, ...], error: DataError) -> list[Finding]:
    return [Finding(("dataset", *keys), line) for line in str(error).splitlines()]
