"""The command `data`, which shows what Sweeper understands of a data set, and what its images look like."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError, UsageError, did_you_mean
from sweeper.files import expand_user
from sweeper.resources import job as find_job
from sweeper.resources import job_names

from . import places, show

if TYPE_CHECKING:
    import numpy as np

    from sweeper.spec.job.sweep import DatasetFolder
    from sweeper.spec.records.task import Data

CLASSES = 12  # rows of the contact sheet
IMAGES = 10  # images in a row
SIDE = 96  # pixels: smaller images are enlarged by a whole factor up to this size
LARGEST_SIDE = 256  # pixels: of larger images every second, third ... pixel is shown


def print_data(name: str, json: bool, sheet: Path | None) -> None:
    """Print the splits, files, classes and image shape of a data set; with `sheet`, write a PNG with some images.

    Args:
        name: A folder, the name of a data set that Sweeper knows, or a job.
        json: Print JSON.
        sheet: The file for the contact sheet: a row of training images for each class, as a network sees them before
            normalisation.

    Raises:
        SweeperError: There is no such data set or job, or the data set can't be used.
    """
    from sweeper.spec.cards.datasets import DATASETS
    from sweeper.spec.job import resolve

    if sheet:
        _check_sheet(sheet)
    dataset = _dataset(name)
    if isinstance(dataset, str):
        card = DATASETS[dataset]
        facts = {
            "name": card.name, "meaning": card.meaning, "train": card.train, "test": card.test,
            "outputs": card.classes, "channels": card.shape[0], "height": card.shape[1], "width": card.shape[2],
        }  # fmt: skip
        show.print_json(facts) if json else show.print_fields(facts)
        data = resolve.read_data(dataset)
        if sheet:
            _check_download(data)
    else:
        data = _print_folder(dataset, json)
    if sheet:
        _write_sheet(data, sheet)


def _check_sheet(file: Path) -> None:
    """Check that a contact sheet can have this name, before a data set is read.

    Raises:
        UsageError: It can't.
    """
    if file.suffix.lower() != ".png":
        raise UsageError(f"--show {file}: the contact sheet is a PNG; name a file that ends with .png")
    if not file.parent.is_dir():
        raise UsageError(f"--show {file}: there is no folder {file.parent}")
    if file.is_dir():
        raise UsageError(f"--show {file}: this is a folder; name a file that ends with .png")


def _check_download(data: "Data") -> None:
    """Check that the images of a named data set are here or can be downloaded.

    Raises:
        UsageError: They can't be.
    """
    from sweeper.spec.content.downloads import check_download

    try:
        check_download(data.name, data.digest)
    except DataError as error:
        raise UsageError(str(error)) from None


def _dataset(name: str) -> "str | DatasetFolder":
    from sweeper.spec.cards.datasets import DATASETS
    from sweeper.spec.content.folders import layout_of
    from sweeper.spec.content.image_folders import IMAGE_SUFFIXES
    from sweeper.spec.job.sweep import DatasetFolder

    if not name.strip():
        raise UsageError("the name is empty; give a folder, a job or a data set")
    folder = expand_user(name)
    if name in DATASETS:
        return name
    if folder.is_dir():
        try:
            return DatasetFolder(**{layout_of(folder): str(folder)})
        except DataError as error:
            raise UsageError(str(error)) from None
    if folder.is_file() and folder.suffix.lower() in {".parquet", *IMAGE_SUFFIXES}:
        raise UsageError(f"{name} is a file; name the folder of the data set, such as {folder.parent}")
    try:
        find_job(name)
    except UsageError:
        hint = did_you_mean(name, [*DATASETS, *job_names()]) or f"known data sets: {', '.join(DATASETS)}"
        raise UsageError(f"there is no folder, job or data set {name}; {hint}") from None
    sweep, _ = places.load_job(name, ())
    return sweep.dataset


def _print_folder(dataset: "DatasetFolder", json: bool) -> "Data":
    from sweeper.spec.content import describe
    from sweeper.spec.job import resolve

    try:
        images = places.read_folder(dataset)
    except DataError as error:
        raise UsageError(str(error)) from None
    assert images is not None, "the data set is in a folder"
    if json:
        show.print_json(describe.describe_as_json(images))
    else:
        show.write(describe.describe_as_text(images))
        _print_classes(describe.describe_as_json(images)["classes"])
    return resolve.data_of_folder(images)


def _print_classes(classes: list[dict[str, Any]]) -> None:
    rows = [list(row.values()) for row in classes]
    show.print_columns(("label", "name", "train", "test"), rows, ("label", "train", "test"))


def _write_sheet(data: "Data", file: Path) -> None:
    from io import BytesIO

    from PIL import Image

    from sweeper.trials.data.load import load_dataset

    dataset = load_dataset(data)
    pixels = contact_sheet(dataset.train_images, dataset.train_labels)
    content = BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    show.write_bytes(content.getvalue(), file)


def contact_sheet(images: "np.ndarray", labels: "np.ndarray") -> "np.ndarray":
    """Return a picture with a row of images for each of the first classes, uint8 (height, width, 3).

    Args:
        images: uint8 (n, c, h, w).
        labels: int64 (n,).
    """
    import numpy as np

    step = -(-max(images.shape[2:]) // LARGEST_SIDE)
    images = images[:, :, ::step, ::step]
    _, channels, height, width = images.shape
    factor = max(1, SIDE // max(height, width))
    present = np.unique(labels)[:CLASSES]
    gap = 2
    sheet = np.full((len(present), IMAGES, height * factor + gap, width * factor + gap, 3), 255, np.uint8)
    for row, label in enumerate(present):
        for column, number in enumerate(np.flatnonzero(labels == label)[:IMAGES]):
            colour = np.broadcast_to(images[number], (3, height, width)) if channels == 1 else images[number]
            large = colour.repeat(factor, axis=1).repeat(factor, axis=2)
            sheet[row, column, : height * factor, : width * factor] = large.transpose(1, 2, 0)
    return sheet.transpose(0, 2, 1, 3, 4).reshape(len(present) * sheet.shape[2], IMAGES * sheet.shape[3], 3)
