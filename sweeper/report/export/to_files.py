"""The export of views to Parquet and CSV files."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from sweeper.files import opened_output, replaced_folder

from .earlier_export import ORIGIN, write_marker
from .exported_views import ExportedView, Origin
from .row_files import csv_pieces, write_parquet


def to_parquet(views: Iterable[ExportedView], origin: Origin, file: Path) -> None:
    """Write one view to a Parquet file, whose metadata has the origin and the meanings of the columns.

    Raises:
        SetupError: It can't be written.
    """
    with opened_output(file) as stream:
        for view in views:
            write_parquet(view.rows, stream, view.schema.with_metadata({ORIGIN: origin.to_json()}))


def to_csv(views: Iterable[ExportedView], origin: Origin, file: Path) -> None:
    """Write one view to a CSV file, with the cells of `row_files.readable`.

    Raises:
        SetupError: It can't be written.
    """
    with opened_output(file) as stream:
        for view in views:
            _write_csv(view, stream)


def to_csv_folder(views: Iterable[ExportedView], origin: Origin, folder: Path) -> None:
    """Write each view to a CSV file of its name in a folder.

    Raises:
        SetupError: It can't be written.
    """
    with replaced_folder(folder) as new_folder:
        for view in views:
            with (new_folder / f"{view.name}.csv").open("wb") as stream:
                _write_csv(view, stream)
        write_marker(new_folder, origin)


def _write_csv(view: ExportedView, stream: BinaryIO) -> None:
    stream.writelines(piece.encode() for piece in csv_pieces(view.rows))
