"""The command `audit`, which compares a store with the figures of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.files import check_output

from . import places, show
from .query import parse_set_option


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """What is compared with the paper.

    Args:
        figures: Names of figures, such as 2C; all figures if empty.
        store: Folder or URL of the store; None if it is the only one in `runs/`.
        job: The job whose tasks are compared; None for all jobs of the store.
        parameters: Options of the form KEY=VALUE.
        as_of: The version of the store, or a time; None for the store as it is.
    """

    figures: Sequence[str]
    store: str | None
    job: str | None
    parameters: Sequence[str]
    as_of: str | None = None


def print_audit(request: AuditRequest, format: str | None, output: Path | None, *, full: bool = False) -> None:
    """Print the comparison of a store with figures of the paper: in short, then the figures that are named.

    Args:
        request: What is compared.
        format: "table", "markdown" or "json"; None: that of the suffix of `output`, or a table.
        output: The file to write; None for stdout.
        full: Whether to print all figures in full.
    """
    from sweeper.report.audit.audit import audit as compare_with_paper

    from .rows import AUDIT_FORMATS, choose_format

    format = choose_format(format, output, AUDIT_FORMATS)
    check_output(output)
    parameters = dict(map(parse_set_option, request.parameters))
    with places.opened(request.store, request.as_of) as opened_store:
        task_ids = places.job_tasks(opened_store, request.job)
        audits = compare_with_paper(opened_store, request.figures, task_ids, parameters)

    from sweeper.report.audit import show as formats

    if format == "table":
        text = formats.in_short(audits, show.width(), show.color())
        if request.figures or full:
            text = "\n".join([text, formats.audits_as_text(audits, show.width(), show.color())])
    else:
        text = {"markdown": formats.audits_as_markdown, "json": formats.audits_as_json}[format](audits)
    show.write(text, output)
