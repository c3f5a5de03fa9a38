"""Writes docs/results.md: what the small jobs of `jobs/paper/` found, from the store into which they ran.

    python docs/results.py STORE

For each job that is complete: what it took, its table, and its figure beside the paper's.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sweeper.plan.explain import duration
from sweeper.plan.plan import Plan
from sweeper.report.audit.audit import audit
from sweeper.report.audit.show import tables as audited
from sweeper.report.format import markdown
from sweeper.report.tables import Table, tables
from sweeper.spec.job.resolve import from_json
from sweeper.store.store import Store

PAGE = Path(__file__).parent / "results.md"
HEAD = """\
<!-- Written by docs/results.py from the store into which the jobs ran. -->
# What the small jobs found

CIFAR-10 as JPEG images in Parquet files, ResNet-18 of width 8 where nothing else is said, two cores without a GPU.
What each job asks and what stands in it for what is in [paper.md](paper.md); how to read its table is in
[tables.md](tables.md), and the figures beside the paper's in [audit.md](audit.md). Intervals are of 95 %. The paper's
value is of one run of a network many times the size: its size is not expected here, its sign and its order are.
"""


class Asked(NamedTuple):
    tables: tuple[str, ...]
    figures: tuple[str, ...]


JOBS = {
    "more-data": Asked(("more_data",), ("2C",)),
    "more-width": Asked(("more_width",), ("3C",)),
    "more-training": Asked(("more_training",), ("3B",)),
    "connectivity": Asked(("connected",), ("2A",)),
    "random-control": Asked(("random_control",), ("2A", "5")),
    "objectives": Asked(("penalty_by_cut",), ("6A", "6B")),
    "labels": Asked(("penalty_by_cut",), ("3A",)),
    "kernel-size": Asked((), ("4",)),
    "stitch-or-fine-tune": Asked((), ("8",)),
    "freeze-training": Asked((), ("9",)),
    "cross-depth": Asked(("penalty_by_cut",), ()),
    "cka-beside-stitching": Asked(("stitching_and_cka",), ("5-cka", "7")),
}


def page(store: Store) -> str:
    kept = {row.job: row for row in store.runs() if row.event == "start"}
    plans = {name: Plan.of(from_json(kept[f"{name}-small"].job_resolved)) for name in JOBS if f"{name}-small" in kept}
    done = store.done()
    return "\n".join(
        [HEAD, *(section(store, name, plan.ids()) for name, plan in plans.items() if done.issuperset(plan.ids()))]
    )


def section(store: Store, name: str, ids: Sequence[str]) -> str:
    asked = JOBS[name]
    with store.connect(only=ids) as connection:
        rows = " UNION ALL ".join(f"SELECT seconds FROM {kind}" for kind in ("models", "stitches", "similarities"))
        (seconds,) = connection.sql(f"SELECT sum(seconds) FROM ({rows})").fetchall()[0]
    found = tables(store, asked.tables, only=ids) if asked.tables else []
    beside = (
        [table for one in audit(store, asked.figures, ids, {}) for table in audited(one)[:2]] if asked.figures else []
    )
    return "\n".join(
        [
            f"## {name}.small\n",
            f"{len(ids):,} tasks; a worker's time of all, those that other jobs share included: {duration(seconds)}.\n",
            *("\n".join(body(table)) for table in [*found, *beside] if table.rows.num_rows),
        ]
    )


def body(table: Table) -> Iterator[str]:
    """A table and what it found of trends, without the rest of its caption, which is the same for each of its kind."""
    for line in markdown(table).splitlines():
        if line.startswith("- Trend"):
            yield f"{line.removeprefix('- ')}.\n"
        if not line.startswith("- "):
            yield line.replace("## ", "### ", 1) if line.startswith("## ") else line


def main() -> None:
    PAGE.write_text(page(Store.open(sys.argv[1])), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
