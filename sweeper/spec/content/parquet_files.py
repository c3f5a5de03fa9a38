"""The Parquet files of a data set's splits, found by their names.

A file belongs to a split if its name is the split's word, alone or with a number: `train.parquet`, `train-0.parquet`,
`train-00000-of-00005.parquet` (the Hugging Face hub's form, with or without a hash at the end). A folder with the
split's word as its name (`train/0000.parquet`, Spark's `train.parquet/part-0.parquet`) holds files of the split,
whatever their names are. A name such as `train_unlabeled-00000-of-00001.parquet` is another split's and is left out.
Capital letters make no difference.

Both splits lie in FOLDER or FOLDER/data. If they don't, the only other folder in FOLDER that has both is read
(`plain_text/train-00000-of-00001.parquet`, as the hub stores CIFAR-10), or the only pair of names that start with the
same words (`mnist-train.parquet` and `mnist-test.parquet`).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import DataError
from sweeper.spec.content.parquet_shards import check_shards, gap_note, shard_of
from sweeper.spec.content.splits import SPLIT_WORDS, check_folder
from sweeper.spec.content.wording import some_of

DEPTH = 5  # levels of folders in which Parquet files are looked for
SEPARATORS = "-_. "  # characters between a word and what comes before or after it


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    """The files of a data set by split, each list sorted by name, and the Parquet files that belong to no split."""

    train: tuple[Path, ...]
    test: tuple[Path, ...]
    left_out: tuple[Path, ...]
    notes: tuple[str, ...]  # on numbers of files that have gaps


@dataclass(frozen=True, slots=True)
class _Place:
    """A place where the files of both splits may be: a folder, and what their names have before the split's word."""

    folder: Path
    prefix: str = ""  # in small letters, such as "mnist-"


_Split = tuple[str, tuple[Path, ...]]  # the word that names a split, and its files


def find_parquet_files(folder: Path) -> ParquetFiles:
    """Return the Parquet files of a data set by split.

    Raises:
        DataError: A split has no files, lacks a shard, or is there more than once, or there are several data sets. The
            message names the files.
    """
    check_folder(folder)
    every_file = parquet_files_in(folder)
    splits = _choose_splits(folder, every_file)
    train, test = (_checked_files(splits, split, folder, every_file) for split in SPLIT_WORDS)
    left_out = tuple(file for file in every_file if file not in {*train, *test})
    notes = (gap_note(split, files) for split, files in (("train", train), ("test", test)))
    return ParquetFiles(train, test, left_out, tuple(filter(None, notes)))


def split_files(folder: Path, split: str) -> tuple[Path, ...]:
    """Return the files of one split, "train" or "test", sorted by name.

    Raises:
        DataError: As in `find_parquet_files`, but the other split may be missing.
    """
    check_folder(folder)
    every_file = parquet_files_in(folder)
    return _checked_files(_choose_splits(folder, every_file), split, folder, every_file)


def parquet_files_in(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder and some levels below, hidden ones excepted, sorted by name.

    Raises:
        OSError: A folder can't be read.
    """
    files = []
    for root, folders, names in os.walk(folder, onerror=_raise_if_needed, followlinks=True):
        place = Path(root)
        deep = len(place.relative_to(folder).parts) >= DEPTH - 1
        folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
        files += [place / name for name in names if name.lower().endswith(".parquet") and not name.startswith(".")]
    return sorted(files)


def _raise_if_needed(error: OSError) -> None:
    if Path(error.filename).name != "lost+found":  # of a file system's root, for its administrator alone
        raise error


def _checked_files(splits: dict[str, _Split], split: str, folder: Path, every_file: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files of one split.

    Raises:
        DataError: It has no files, lacks a shard, or is there more than once.
    """
    if split not in splits:
        raise DataError(
            f"no {split} files in {folder}: expected {split}.parquet or {split}-00000-of-00001.parquet, in this folder "
            f"or in a folder data/ in it; it has {_content_of(folder, every_file)}"
        )
    word, files = splits[split]
    check_shards(files, word)
    return files


def _choose_splits(folder: Path, every_file: Sequence[Path]) -> dict[str, _Split]:
    """Return the files of both splits, as far as there are some.

    Raises:
        DataError: There are several data sets.
    """
    usual = [_Place(folder), _Place(folder / "data")]
    for place in usual:
        if len(splits := _splits_in(place, every_file)) == len(SPLIT_WORDS):
            return splits
    if splits := _only_other(
        folder, [place for place in _places(folder, every_file) if place not in usual], every_file
    ):
        return splits
    return _splits_in(usual[1], every_file) | _splits_in(usual[0], every_file)


def _only_other(folder: Path, places: Sequence[_Place], every_file: Sequence[Path]) -> dict[str, _Split]:
    """Return the splits of the only place that has both; {} if there is none.

    Raises:
        DataError: There are several.
    """
    complete = [splits for place in places if len(splits := _splits_in(place, every_file)) == len(SPLIT_WORDS)]
    if len(complete) > 1:
        firsts = [splits["train"][1][0].relative_to(folder) for splits in complete]
        raise DataError(
            f"{folder} has several data sets, with the training files {some_of(firsts)}: name the folder of one, or "
            "move the files of the others elsewhere"
        )
    return complete[0] if complete else {}


def _places(folder: Path, every_file: Sequence[Path]) -> list[_Place]:
    """Return all places in which files of a split may be."""
    places = []
    words = [word for words in SPLIT_WORDS.values() for word in words]
    for file in every_file:
        places += [_Place(parent) for parent in file.parents if parent.is_relative_to(folder)]
        stem = shard_of(file).stem
        prefixes = (stem.removesuffix(word) for word in words if stem.endswith(word))
        places += [_Place(file.parent, prefix) for prefix in prefixes if prefix.endswith(tuple(SEPARATORS))]
    return list(dict.fromkeys(places))


def _splits_in(place: _Place, every_file: Sequence[Path]) -> dict[str, _Split]:
    """Return the splits of which a place has files, each with the first of its words that has some."""
    below = [file for file in every_file if file.is_relative_to(place.folder)]
    splits: dict[str, _Split] = {}
    for split, words in SPLIT_WORDS.items():
        for word in words:
            if split not in splits and (files := _files_of_word(place, word, below)):
                splits[split] = word, tuple(files)
    return splits


def _files_of_word(place: _Place, word: str, below: Sequence[Path]) -> list[Path]:
    """Return the files of a place that belong to the split of a word.

    They are those whose names are the word, alone or with a number. If there are none, those in a folder of that name;
    if there is none, those whose names continue after the word with `-`, `.` or a space (`train-a.parquet`).
    """
    files_in_folder = [file for file in below if file.parent == place.folder]
    named = [file for file in files_in_folder if shard_of(file).stem == place.prefix + word]
    if named or place.prefix:
        return named
    folders = (word, f"{word}.parquet")
    return [
        file
        for file in below
        if file.parent != place.folder and file.relative_to(place.folder).parts[0].lower() in folders
    ] or [file for file in files_in_folder if file.name.lower().startswith((f"{word}-", f"{word}.", f"{word} "))]


def _content_of(folder: Path, every_file: Sequence[Path]) -> str:
    """Return the names of some Parquet files in a folder or below, or else of its other entries."""
    names = [file.relative_to(folder) for file in every_file or sorted(folder.iterdir())]
    return some_of(names) or "nothing"
