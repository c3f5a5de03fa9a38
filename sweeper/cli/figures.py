"""The option `--figures` of the command `report`: charts as files."""

from pathlib import Path

from sweeper.spec.content.wording import count_of

from . import places, show
from .query import TableSelection


def report_figures(selection: TableSelection, store: str | None, folder: Path, output: Path | None) -> None:
    """Write the charts of the selected tables to a folder, and the page too if `output` names it; say what was written.

    Raises:
        SetupError: Charts can't be drawn, or the folder can't be written.
        StoreError: There is no chart.
    """
    from sweeper.report.charts import figures

    figures.check_folder_of_figures(folder)  # before minutes are spent on the tables of a large store
    with places.opened(store, selection.as_of) as opened_store:
        answers = selection.of(opened_store)
        written = figures.write_figures(answers.tables, folder)
        if output:
            show.write(str(answers.page(output)))
    for figure in written:
        suffixes = (file.name.removeprefix(figure.name) for file in figure.files)
        show.write(f"{figure.files[0].parent / figure.name}{{{','.join(suffixes)}}}")
    questions = len({figure.table for figure in written})
    show.write(
        f"{count_of(len(written), 'chart')} of {count_of(questions, 'question')}, "
        "each as SVG, PNG, PDF and Vega-Lite JSON"
    )
