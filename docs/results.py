"""The page docs/results.md: the results of the small jobs of `jobs/paper/`, read from a store in which they have run.

    python docs/results.py STORE
    python docs/agreement.py                (the table in docs/paper.md that is read from this page)

Each complete job has its cost, its tables, and the comparison of its figures with the paper's. The section of a job
that isn't complete in the store stays as it is on the page, so the jobs may run in several stores.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sweeper.plan.duration import duration
from sweeper.plan.plan import Plan
from sweeper.report.audit.audit import audit
from sweeper.report.audit.show import audit_tables
from sweeper.report.format import table_as_markdown
from sweeper.report.tables import Table, tables
from sweeper.spec.job.resolve import from_json
from sweeper.spec.records.ident import KERNELS
from sweeper.store.store import Store

PAGE = Path(__file__).parent / "results.md"
HEAD = """\
<!-- Written by docs/results.py from the store into which the jobs ran. -->
# Results of the small jobs

The data are CIFAR-10 as JPEG images in Parquet files. Unless stated otherwise the networks are ResNet-18s of width 8,
and the jobs ran on two cores without a GPU. [paper.md](paper.md) gives the question of each job and what it replaces,
[tables.md](tables.md) explains how to read its table, and [audit.md](audit.md) how its figures are compared with the
paper's. Intervals are 95 % intervals. The paper's value comes from one run of a network many times the size, so the
same sign and the same order are expected here, but not the same size.

Each section says with which version of the stitching kernel (`KERNELS` in `sweeper/spec/records/ident.py`) its job ran.
"""


class JobOutput(NamedTuple):
    """The tables and figures that show the results of a job."""

    tables: tuple[str, ...]
    figures: tuple[str, ...]


JOBS = {
    "more-data": JobOutput(("more_data",), ("2C",)),
    "more-width": JobOutput(("more_width",), ("3C",)),
    "more-training": JobOutput(("more_training",), ("3B",)),
    "connectivity": JobOutput(("connected",), ("2A",)),
    "random-control": JobOutput(("random_control",), ("2A", "5")),
    "controls": JobOutput(("more_data", "controls"), ()),
    "objectives": JobOutput(("penalty_by_cut",), ("6A", "6B")),
    "labels": JobOutput(("penalty_by_cut",), ("3A",)),
    "kernel-size": JobOutput((), ("4",)),
    "stitch-or-fine-tune": JobOutput((), ("8",)),
    "freeze-training": JobOutput((), ("9",)),
    "cross-depth": JobOutput(("penalty_by_cut",), ()),
    "cka-beside-stitching": JobOutput(("stitching_and_cka",), ("5-cka", "7")),
}


def page(store: Store, earlier: str) -> str:
    """Return the page with a new section for each job whose tasks are all done in the store.

    Args:
        store: The store in which jobs have run.
        earlier: The text of the page before; the other jobs keep their sections of it.
    """
    sections = {text.split(".small")[0]: text for text in re.split(r"^## ", earlier, flags=re.M)[1:]}
    run_rows = {row.job: row for row in store.runs() if row.event == "start"}
    done = store.done()
    for name in JOBS:
        if (row := run_rows.get(f"{name}-small")) is None:
            continue
        ids = Plan.of(from_json(row.job_resolved)).ids()
        if done.issuperset(ids):
            sections[name] = section(store, name, ids)
    return "\n".join([HEAD, *(f"## {sections[name].strip()}\n" for name in JOBS if name in sections)])


def section(store: Store, name: str, ids: Sequence[str]) -> str:
    """Return the section of a job without the marks of its heading; `ids` are all its tasks."""
    output = JOBS[name]
    with store.connect(only=ids) as connection:
        rows = " UNION ALL ".join(f"SELECT seconds FROM {kind}" for kind in ("models", "stitches", "similarities"))
        (seconds,) = connection.sql(f"SELECT sum(seconds) FROM ({rows})").fetchall()[0]
    job_tables = tables(store, output.tables, only=ids) if output.tables else []
    figure_tables = (
        [table for figure in audit(store, output.figures, ids, {}) for table in audit_tables(figure)[:2]]
        if output.figures
        else []
    )
    return "\n".join(
        [
            f"{name}.small\n",
            f"{len(ids):,} tasks; version {KERNELS['stitch']} of the stitching kernel; "
            "total time of the workers, including tasks shared with other jobs: "
            f"{duration(seconds)}.\n",
            *("\n".join(body(table)) for table in [*job_tables, *figure_tables] if table.rows.num_rows),
        ]
    )


def body(table: Table) -> Iterator[str]:
    """Yield a table and its trends, without the other lines of its caption, which all tables of its kind share."""
    for line in table_as_markdown(table).splitlines():
        if line.startswith("- Trend"):
            yield f"{line.removeprefix('- ')}.\n"
        if not line.startswith("- "):
            yield line.replace("## ", "### ", 1) if line.startswith("## ") else line


def main() -> None:
    """Write the page from the store named on the command line."""
    PAGE.write_text(page(Store.open(sys.argv[1]), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
