"""The command `audit`, which compares a store with the figures of the paper."""

from collections.abc import Sequence
from pathlib import Path

from . import places, show
from .query import parse_set_option


def print_audit(
    figures: Sequence[str],
    store: str | None,
    job: str | None,
    parameters: Sequence[str],
    format: str | None,
    output: Path | None,
    *,
    full: bool = False,
) -> None:
    """Print the comparison of a store with figures of the paper: in short, then the figures that are named.

    Args:
        figures: Names of figures, such as 2C; all figures if empty.
        store: Folder or URL of the store; None if it is the only one in `runs/`.
        job: The job whose tasks are compared; None for all jobs of the store.
        parameters: Options of the form KEY=VALUE.
        format: "table", "markdown" or "json"; None: that of the suffix of `output`, or a table.
        output: The file to write; None for stdout.
        full: Whether to print all figures in full.
    """
    from sweeper.report.audit.audit import audit as compare_with_paper

    from .rows import AUDIT_FORMATS, choose_format

    format = choose_format(format, output, AUDIT_FORMATS)

    with places.opened(store) as opened_store:
        audits = compare_with_paper(
            opened_store, figures, places.job_tasks(opened_store, job), dict(map(parse_set_option, parameters))
        )

    from sweeper.report.audit import show as formats

    if format == "table":
        text = formats.in_short(audits, show.width(), show.color())
        if figures or full:
            text = "\n".join([text, formats.audits_as_text(audits, show.width(), show.color())])
    else:
        text = {"markdown": formats.audits_as_markdown, "json": formats.audits_as_json}[format](audits)
    show.write(text, output)
