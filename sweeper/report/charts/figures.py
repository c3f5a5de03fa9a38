"""Charts as files for papers and slides: each as SVG, PNG, PDF and Vega-Lite JSON, named by question and panel."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper import distribution
from sweeper.errors import SetupError, StoreError
from sweeper.files import check_space, write_output
from sweeper.report.tables import Table

from . import drawing
from .chart import Chart
from .choose import charts

# How a chart is drawn for each kind of file.
_DRAWINGS: Mapping[str, Callable[[Chart], str | bytes]] = {
    ".svg": drawing.svg_file,
    ".png": drawing.png,
    ".pdf": drawing.pdf,
    ".vl.json": drawing.vega_lite_json,
}

# File systems take names of 255 bytes; a name that is cut is still told from others by a number.
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class ChartFiles:
    """A chart as files: the table that it shows, and its files, which have one name and several suffixes."""

    table: str
    name: str
    files: tuple[Path, ...]


def check_folder_of_figures(folder: Path) -> None:
    """Check that charts can be drawn and written to a folder, which is made if it doesn't exist.

    Raises:
        SetupError: vl-convert is not installed (the message has the command that installs it), or the folder can't be
            made or written.
    """
    if not drawing.available():
        raise SetupError(f"charts need an extra that is not installed: {distribution.install_command('report')}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_space(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SetupError(f"charts can't be written to {folder} ({reason}); give a folder that can be written") from None


def write_figures(tables: Sequence[Table], folder: Path) -> list[ChartFiles]:
    """Write each chart of some tables to a folder that `check_folder_of_figures` has checked.

    Files of an earlier call are replaced where they have the same names; others stay.

    Raises:
        SetupError: A file can't be written.
        StoreError: The tables have no chart.
    """
    named_charts = list(_named_charts(tables))
    if not named_charts:
        names = ", ".join(table.name for table in tables)
        raise StoreError(f"there is no chart to write: the tables have no rows that a chart shows ({names})")
    return [ChartFiles(table, name, _write(chart, folder, name)) for table, name, chart in named_charts]


def _write(chart: Chart, folder: Path, name: str) -> tuple[Path, ...]:
    files = {folder / f"{name}{suffix}": draw for suffix, draw in _DRAWINGS.items()}
    for file, draw in files.items():
        write_output(file, draw(chart))
    return tuple(files)


def _named_charts(tables: Sequence[Table]) -> Iterator[tuple[str, str, Chart]]:
    """Yield the name of the table, the name of the files without a suffix, and the chart of each panel.

    Names that repeat, also for file systems that don't tell capitals, are numbered.
    """
    times: Counter[str] = Counter()
    for table in tables:
        for chart in charts(table):
            name = "-".join(filter(None, map(_in_file_name, (table.name, chart.title))))[:_LONGEST_NAME]
            times[name.lower()] += 1
            number = times[name.lower()]
            yield table.name, name if number == 1 else f"{name}-{number}", chart


def _in_file_name(text: str) -> str:
    """Return a text as letters, digits, dots, underscores and hyphens: "A-samples-1200-B-samples-100"."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")
