"""The Parquet files of a data set's splits, found by their names.

A file belongs to a split if its name is the split's word, alone or with a number: `train.parquet`, `train-0.parquet`,
`train-00000-of-00005.parquet` (the Hugging Face hub's form, with or without a hash at the end). They lie in FOLDER or
FOLDER/data. A folder with the split's word as its name (`train/0000.parquet`, Spark's `train.parquet/part-0.parquet`)
holds files of the split, whatever their names are. A name such as `train_unlabeled-00000-of-00001.parquet` is another
split's and is left out. Capital letters make no difference.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import DataError
from sweeper.spec.content.splits import SPLIT_WORDS, check_folder
from sweeper.spec.content.wording import some_of

_FILE_NAME = re.compile(
    r"""(?P<stem>.*?)
        ([-_. ]?(?P<index>\d{1,7})(?P<of>[-_. ]of[-_. ](?P<total>\d+))?)?
        (?P<hash>[-_.][0-9a-f]{8,64})?                            # a hash of the content
        (\.(snappy|gzip|gz|zstd|zst|brotli|br|lz4|uncompressed))? # a compression
        \.parquet""",
    re.VERBOSE | re.IGNORECASE,
)
_LEVELS = ("*", "*/*", "data/*/*")  # where Parquet files are looked for, as patterns of paths


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    """The files of a data set by split, each list sorted by name, and the Parquet files that belong to no split."""

    train: tuple[Path, ...]
    test: tuple[Path, ...]
    left_out: tuple[Path, ...]
    notes: tuple[str, ...]  # on numbers of files that have gaps


@dataclass(frozen=True, slots=True)
class _Shard:
    """A file of a split with the parts of its name: train-00002-of-00005-0a1b2c3d.parquet has them all."""

    file: Path
    stem: str  # in small letters; the word of a split in most names
    index: int | None
    total: int | None
    hash: str


def find_parquet_files(folder: Path) -> ParquetFiles:
    """Return the Parquet files of a data set by split.

    Raises:
        DataError: A split has no files, lacks a shard, or is there more than once. The message names the files.
    """
    train, test = (split_files(folder, split) for split in SPLIT_WORDS)
    left_out = tuple(file for file in parquet_files_in(folder) if file not in {*train, *test})
    notes = (_gap_note(split, files) for split, files in (("train", train), ("test", test)))
    return ParquetFiles(train, test, left_out, tuple(filter(None, notes)))


def split_files(folder: Path, split: str) -> tuple[Path, ...]:
    """Return the files of one split, "train" or "test", sorted by name.

    Raises:
        DataError: It has no files, lacks a shard, or is there more than once. The message names the files.
    """
    check_folder(folder)
    every_file = parquet_files_in(folder)
    for base in (folder, folder / "data"):
        for word in SPLIT_WORDS[split]:
            if files := _files_of_word(base, word, every_file):
                _check_shards(files, word)
                return tuple(files)
    raise DataError(
        f"no {split} files in {folder}: expected {split}.parquet or {split}-00000-of-00001.parquet, "
        f"in this folder or in a folder data/ in it; it has {_content_of(folder)}"
    )


def parquet_files_in(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder and one or two levels below, hidden ones excepted, sorted by name."""
    files = {file for level in _LEVELS for file in folder.glob(level) if _is_parquet(file)}
    return sorted(f for f in files if not any(part.startswith(".") for part in f.relative_to(folder).parts))


def _is_parquet(file: Path) -> bool:
    return file.suffix.lower() == ".parquet" and not file.is_dir()


def _content_of(folder: Path) -> str:
    """Return the names of some Parquet files in a folder or below, or else of its other entries."""
    files = [file for level in (*_LEVELS, "*/*/*") for file in sorted(folder.glob(level)) if _is_parquet(file)]
    return (
        some_of([entry.relative_to(folder) for entry in dict.fromkeys(files) or sorted(folder.iterdir())]) or "nothing"
    )


def _files_of_word(base: Path, word: str, every_file: Iterable[Path]) -> list[Path]:
    """Return the files of a folder that belong to the split of a word.

    They are those whose names are the word, alone or with a number. If there are none, those in a folder of that name;
    if there is none, those whose names continue after the word with `-` or `.` (`train-a.parquet`).
    """
    every_file = list(every_file)
    here = [file for file in every_file if file.parent == base]
    folders = (word, f"{word}.parquet")
    return (
        [file for file in here if _shard(file).stem == word]
        or [file for file in every_file if file.parent.parent == base and file.parent.name.lower() in folders]
        or [file for file in here if file.name.lower().startswith((f"{word}-", f"{word}."))]
    )


def _shard(file: Path) -> _Shard:
    match = _FILE_NAME.fullmatch(file.name)
    assert match, "every name with the suffix .parquet matches"
    index, total = (None if match[part] is None else int(match[part]) for part in ("index", "total"))
    return _Shard(file, match["stem"].lower(), index, total, match["hash"] or "")


def _by_stem(files: Iterable[Path], word: str) -> dict[str, list[_Shard]]:
    """Return the files of a split by the first part of their names, which is the word if it is empty."""
    shards: dict[str, list[_Shard]] = defaultdict(list)
    for shard in map(_shard, files):
        shards[shard.stem or word].append(shard)
    return shards


def _check_shards(files: Sequence[Path], word: str) -> None:
    """Check that the numbered files of a split are all there, and that no file is there twice under two names.

    Raises:
        DataError: They are not.
    """
    for shards in _by_stem(files, word).values():
        _check_one_numbering(shards, word)
        if shards[0].index is None:
            continue
        if twice := [s for s in shards if sum(s.index == other.index for other in shards) > 1]:
            names = _names([shard for shard in twice if shard.index == twice[0].index])
            raise DataError(f"{_place(shards)} has shard {twice[0].index} of the {word} split more than once: {names}")
        if shards[0].total is not None:
            _check_complete(shards, word, shards[0].total)


def _check_one_numbering(shards: Sequence[_Shard], word: str) -> None:
    """Check that files of one stem are numbered in one way: `train.parquet` beside `train-0.parquet` is a second copy.

    Files without a number may be parts if each has a hash in its name.

    Raises:
        DataError: There are several numberings.
    """
    copies: dict[object, list[_Shard]] = defaultdict(list)
    for shard in shards:
        whole = shard.index is None and not shard.hash
        copies[shard.file if whole else (shard.index is None, shard.total)].append(shard)
    if len(copies) > 1:
        sets = " and ".join(_names(copy) for copy in copies.values())
        raise DataError(
            f"{_place(shards)} has the {word} split more than once, as {sets}: move all but one of them elsewhere"
        )


def _check_complete(shards: Sequence[_Shard], word: str, total: int) -> None:
    """Check that all files of a split are there.

    Raises:
        DataError: Files are missing, or there are more than their names say.
    """
    indices = {shard.index for shard in shards}
    first = 1 if total in indices and 0 not in indices else 0  # most writers count from 0, some from 1
    if missing := [index for index in range(first, first + total) if index not in indices]:
        names = some_of([_renumbered(shards[0].file, index) for index in missing[:100_000]])
        raise DataError(f"{_place(shards)} has {len(shards)} of the {total} {word} files; missing: {names}")
    if len(shards) > total:
        raise DataError(f"{_place(shards)} has {len(shards)} {word} files named as parts of {total}: {_names(shards)}")


def _renumbered(file: Path, index: int) -> str:
    """Return the name of another shard, with a star for its hash, which isn't known."""
    match = _FILE_NAME.fullmatch(file.name)
    assert match
    start, end = match.span("index")
    name = f"{file.name[:start]}{index:0{end - start}}{file.name[end:]}"
    return name.replace(match["hash"], match["hash"][0] + "*") if match["hash"] else name


def _gap_note(split: str, files: Sequence[Path]) -> str:
    """Return a sentence on absent numbers of files whose names don't say how many there are; "" if none is absent."""
    absent = []
    for shards in _by_stem(files, split).values():
        indices = [shard.index for shard in shards if shard.index is not None and shard.total is None]
        if indices and max(indices) - min(indices) < 10 * len(indices):  # otherwise they are dates or sizes
            absent += sorted({*range(min(indices), max(indices))} - {*indices})
    return f"the numbers of the {split} files have gaps: {some_of(absent)}" if absent else ""


def _place(shards: Sequence[_Shard]) -> Path:
    return shards[0].file.parent


def _names(shards: Sequence[_Shard]) -> str:
    return some_of([shard.file.name for shard in shards])
