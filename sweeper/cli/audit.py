"""`audit`: a store beside the paper's figures."""

from collections.abc import Sequence
from pathlib import Path

from . import places, show
from .query import parameter


def audit(
    figures: Sequence[str],
    store: str | None,
    job: str | None,
    parameters: Sequence[str],
    format: str,
    output: Path | None,
) -> None:
    """Prints what the store holds beside the figures (none named: all of them)."""
    from sweeper.report.audit.audit import audit as asked

    with places.opened(store) as found:
        audits = asked(found, figures, places.job_tasks(found, job), dict(map(parameter, parameters)))

    from sweeper.report.audit import show as formats

    if format == "table":
        text = formats.terminal(audits, show.width(), show.color())
    else:
        text = {"markdown": formats.markdown, "json": formats.json}[format](audits)
    show.data(text, output)
