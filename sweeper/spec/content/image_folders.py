"""The classes and files of an image folder, as torchvision's `ImageFolder` reads them.

FOLDER/train/CLASS/** and FOLDER/test/CLASS/** (or `validation`, `val`). The classes of the training split, sorted by
name, are the labels 0, 1, 2 ... Files in folders within a class's folder belong to the class.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import DataError
from sweeper.spec.content.parquet_files import SPLIT_WORDS

# torchvision.datasets.folder.IMG_EXTENSIONS
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})

LAYOUT = "expected FOLDER/train/CLASS/IMAGE.png and FOLDER/test/CLASS/IMAGE.png (or val/, validation/)"


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """The images of an image folder, and what lies beside them."""

    classes: tuple[str, ...]  # by label
    train: tuple[tuple[Path, int], ...]  # file and label, class by class
    test: tuple[tuple[Path, int], ...]
    left_out: tuple[str, ...]  # files and folders, relative to the folder, that are not read


def find_images(folder: Path) -> ImageFolder:
    """Return the images of an image folder with their labels, and what else is in the folder.

    Raises:
        DataError: The folder is no image folder; see `split_images`.
    """
    places = [_split_folder(folder, split) for split in SPLIT_WORDS]
    train, test = (split_images(folder, split) for split in ("train", "test"))
    left_out = [str(file.relative_to(folder)) for place in places for file in _beside_images(place)]
    left_out += _beside_splits(folder, places)
    return ImageFolder(tuple(_class_names(folder)), train, test, tuple(left_out))


def split_images(folder: Path, split: str) -> tuple[tuple[Path, int], ...]:
    """Return the images of one split, "train" or "test", with their labels, sorted by class, folder and name.

    Raises:
        DataError: The split is missing, a class has no images, the test split has a class that the training split
            lacks, or a hidden folder contains images.
    """
    place, classes = _split_folder(folder, split), _class_names(folder)
    images: list[tuple[Path, int]] = []
    for entry in _class_folders(place):
        if entry.name not in classes:
            raise DataError(f"{entry} is a class that {_split_folder(folder, 'train')} doesn't have")
        files = _class_images(entry)
        if not files:
            raise DataError(f"{entry} has no images ({', '.join(sorted(IMAGE_SUFFIXES))}); fill or remove it")
        images += [(file, classes.index(entry.name)) for file in files]
    if not images:
        raise DataError(f"no images in {place}; {LAYOUT}")
    return tuple(images)


def _class_names(folder: Path) -> list[str]:
    train = _split_folder(folder, "train")
    if not (names := [entry.name for entry in _class_folders(train)]):
        raise DataError(f"{train} has no folder for each class; {LAYOUT}")
    return names


def _split_folder(folder: Path, split: str) -> Path:
    for name in SPLIT_WORDS[split]:
        if (folder / name).is_dir():
            return folder / name
    entries = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    seen = ", ".join(entries[:5]) + (f" and {len(entries) - 5} more" if len(entries) > 5 else "")
    raise DataError(f"no folder {' or '.join(SPLIT_WORDS[split])} in {folder}; {LAYOUT}; it has {seen or 'nothing'}")


def _class_folders(place: Path) -> list[Path]:
    """Return the folders of a split that are classes: all but hidden ones.

    Raises:
        DataError: A hidden folder contains images. torchvision would count it as a class.
    """
    folders = sorted((entry for entry in place.iterdir() if entry.is_dir()), key=lambda entry: entry.name)
    for entry in folders:
        if entry.name.startswith(".") and any(map(_is_image, _walk(entry))):
            raise DataError(f"the hidden folder {entry} contains images; rename it if it is a class, else remove it")
    return [entry for entry in folders if not entry.name.startswith(".")]


def _class_images(folder: Path) -> list[Path]:
    """Return the images of a class.

    Raises:
        DataError: A hidden folder contains images; torchvision would count these copies.
    """
    images = [file for file in _walk(folder) if _is_image(file)]
    for file in images:
        if hidden := [part for part in file.relative_to(folder).parts[:-1] if part.startswith(".")]:
            raise DataError(f"{file} is an image in a hidden folder; remove the folder {hidden[0]}, or rename it")
    return images


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and in the folders in it, in torchvision's order; links are followed.

    Raises:
        DataError: A link leads to a folder that contains it, so the walk would not end.
    """
    for root, _, names in sorted(os.walk(folder, followlinks=True)):
        place = Path(root)
        if place != folder and place.resolve() in {parent.resolve() for parent in (folder, *_between(folder, place))}:
            raise DataError(f"{place} is a link to a folder that contains it")
        yield from (place / name for name in sorted(names))


def _between(folder: Path, place: Path) -> list[Path]:
    return [parent for parent in place.parents if parent != folder and parent.is_relative_to(folder)]


def _beside_images(place: Path) -> list[Path]:
    """Return what is not read in a split's folder: entries that are no classes, and files that are no images."""
    entries = [entry for entry in place.iterdir() if not entry.is_dir() or entry.name.startswith(".")]
    return sorted([*entries, *(f for entry in _class_folders(place) for f in _walk(entry) if not _is_image(f))])


def _beside_splits(folder: Path, places: Iterable[Path]) -> list[str]:
    """Return the folders that are no split in use."""
    used = {place.name for place in places}
    return [f"{entry.name}/" for entry in sorted(folder.iterdir()) if entry.is_dir() and entry.name not in used]
