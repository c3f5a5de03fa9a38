"""Data sets in folders: the files and columns that hold the images and labels, and their numbers.

There are two layouts. Parquet is that of the Hugging Face hub (`parquet_files` says which files are read,
`parquet_tables` which columns). Image folders are those of torchvision (`image_folders`).

Images are read as the field's usual readers do: those of an image folder as torchvision's `ImageFolder` reads them,
which ignores a rotation in EXIF data; those of Parquet files as Hugging Face `datasets` does, which applies it. Both
drop transparency, so that hidden colours show. `Contents.notes` says so where a data set has such images.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from sweeper.errors import DataError
from sweeper.spec.content.fingerprint import Progress, fingerprint
from sweeper.spec.content.image_folders import class_folder, find_images
from sweeper.spec.content.images import NamedImage, check_images, shape_of
from sweeper.spec.content.label_counts import Counts, check_labels
from sweeper.spec.content.parquet_files import ParquetFiles, find_parquet_files, parquet_files_in
from sweeper.spec.content.parquet_tables import check_schemas, count_labels, parquet_images
from sweeper.spec.content.splits import check_folder
from sweeper.spec.content.wording import count_of, printable


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

    @property
    def upright(self) -> bool:
        """True if rotations in EXIF data are applied."""
        return self.kind == "parquet"

    def images(self) -> Iterator[NamedImage]:
        """Return the images of both splits, in order, with names relative to the folder."""
        if self.kind == "parquet":
            return parquet_images(self.files, self.folder)
        return ((printable(str(file.relative_to(self.folder))), file) for file in self.files)

    def first_shape(self) -> tuple[int, int, int] | None:
        """Return the channels, height and width of the first image; None if it can't be used."""
        try:
            return shape_of(next(self.images()), self.upright)
        except DataError:
            return None


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
    check_folder(folder)
    try:
        return {"parquet": _list_parquet, "imagefolder": _list_images}[kind](folder)
    except OSError as error:
        raise DataError(f"{error.filename or folder} can't be read: {error.strerror}") from None
    except DataError as error:
        raise DataError(f"{error}{_other_layout(kind, folder)}") from None


def read_contents(listing: Listing, progress: Progress | None = None) -> Contents:
    """Return the contents of a listed data set. Every image is decoded once for each content of the files.

    Args:
        listing: The files of the data set.
        progress: Called with a step of the work, and the numbers of files or images done so far and of all of them.

    Raises:
        DataError: A file can't be read, or images can't be used. Each such image is named.
    """
    digest = fingerprint(listing.folder, listing.files, progress)
    try:
        facts = check_images(digest, listing.images, (listing.train, listing.test), listing.upright, progress)
    except DataError as error:
        raise DataError(_with_folder(listing.folder, str(error))) from None
    (size,) = facts.sizes
    width, height = map(int, size.split(" x "))
    listed = {field.name: getattr(listing, field.name) for field in fields(listing)}
    listed["notes"] = (*listing.notes, *facts.notes(listing.upright))
    shape = (facts.channels, height, width)
    return Contents(**listed, shape=shape, digest=digest, value_range=(facts.lowest, facts.highest))


def list_files(kind: str, folder: Path) -> tuple[Path, ...]:
    """Return the files of a data set in order, without a look at images and labels.

    Raises:
        DataError: There is no such folder, or it doesn't have that layout.
    """
    check_folder(folder)
    if kind == "parquet":
        files = find_parquet_files(folder)
        return (*files.train, *files.test)
    images = find_images(folder)
    return tuple(file for file, _ in (*images.train, *images.test))


def layout_of(folder: Path) -> str:
    """Return the layout of a data set's folder: that which can be read, or else that which it resembles.

    Raises:
        DataError: There is no such folder, or it, or one in it, can't be read.
    """
    check_folder(folder)
    if _has_layout("parquet", folder):
        return "parquet"
    try:
        if any((folder / word).is_dir() for word in ("train", "Train", "training")) or not parquet_files_in(folder):
            return "imagefolder"
    except OSError as error:
        raise DataError(f"{error.filename or folder} can't be read: {error.strerror}") from None
    return "parquet"


def _has_layout(kind: str, folder: Path) -> bool:
    try:
        {"parquet": find_parquet_files, "imagefolder": find_images}[kind](folder)
    except (DataError, OSError):
        return False
    return True


def _other_layout(kind: str, folder: Path) -> str:
    """Return the hint that a folder has the other layout; "" if it has the named one or none."""
    other = "imagefolder" if kind == "parquet" else "parquet"
    if _has_layout(kind, folder) or not _has_layout(other, folder):
        return ""
    return f"; the folder has the layout of {other}: write {other} instead of {kind}"


def _with_folder(folder: Path, problems: str) -> str:
    """Return the problems of images with the path of the folder before each name."""
    lines = problems.splitlines()
    return "\n".join(line if line.startswith(("and ", str(folder))) else f"{folder}/{line}" for line in lines)


def _list_images(folder: Path) -> Listing:
    images = find_images(folder)
    if len(images.classes) == 1:
        (place,) = {class_folder(folder, file) for file, _ in images.train}
        raise DataError(f"{place} is the only class: a classifier needs at least two, each a folder in {place.parent}")
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
    names, column_notes = check_schemas((*files.train, *files.test))
    train, test = (count_labels(split) for split in (files.train, files.test))
    if not train or not test:
        raise DataError(f"no images in the {'test' if train else 'train'} files of {folder}")
    classes, label_notes = check_labels(train, test)
    if names and len(names) != classes:
        label_notes.append(f"the files name {count_of(len(names), 'class')}, and the labels are 0 .. {classes - 1}")
    left_out = tuple(str(file.relative_to(folder)) for file in files.left_out) + _other_folders(folder, files)
    notes = (*files.notes, *column_notes, *label_notes)
    return Listing("parquet", folder, files.train, files.test, classes, train, test, names, left_out, notes)


def _other_folders(folder: Path, files: ParquetFiles) -> tuple[str, ...]:
    """Return the folders beside the files of a Parquet data set that hold no Parquet files, hidden ones excepted."""
    with_files = {file.relative_to(folder).parts[0] for file in (*files.train, *files.test, *files.left_out)}
    folders = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return tuple(f"{name}/" for name in folders if name not in with_files)
