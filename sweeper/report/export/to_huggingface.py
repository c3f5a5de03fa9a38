"""The export of views to a folder that is a data set of Hugging Face: Parquet files, and a card that describes them."""

from collections.abc import Iterable
from pathlib import Path

from sweeper.files import replaced_folder

from .dataset_card import CardSubject, WrittenView, card_text
from .earlier_export import write_marker
from .exported_views import ExportedView, Origin
from .to_files import to_parquet


def to_huggingface(views: Iterable[ExportedView], origin: Origin, folder: Path, subject: CardSubject) -> None:
    """Write each view to a Parquet file of its name in a folder, and the card to its README.md.

    Raises:
        SetupError: The folder can't be written.
    """
    with replaced_folder(folder) as new_folder:
        written = list[WrittenView]()
        for view in views:
            to_parquet([view], origin, new_folder / f"{view.name}.parquet")
            written.append(WrittenView(view.name, view.columns, view.schema, view.count))
        (new_folder / "README.md").write_text(card_text(subject, origin, written), "utf-8", errors="backslashreplace")
        write_marker(new_folder, origin)
