"""The classes and files of an image folder, as torchvision's `ImageFolder` reads them.

FOLDER/train/CLASS/** and FOLDER/test/CLASS/** (or another word of `splits`). The classes of the training split, sorted
by name, are the labels 0, 1, 2 ... Files in folders within a class's folder belong to the class.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sweeper.errors import DataError, did_you_mean
from sweeper.spec.content.splits import SPLIT_WORDS, check_folder, unlabelled_split_hint
from sweeper.spec.content.wording import some_of

# torchvision.datasets.folder.IMG_EXTENSIONS
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})

LAYOUT = "expected FOLDER/train/CLASS/IMAGE.png and FOLDER/test/CLASS/IMAGE.png (or val/, validation/)"

LabelledFile = tuple[Path, int]


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """The images of an image folder, and what lies beside them."""

    classes: tuple[str, ...]  # by label
    train: tuple[LabelledFile, ...]  # class by class
    test: tuple[LabelledFile, ...]
    left_out: tuple[str, ...]  # files and folders, relative to the folder, that are not read


@dataclass(frozen=True, slots=True)
class _Split:
    images: tuple[LabelledFile, ...]
    others: tuple[Path, ...]  # what is not read


def find_images(folder: Path) -> ImageFolder:
    """Return the images of an image folder with their labels, and what else is in the folder.

    Raises:
        DataError: The folder is no image folder; see `split_images`.
    """
    train, test = (_read_split(folder, split) for split in SPLIT_WORDS)
    used = {_split_folder(folder, split) for split in SPLIT_WORDS}
    left_out = [str(file.relative_to(folder)) for split in (train, test) for file in split.others]
    other_entries = (entry for entry in sorted(folder.iterdir()) if entry not in used)
    left_out += [entry.name + "/" * entry.is_dir() for entry in other_entries if not entry.name.startswith(".")]
    return ImageFolder(tuple(_class_names(folder)), train.images, test.images, tuple(left_out))


def class_folder(folder: Path, image: Path) -> Path:
    """Return the folder of the class to which an image belongs."""
    split, name, *_ = image.relative_to(folder).parts
    return folder / split / name


def split_images(folder: Path, split: str) -> tuple[LabelledFile, ...]:
    """Return the images of one split, "train" or "test", with their labels, sorted by class, folder and name.

    Raises:
        DataError: The split is missing, a class has no images, the test split has a class that the training split
            lacks, or a hidden folder contains images.
    """
    check_folder(folder)
    return _read_split(folder, split).images


def _read_split(folder: Path, split: str) -> _Split:
    place, classes = _split_folder(folder, split), _class_names(folder)
    if not (entries := _class_folders(place)):
        hint = unlabelled_split_hint(place.name.lower(), [entry.name for entry in folder.iterdir()])
        raise DataError(f"{place} has no folder for each class; {LAYOUT}{hint}")
    images: list[LabelledFile] = []
    others = [entry for entry in place.iterdir() if entry not in set(entries)]
    for entry in entries:
        if entry.name not in classes:
            _refuse_class(folder, entry, classes)
        files = _files_below(entry)
        class_images = [file for file in files if _is_image(file)]
        _check_class(entry, class_images, files)
        label = classes.index(entry.name)
        images += [(file, label) for file in class_images]
        others += [file for file in files if not _is_image(file)]
    return _Split(tuple(images), tuple(sorted(others)))


def _refuse_class(folder: Path, entry: Path, classes: list[str]) -> NoReturn:
    """Raise the error about a class of the test split that the training split doesn't have."""
    train = _split_folder(folder, "train")
    question = did_you_mean(entry.name, classes)
    hint = unlabelled_split_hint(entry.parent.name.lower(), [other.name for other in folder.iterdir()])
    raise DataError(f"{entry} is a class that {train} doesn't have{'; ' + question if question else ''}{hint}")


def _class_names(folder: Path) -> list[str]:
    train = _split_folder(folder, "train")
    if not (names := [entry.name for entry in _class_folders(train)]):
        raise DataError(f"{train} has no folder for each class; {LAYOUT}")
    return names


def _split_folder(folder: Path, split: str) -> Path:
    """Return the folder of a split; of two that differ in capital letters, that in small letters."""
    entries = sorted(folder.iterdir(), reverse=True)
    by_name = {entry.name.lower(): entry for entry in entries[::-1] if entry.is_dir()}
    for word in SPLIT_WORDS[split]:
        if (folder / word).is_dir():
            return folder / word
        if word in by_name:
            return by_name[word]
    names = [entry.name + "/" * entry.is_dir() for entry in entries[::-1]]
    inner = [entry for entry in by_name.values() if any((entry / word).is_dir() for word in SPLIT_WORDS[split])]
    hint = f"; did you mean {inner[0]}?" if len(inner) == 1 else ""
    raise DataError(f"no folder {split} in {folder}; {LAYOUT}; it has {some_of(names) or 'nothing'}{hint}")


def _class_folders(place: Path) -> list[Path]:
    """Return the folders of a split that are classes: all but hidden ones.

    Raises:
        DataError: A hidden folder contains images. torchvision would count it as a class.
    """
    folders = sorted((entry for entry in place.iterdir() if entry.is_dir()), key=lambda entry: entry.name)
    for entry in folders:
        if entry.name.startswith(".") and any(map(_is_image, _files_below(entry))):
            raise DataError(f"the hidden folder {entry} contains images; rename it if it is a class, else remove it")
    return [entry for entry in folders if not entry.name.startswith(".")]


def _check_class(folder: Path, images: Sequence[Path], files: Sequence[Path]) -> None:
    """Check that a class has images, and none in a hidden folder: torchvision would count these copies.

    Raises:
        DataError: It has none, or one in a hidden folder.
    """
    if not images:
        names = some_of([file.relative_to(folder) for file in files]) or "nothing"
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"{folder} has no images ({suffixes}); it has {names}: fill or remove the folder")
    for place, image in {file.parent: file for file in reversed(images)}.items():
        if hidden := [part for part in place.relative_to(folder).parts if part.startswith(".")]:
            raise DataError(f"{image} is an image in a hidden folder; remove the folder {hidden[0]}, or rename it")


def _is_image(file: Path) -> bool:
    return file.name.lower().endswith(tuple(IMAGE_SUFFIXES))


def _files_below(folder: Path) -> list[Path]:
    """Return the files in a folder and in the folders in it, in torchvision's order; links are followed.

    Raises:
        DataError: A link leads to a folder that contains it, so the walk would not end.
        OSError: A folder can't be read.
    """
    files = []
    for root, _, names in _walk(folder):
        files.append((root, sorted(names)))
    return [Path(root, name) for root, names in sorted(files) for name in names]


def _walk(folder: Path) -> Iterable[tuple[str, list[str], list[str]]]:
    def stop(error: OSError) -> NoReturn:
        raise error

    for root, folders, names in os.walk(folder, followlinks=True, onerror=stop):
        place = Path(root)
        if place.is_symlink():
            target = place.resolve()
            if any(parent.resolve().is_relative_to(target) for parent in place.parents):
                raise DataError(f"{place} is a link to a folder that contains it")
        yield root, folders, names
