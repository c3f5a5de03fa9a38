"""The command `audit`, which compares a store with the figures of the paper."""

from collections.abc import Sequence
from pathlib import Path

from . import places, show
from .query import parameter


def print_audit(
    figures: Sequence[str],
    store: str | None,
    job: str | None,
    parameters: Sequence[str],
    format: str,
    output: Path | None,
) -> None:
    """Print the comparison of a store with the named figures (all if none is named)."""
    from sweeper.report.audit.audit import audit as compare_with_paper

    with places.opened(store) as opened_store:
        audits = compare_with_paper(
            opened_store, figures, places.job_tasks(opened_store, job), dict(map(parameter, parameters))
        )

    from sweeper.report.audit import show as formats

    if format == "table":
        text = formats.audits_as_text(audits, show.width(), show.color())
    else:
        text = {"markdown": formats.audits_as_markdown, "json": formats.audits_as_json}[format](audits)
    show.data(text, output)
