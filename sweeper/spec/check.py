"""What a job of the right shape can still get wrong: names that don't exist, lengths and samples that can't be.

`check` serves the Python API. `findings` is the same with the way to each place, from which `load` finds line and
column. Each kind of mistake has a file in `checks/`.
"""

from collections.abc import Iterator

from sweeper.errors import DataError, Mistake

from . import resolve
from .cards.datasets import DATASETS
from .checks.families import family_findings
from .checks.finding import Finding
from .checks.pairings import pairing_findings
from .checks.size import size_findings
from .checks.starts import start_findings
from .source import dotted
from .sweep import Sweep
from .task import Data
from .validate import did_you_mean


def check(sweep: Sweep) -> list[Mistake]:
    """Every mistake of a job that came from the Python API; the same as `load` would find, without places in a file."""
    return [Mistake(found.what, dotted(found.keys), found.right) for found in findings(sweep)]


def findings(sweep: Sweep) -> Iterator[Finding]:
    data = sweep.data
    if data is None:
        data, wrong = _sizes(sweep)
        yield from wrong
    for name, family in sweep.models.items():
        yield from family_findings(("models", name), family, sweep, data)
        yield from start_findings(("models", name), family, sweep, data)
    for kind, sections in (("stitch", sweep.stitch), ("similarity", sweep.similarity)):
        for i, section in enumerate(sections):
            yield from pairing_findings((kind, i), section, sweep, data)
    yield from size_findings(sweep, data)


def _sizes(sweep: Sweep) -> tuple[Data | None, list[Finding]]:
    known = ", ".join(DATASETS)
    try:
        return resolve.sizes(sweep.dataset), []
    except KeyError:
        right = (
            did_you_mean(str(sweep.dataset), DATASETS)
            or f"known are {known}, {{parquet: FOLDER}} and {{imagefolder: FOLDER}}"
        )
        return None, [Finding(("dataset",), f"no data set '{sweep.dataset}'", right)]
    except DataError as error:
        keys = () if isinstance(sweep.dataset, str) else tuple(sweep.dataset.model_dump(exclude_none=True))
        return None, [Finding(("dataset", *keys[:1]), str(error))]
