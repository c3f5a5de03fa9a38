"""The report: one self-contained HTML file.

A content security policy forbids every request and every script but the page's own, and every text is escaped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sweeper import distribution
from sweeper.files import write_output
from sweeper.store.failure_causes import failure_causes
from sweeper.store.query import query

from . import interactive
from .charts import drawing
from .charts.chart import Chart
from .charts.choose import charts
from .format import MISSING, GridColumn, caption, format_value, lay_out
from .page_parts.packed_rows import packed_chart, packed_rows
from .page_parts.still_drawing import still_drawing
from .page_parts.top_answers import top_answer
from .tables import CONTROL, CUT_KIND, NO_CONTROL, Table

if TYPE_CHECKING:
    from sweeper.store.store import Store

_TONES = {
    "better": "up",
    "as good": "up",
    "connected": "up",
    "agree": "up",
    "disagree": "down",
    "worse": "down",
    "not connected": "down",
    "undecided": "open",
    NO_CONTROL: "open",
    CONTROL: "open",
    "not tested": "open",
}
_NO_CHARTS = f"Charts need an extra: {distribution.install_command('report')}, then write the page again."
_COUNTED = ("models", "stitches")
_RUN_COLUMNS = ("job", "started", "seconds", "outcome", "tasks", "done", "failed", "host", "code", "versions")


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[str, ...]
    kind: str  # "headline": over several cuts; "end": a network alone; "apart": a cut with a cut kind; "" otherwise


@dataclass(frozen=True, slots=True)
class _Section:
    title: str
    rows: tuple[_Row, ...]


@dataclass(frozen=True, slots=True)
class _Figure:
    """A chart as the template needs it: its title and description, its drawing, and its specification as JSON."""

    title: str
    description: str
    drawing: Markup
    specification: Markup


@dataclass(frozen=True, slots=True)
class _PageEntry:
    """A table as the template needs it; `packed_rows` is JSON."""

    id: str
    title: str
    question: str
    columns: tuple[GridColumn, ...]
    sections: tuple[_Section, ...]
    caption: list[tuple[str, str]]
    figures: list[_Figure]
    sql: str
    packed_rows: Markup


def write_page(
    store: "Store",
    tables: Sequence[Table],
    path: Path,
    job: str | None = None,
    only: Iterable[str] | None = None,
) -> Path:
    """Write the report of a store to `path` atomically, and return the path.

    Args:
        store: An open store.
        tables: The tables of the store, as `sweeper.report.tables.tables` returns them.
        path: The file to write.
        job: The name of the job that the tables are restricted to, if any.
        only: The ids of that job's tasks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_output(path, html(store, tables, job, only))
    return path


def html(store: "Store", tables: Sequence[Table], job: str | None = None, only: Iterable[str] | None = None) -> str:
    """Return the report as HTML, for a whole store or for one job in it (whose tasks are `only`)."""
    ids = None if only is None else list(only)

    def read() -> tuple[list[dict[str, Any]], list[str]]:
        with store.connect(ids) as con:  # one connection, so that all numbers describe the same state of the store
            runs = query.run_query(con, f"SELECT {', '.join(_RUN_COLUMNS)} FROM runs ORDER BY started DESC")
            return runs.to_pylist(), _facts(con, tables)

    runs, facts = store.retried(read)
    failed = store.failed()
    causes = failure_causes(store, failed if ids is None else failed.intersection(ids))
    runs = [run for run in runs if job in (None, run["job"])]
    jobs = list(dict.fromkeys(str(run["job"]) for run in runs))
    entries = [_entry(table) for table in tables]
    script = interactive.page_script(with_charts=any(entry.figures for entry in entries))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tone"] = lambda cell: _TONES.get(cell, "")
    return environment.get_template("page.html.j2").render(
        version=distribution.version(),
        policy=interactive.policy(script),
        script=Markup(script),  # safe: Sweeper's own, without a name from a store
        title=", ".join(jobs) or "Sweeper",
        facts=facts,
        answers=[answer for answer in map(top_answer, tables) if answer],
        entries=[entry for entry in entries if entry.sections],
        empty_entries=[entry for entry in entries if not entry.sections],
        causes=causes,
        runs=[{name: format_value(name, run[name]) for name in _RUN_COLUMNS} for run in runs],
        footer=(
            f"Written by Sweeper {distribution.version()} on {datetime.now(UTC):%Y-%m-%d at %H:%M} UTC from {store.url}"
        ),
    )


def _facts(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> list[str]:
    """Return the lines under the title: the contents of the store, and remarks on all numbers."""
    models, stitches = (
        query.run_query(connection, f"FROM {kind} SELECT count(*) AS n")["n"][0].as_py() for kind in _COUNTED
    )
    datasets = query.run_query(connection, "SELECT DISTINCT dataset FROM models ORDER BY ALL")["dataset"].to_pylist()
    counts = f"{models} models, {stitches} stitches"
    facts = [f"{counts}, on {', '.join(datasets)}" if datasets else counts]
    remarks = dict.fromkeys(note for table in tables for note in table.remarks)
    return [*facts, *remarks, *([] if drawing.available() else [_NO_CHARTS])]


def _entry(table: Table) -> _PageEntry:
    grid = lay_out(table)
    sections = tuple(
        _Section(section.title, tuple(_Row(row, _kind(grid.columns, row)) for row in section.rows))
        for section in grid.sections
    )
    lines = [tuple(line.split(": ", 1)) for line in caption(table)] if grid.sections else []
    return _PageEntry(
        id=table.name,
        title=table.name.replace("_", " "),
        question=table.question.question,
        columns=grid.columns,
        sections=sections,
        caption=[(head, text) for head, text in lines],
        figures=[_figure(chart) for chart in charts(table)] if drawing.available() else [],
        sql=table.question.sql,
        packed_rows=_json(packed_rows(table.rows)),
    )


def _figure(chart: Chart) -> _Figure:
    svg = Markup(still_drawing(drawing.svg(chart)))  # safe: drawn by Sweeper, and Vega escapes its texts
    return _Figure(chart.title, chart.description, svg, _json(packed_chart(chart.specification("container"))))


def _json(content: object) -> Markup:
    """Return JSON for a script element of the template."""
    return Markup(interactive.json_in_html(content))  # safe: has no <, > and &


def _kind(columns: Sequence[GridColumn], row: Sequence[str]) -> str:
    """Return the kind of a row (see `_Row`). A "cut" in parentheses is a mean over cuts or one of the two networks."""
    cells = {column.name: cell for column, cell in zip(columns, row, strict=True)}
    if cells.get(CUT_KIND, MISSING) != MISSING:
        return "apart"
    if not cells.get("cut", "").startswith("("):
        return ""
    return "headline" if cells.get("depth") == MISSING else "end"
