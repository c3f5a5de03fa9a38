"""Data sets in folders: the files and columns that hold the images and labels, and their numbers.

There are two layouts. Parquet is that of the Hugging Face hub, with a column of encoded images and a column of labels
from 0 (`parquet_files` says which files are read). Image folders are those of torchvision (`image_folders`).

Images are read as the field's usual readers do: those of an image folder as torchvision's `ImageFolder` reads them,
which ignores a rotation in EXIF data; those of Parquet files as Hugging Face `datasets` does, which applies it. Both
drop transparency, so that hidden colours show. `Contents.notes` says so where a data set has such images.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.spec.content.fingerprint import fingerprint
from sweeper.spec.content.image_folders import find_images
from sweeper.spec.content.images import ImageFacts, NamedImage, Progress, check_images, shape_of
from sweeper.spec.content.label_counts import Counts, check_labels
from sweeper.spec.content.parquet_files import find_parquet_files

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")
ROWS = 2_000  # rows of a Parquet file that are in memory, encoded, at a time


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a data set in a folder and its labels, before all images are read."""

    kind: str  # the layout, "parquet" or "imagefolder"
    folder: Path
    train_files: tuple[Path, ...]  # in order
    test_files: tuple[Path, ...]
    classes: int  # the highest label plus one
    train_counts: Counts  # training images by label
    test_counts: Counts
    class_names: tuple[str, ...]  # by label; () if unknown
    left_out: tuple[str, ...]  # files in the folder that are not read
    notes: tuple[str, ...]  # what a reader may not expect, a sentence each

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of both splits, in order."""
        return (*self.train_files, *self.test_files)

    @property
    def train(self) -> int:
        """The number of training images."""
        return sum(self.train_counts.values())

    @property
    def test(self) -> int:
        """The number of test images."""
        return sum(self.test_counts.values())

    def first_shape(self) -> tuple[int, int, int] | None:
        """Return the channels, height and width of the first image; None if it can't be used."""
        return shape_of(next(_READERS[self.kind](self.files)))


@dataclass(frozen=True, slots=True)
class Contents(Listing):
    """A data set in a folder after a check of all its images."""

    shape: tuple[int, int, int]  # channels, height, width of every image
    digest: str  # of the files' content
    value_range: tuple[int, int]  # lowest and highest value of a pixel, of 0 .. 255


def contents(kind: str, folder: Path, progress: Progress | None = None) -> Contents:
    """Return the contents of a data set's folder.

    Args:
        kind: The layout, "parquet" or "imagefolder".
        folder: The folder of the data set.
        progress: Called as in `read_contents`.

    Raises:
        DataError: There is no such folder, it doesn't have that layout, or images or labels can't be used. Each image
            that can't be used is named.
    """
    return read_contents(list_contents(kind, folder), progress)


def list_contents(kind: str, folder: Path) -> Listing:
    """Return the files and labels of a data set's folder. No image is read.

    Args:
        kind: The layout, "parquet" or "imagefolder".
        folder: The folder of the data set.

    Raises:
        DataError: There is no such folder, it doesn't have that layout, or its labels can't be used.
    """
    _check_folder(folder)
    return {"parquet": _list_parquet, "imagefolder": _list_images}[kind](folder)


def read_contents(listing: Listing, progress: Progress | None = None) -> Contents:
    """Return the contents of a listed data set. Every image is decoded once for each content of the files.

    Args:
        listing: The files of the data set.
        progress: Called with the number of images decoded so far and the number of all images.

    Raises:
        DataError: A file can't be read, or images can't be used. Each such image is named.
    """
    digest = fingerprint(listing.folder, listing.files)
    count = listing.train + listing.test
    facts = check_images(digest, lambda: _READERS[listing.kind](listing.files), count, progress)
    (size,) = facts.sizes
    width, height = map(int, size.split(" x "))
    listed = {field.name: getattr(listing, field.name) for field in fields(listing)}
    listed["notes"] = (*listing.notes, *_image_notes(listing.kind, facts))
    shape = (facts.channels, height, width)
    return Contents(**listed, shape=shape, digest=digest, value_range=(facts.lowest, facts.highest))


def list_files(kind: str, folder: Path) -> tuple[Path, ...]:
    """Return the files of a data set in order, without a look at images and labels.

    Raises:
        DataError: There is no such folder, or it doesn't have that layout.
    """
    _check_folder(folder)
    if kind == "parquet":
        files = find_parquet_files(folder)
        return (*files.train, *files.test)
    images = find_images(folder)
    return tuple(file for file, _ in (*images.train, *images.test))


def parquet_columns(schema: "pa.Schema", file: Path) -> tuple[str, str]:
    """Return the names of the columns of images and of labels.

    Raises:
        DataError: The file has no such columns.
    """
    image = next((name for name in IMAGE_COLUMNS if name in schema.names), None)
    label = next((name for name in LABEL_COLUMNS if name in schema.names), None)
    if image is None or label is None:
        missing = " or ".join(IMAGE_COLUMNS if image is None else LABEL_COLUMNS)
        raise DataError(f"{file} has no column {missing}; it has {', '.join(schema.names)}")
    return image, label


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        parent = f"; {folder.parent} exists" if folder.parent.is_dir() else ""
        raise DataError(f"there is no folder {folder}{parent}")


def _list_images(folder: Path) -> Listing:
    images = find_images(folder)
    train, test = (Counter(label for _, label in split) for split in (images.train, images.test))
    classes, notes = check_labels(train, test)
    train_files, test_files = (tuple(file for file, _ in split) for split in (images.train, images.test))
    return Listing(
        "imagefolder",
        folder,
        train_files,
        test_files,
        classes,
        train,
        test,
        images.classes,
        images.left_out,
        tuple(notes),
    )


def _list_parquet(folder: Path) -> Listing:
    files = find_parquet_files(folder)
    train, test = (_count_labels(split) for split in (files.train, files.test))
    if not train or not test:
        raise DataError(f"no images in the {'test' if train else 'train'} files of {folder}")
    classes, notes = check_labels(train, test)
    left_out = tuple(str(file.relative_to(folder)) for file in files.left_out)
    names = _class_names(files.train[0])
    return Listing("parquet", folder, files.train, files.test, classes, train, test, names, left_out, tuple(notes))


def _count_labels(files: Sequence[Path]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for file in files:
        with _open_parquet(file) as table:
            _, label = parquet_columns(table.schema_arrow, file)
            counts.update(_labels(table.read([label]).column(0), file))
    return counts


def _labels(labels: "pa.ChunkedArray", file: Path) -> Counter[int]:
    import numpy as np
    import pyarrow as pa

    if not pa.types.is_integer(labels.type):
        raise DataError(f"{file}: labels are {labels.type}, not whole numbers")
    if labels.null_count:
        raise DataError(f"{file}: {labels.null_count} labels are missing")
    values, counts = np.unique(labels.to_numpy(), return_counts=True)
    if len(values) and values[0] < 0:
        raise DataError(f"{file}: labels go down to {values[0]}; they count from 0")
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def _class_names(file: Path) -> tuple[str, ...]:
    """Return the names of the classes that Hugging Face `datasets` wrote into a file; () if there are none."""
    import json

    with _open_parquet(file) as table:
        schema = table.schema_arrow
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(map(str, features[parquet_columns(schema, file)[1]]["names"]))
    except (KeyError, TypeError, ValueError):
        return ()


def _open_parquet(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{file} can't be read as Parquet: {error}") from None


def _parquet_images(files: Sequence[Path]) -> Iterator[NamedImage]:
    for file in files:
        with _open_parquet(file) as table:
            image, _ = parquet_columns(table.schema_arrow, file)
            row = 0
            for batch in table.iter_batches(ROWS, columns=[image]):
                for value in batch.column(0):
                    yield f"{file}, row {row}", image_bytes(value.as_py(), f"{file}, row {row}")
                    row += 1


def image_bytes(value: object, name: str) -> bytes | None:
    """Return the encoded image of a Parquet value: bytes, or a mapping with `bytes`; None where it is null.

    Raises:
        DataError: The value is something else, such as a path of a file or pixels.
    """
    content = value.get("bytes") if isinstance(value, dict) else value
    if content is not None and not isinstance(content, bytes):
        raise DataError(f"{name}: the row holds no encoded image")
    return content


def _folder_images(files: Sequence[Path]) -> Iterator[NamedImage]:
    return ((str(file), file) for file in files)


_READERS = {"parquet": _parquet_images, "imagefolder": _folder_images}


def _image_notes(kind: str, facts: ImageFacts) -> list[str]:
    notes = []
    if 0 < facts.grey < facts.images:
        notes.append(f"{facts.grey} of {facts.images} images are grey; they are read as colour, like the others")
    if facts.rotated:
        rule = "applied, as Hugging Face datasets does" if kind == "parquet" else "ignored, as torchvision does"
        notes.append(f"{facts.rotated} images ask for a rotation (EXIF), which is {rule}")
    if facts.transparent:
        notes.append(
            f"{facts.transparent} images have transparent pixels, whose hidden colours are used, as torchvision does"
        )
    return notes
