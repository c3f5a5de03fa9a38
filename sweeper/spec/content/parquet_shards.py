"""The shards of a split: what the names of Parquet files say of their number, and whether they are all there, once."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import DataError
from sweeper.spec.content.wording import some_of

_FILE_NAME = re.compile(
    r"""(?P<stem>.*?)
        ([-_. ]?(?P<index>\d{1,7})(?P<of>[-_. ]of[-_. ](?P<total>\d+))?)?
        (?P<hash>[-_.][0-9a-f]{8,64})?                            # a hash of the content
        (\.(snappy|gzip|gz|zstd|zst|brotli|br|lz4|uncompressed))? # a compression
        \.parquet""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Shard:
    """A file of a split with the parts of its name: train-00002-of-00005-0a1b2c3d.parquet has them all."""

    file: Path
    stem: str  # in small letters; the word of a split in most names
    index: int | None
    total: int | None
    hash: str


def shard_of(file: Path) -> Shard:
    """Return a Parquet file with the parts of its name."""
    match = _FILE_NAME.fullmatch(file.name)
    assert match, "every name with the suffix .parquet matches"
    index, total = (None if match[part] is None else int(match[part]) for part in ("index", "total"))
    return Shard(file, match["stem"].lower(), index, total, match["hash"] or "")


def check_shards(files: Sequence[Path], word: str) -> None:
    """Check that the numbered files of a split are all there, and that no file is there twice under two names.

    Raises:
        DataError: They are not.
    """
    for shards in _by_stem(files, word):
        _check_one_numbering(shards, word)
        if shards[0].index is None:
            continue
        if twice := [s for s in shards if sum(s.index == other.index for other in shards) > 1]:
            names = _names([shard for shard in twice if shard.index == twice[0].index])
            raise DataError(f"{_place(shards)} has shard {twice[0].index} of the {word} split more than once: {names}")
        if shards[0].total is not None:
            _check_complete(shards, word, shards[0].total)


def gap_note(split: str, files: Sequence[Path]) -> str:
    """Return a sentence on absent numbers of files whose names don't say how many there are; "" if none is absent."""
    absent = []
    for shards in _by_stem(files, split):
        indices = [shard.index for shard in shards if shard.index is not None and shard.total is None]
        if indices and max(indices) - min(indices) < 10 * len(indices):  # otherwise they are dates or sizes
            absent += sorted({*range(min(indices), max(indices))} - {*indices})
    return f"the numbers of the {split} files have gaps: {some_of(absent)}" if absent else ""


def _by_stem(files: Iterable[Path], word: str) -> list[list[Shard]]:
    """Return the files of a split by their folder and the first part of their names, the word if that is empty."""
    shards: dict[tuple[Path, str], list[Shard]] = defaultdict(list)
    for shard in map(shard_of, files):
        shards[shard.file.parent, shard.stem or word].append(shard)
    return list(shards.values())


def _check_one_numbering(shards: Sequence[Shard], word: str) -> None:
    """Check that files of one stem are numbered in one way: `train.parquet` beside `train-0.parquet` is a second copy.

    Files without a number may be parts if each has a hash in its name.

    Raises:
        DataError: There are several numberings.
    """
    copies: dict[object, list[Shard]] = defaultdict(list)
    for shard in shards:
        whole = shard.index is None and not shard.hash
        copies[shard.file if whole else (shard.index is None, shard.total)].append(shard)
    if len(copies) > 1:
        sets = " and ".join(_names(copy) for copy in copies.values())
        raise DataError(
            f"{_place(shards)} has the {word} split more than once, as {sets}: move all but one of them elsewhere"
        )


def _check_complete(shards: Sequence[Shard], word: str, total: int) -> None:
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


def _place(shards: Sequence[Shard]) -> Path:
    return shards[0].file.parent


def _names(shards: Sequence[Shard]) -> str:
    return some_of([shard.file.name for shard in shards])
