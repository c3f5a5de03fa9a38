"""Data sets in folders: the files and columns that hold the images and labels, and their numbers.

There are two layouts. Parquet is that of the Hugging Face hub, with a column of encoded images and a column of labels
from 0 (`parquet_files` says which files are read). Image folders are those of torchvision (`image_folders`).

Images are read as the field's usual readers do: those of an image folder as torchvision's `ImageFolder` reads them,
which ignores a rotation in EXIF data; those of Parquet files as Hugging Face `datasets` does, which applies it. Both
drop transparency, so that hidden colours show. `Contents.notes` says so where a data set has such images.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.spec.content.fingerprint import fingerprint
from sweeper.spec.content.image_folders import find_images
from sweeper.spec.content.images import ImageFacts, NamedImage, check_images
from sweeper.spec.content.labels import Counts, check_labels
from sweeper.spec.content.parquet_files import find_parquet_files

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")
ROWS = 2_000  # rows of a Parquet file that are in memory, encoded, at a time


@dataclass(frozen=True, slots=True)
class Contents:
    """What a data set in a folder was understood to be."""

    files: tuple[Path, ...]  # of the data set, in order
    train: int  # images
    test: int
    classes: int  # the highest label plus one
    shape: tuple[int, int, int]  # channels, height, width of every image
    digest: str  # of the files' content
    class_names: tuple[str, ...]  # by label; () if unknown
    train_counts: Counts  # training images by label
    test_counts: Counts
    value_range: tuple[int, int]  # lowest and highest value of a pixel, of 0 .. 255
    left_out: tuple[str, ...]  # files in the folder that are not read
    notes: tuple[str, ...]  # what a reader may not expect, a sentence each


@dataclass(frozen=True, slots=True)
class _Listing:
    """The files of a data set and its labels, before an image is read."""

    files: tuple[Path, ...]
    train_counts: Counts
    test_counts: Counts
    class_names: tuple[str, ...]
    left_out: tuple[str, ...]


def contents(kind: str, folder: Path) -> Contents:
    """Return the contents of a data set's folder. Every image is decoded once for each content of the files.

    Args:
        kind: The layout, "parquet" or "imagefolder".
        folder: The folder of the data set.

    Raises:
        DataError: There is no such folder, it doesn't have that layout, or images or labels can't be used. Each image
            that can't be used is named.
    """
    listing = _list(kind, folder)
    classes, notes = check_labels(listing.train_counts, listing.test_counts)
    digest = fingerprint(folder, listing.files)
    images = {"parquet": _parquet_images, "imagefolder": _folder_images}[kind]
    facts = check_images(digest, lambda: images(listing.files))
    (size,) = facts.sizes
    width, height = map(int, size.split(" x "))
    return Contents(
        listing.files,
        sum(listing.train_counts.values()),
        sum(listing.test_counts.values()),
        classes,
        (facts.channels, height, width),
        digest,
        listing.class_names,
        listing.train_counts,
        listing.test_counts,
        (facts.lowest, facts.highest),
        listing.left_out,
        (*notes, *_image_notes(kind, facts)),
    )


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


def _list(kind: str, folder: Path) -> _Listing:
    _check_folder(folder)
    return {"parquet": _list_parquet, "imagefolder": _list_images}[kind](folder)


def _list_images(folder: Path) -> _Listing:
    images = find_images(folder)
    train, test = (Counter(label for _, label in split) for split in (images.train, images.test))
    files = tuple(file for file, _ in (*images.train, *images.test))
    return _Listing(files, train, test, images.classes, images.left_out)


def _list_parquet(folder: Path) -> _Listing:
    files = find_parquet_files(folder)
    train, test = (_count_labels(split) for split in (files.train, files.test))
    if not train or not test:
        raise DataError(f"no images in the {'test' if train else 'train'} files of {folder}")
    left_out = tuple(str(file.relative_to(folder)) for file in files.left_out)
    return _Listing((*files.train, *files.test), train, test, _class_names(files.train[0]), left_out)


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
