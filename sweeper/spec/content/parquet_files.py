"""The Parquet files of a data set's splits, found by their names.

A file belongs to a split if its name is the split's word, alone or with a number: `train.parquet`, `train-0.parquet`,
`train-00000-of-00005.parquet` (the Hugging Face hub's form, with or without a hash at the end). They lie in FOLDER or
FOLDER/data. A folder with the split's word as its name (`train/0000.parquet`) holds files of the split, whatever their
names are. A name such as `train_unlabeled-00000-of-00001.parquet` is another split's and is left out.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import DataError

SPLIT_WORDS = {"train": ("train",), "test": ("test", "validation", "val")}  # the first word that has files is used

_NAME = re.compile(
    r"""(?P<word>train|test|validation|val)
        (?P<number>[-_. ]?(?P<index>\d+)(?P<of>[-_. ]of[-_. ](?P<total>\d+))?)?
        ([-_.][0-9a-f]{8,64})?                                    # a hash of the content
        (\.(snappy|gzip|gz|zstd|zst|brotli|br|lz4|uncompressed))? # a compression
        \.parquet""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"(?P<index>\d+)(?P<of>[-_. ]of[-_. ](?P<total>\d+))?")
_MOST_NAMED = 5  # files that a message names


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    """The files of a data set by split, each list sorted by name, and the Parquet files that belong to no split."""

    train: tuple[Path, ...]
    test: tuple[Path, ...]
    left_out: tuple[Path, ...]


def find_parquet_files(folder: Path) -> ParquetFiles:
    """Return the Parquet files of a data set by split.

    Raises:
        DataError: A split has no files, lacks a shard, or is there more than once. The message names the files.
    """
    train, test = (split_files(folder, split) for split in ("train", "test"))
    return ParquetFiles(train, test, tuple(file for file in _all_files(folder) if file not in {*train, *test}))


def split_files(folder: Path, split: str) -> tuple[Path, ...]:
    """Return the files of one split, "train" or "test", sorted by name.

    Raises:
        DataError: It has no files, lacks a shard, or is there more than once. The message names the files.
    """
    every_file = _all_files(folder)
    for base in (folder, folder / "data"):
        for word in SPLIT_WORDS[split]:
            if files := _named_files(base, word, every_file) or [f for f in every_file if f.parent == base / word]:
                _check_shards(files, word)
                return tuple(files)
    seen = f"; it has {_names(every_file)}" if every_file else ""
    raise DataError(
        f"no {split} files in {folder}: expected {split}.parquet or {split}-00000-of-00001.parquet, "
        f"in this folder or in a folder data/ in it{seen}"
    )


def _all_files(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder and one or two levels below, hidden ones excepted."""
    patterns = ("*.parquet", "*/*.parquet", "data/*/*.parquet")
    files = {file for pattern in patterns for file in folder.glob(pattern)}
    return sorted(f for f in files if not any(part.startswith(".") for part in f.relative_to(folder).parts))


def _named_files(base: Path, word: str, every_file: Iterable[Path]) -> list[Path]:
    """Return the files in a folder whose names are a split's word, alone or with a number.

    If there are none, those whose names continue after the word with `-` or `.` (`train-a.parquet`).
    """
    here = [file for file in every_file if file.parent == base]
    numbered = [file for file in here if (match := _NAME.fullmatch(file.name)) and match["word"] == word]
    return numbered or [file for file in here if file.name.startswith((f"{word}-", f"{word}."))]


def _check_shards(files: Sequence[Path], word: str) -> None:
    """Check that the numbered files of a split are all there and are there once.

    Raises:
        DataError: They are not.
    """
    by_total: dict[int | None, dict[int | None, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        match = _NAME.fullmatch(file.name) or _NUMBER.search(file.name)
        index = int(match["index"]) if match and match["index"] else None
        total = int(match["total"]) if match and match["total"] else None
        by_total[total][index].append(file)
    folder = files[0].parent
    unnumbered = by_total[None].pop(None, []) if None in by_total else []
    by_total = {total: shards for total, shards in by_total.items() if shards}
    alternatives = [[file for same in shards.values() for file in same] for shards in by_total.values()]
    if unnumbered and any(_NAME.fullmatch(file.name) for file in unnumbered):
        alternatives.append(unnumbered)
    if len(alternatives) > 1:
        sets = " and ".join(_names(alternative) for alternative in alternatives)
        raise DataError(f"{folder} has the {word} split more than once, as {sets}: move all but one of them elsewhere")
    for total, shards in by_total.items():
        for index, same in shards.items():
            if len(same) > 1 and index is not None:
                raise DataError(f"{folder} has shard {index} of the {word} split more than once: {_names(same)}")
        if total is not None:
            _check_complete(
                folder, word, total, {index: same[0] for index, same in shards.items() if index is not None}
            )


def _check_complete(folder: Path, word: str, total: int, shards: dict[int, Path]) -> None:
    first = 1 if total in shards and 0 not in shards else 0  # most writers count from 0, some from 1
    missing = [index for index in range(first, first + total) if index not in shards]
    if missing:
        model = next(iter(shards.values())).name
        names = [_NUMBER.sub(lambda match, i=index: _renumbered(match, i), model, count=1) for index in missing]
        raise DataError(
            f"{folder} has {len(shards)} of the {total} {word} files; missing: {_names([Path(name) for name in names])}"
        )
    if len(shards) > total:
        raise DataError(f"{folder} has {len(shards)} {word} files named as parts of {total}: {_names(shards.values())}")


def _renumbered(match: re.Match[str], index: int) -> str:
    return f"{index:0{len(match['index'])}}{match['of'] or ''}"


def _names(files: Iterable[Path]) -> str:
    """Return the names of files, of many only the first."""
    names = [file.name for file in files]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
