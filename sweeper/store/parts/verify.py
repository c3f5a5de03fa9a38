"""Verification of parts: a part is valid if its size, its SHA-256 and its columns are those that its name promises.

A part is read whole when it is first seen on a machine, and again when its file has changed (size, times, inode). The
digests of its pieces, which are then kept in the user's cache folder, verify every later read
(`query/verified_file.py`). So a look at a store costs one `stat` a part, and a bit that flips later is found when a
query reads its piece. A core hashes 1.5 GB/s.

Small parts of a bucket are copied into the user's cache folder, and the copies are verified in the same way. Of a large
compacted part only the tail is fetched and verified (`tail.py`), and queries fetch the pieces that they need
(`query/bucket_file.py`); if one doesn't have its digest, the next check reads the part whole. The folder can be deleted
at any time.
"""

import errno
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from sweeper.errors import StoreError
from sweeper.files import cache_folder, write_atomically, write_with_folders
from sweeper.spec.records import ident
from sweeper.store.parts import compacted, store_paths
from sweeper.store.parts.content_check import check_content, check_tail, wrong_digest
from sweeper.store.parts.known_files import KnownFile, KnownFiles, file_state, object_state
from sweeper.store.parts.objects import Bucket, Folder, ObjectInfo, Objects

_LOCAL_THREADS, _BUCKET_THREADS = 4, 32

COPIED_WHOLE = 1 << 20  # bytes; a part of a bucket up to this size is copied by one request

# Cached files that are no longer needed are deleted only at this age, because a running query may still read them.
CACHE_GRACE_SECONDS = 3600.0


class VerifiedPart(NamedTuple):
    """A checked part and the file that queries read: the part itself, or a local copy if the store is in a bucket.

    A copy has the whole part or, if `bucket` is given, those of its pieces that were fetched from there so far.

    Compacted and gathered parts contain the rows of many original parts, each row with the path of its original part in
    the column `part`.
    """

    name: store_paths.PartName
    file: Path
    pieces: bytes  # the table of its pieces (`pieces.piece_table`)
    columns: tuple[str, ...]
    gathered: bool = False
    originals: str = ""  # of a compacted or gathered part: the digests of its original parts (`compacted.py`)
    hidden: frozenset[str] = frozenset()  # the digests of those whose rows are not read from this part
    bucket: Bucket | None = None


# Takes a part and its whole content.
UseContent = Callable[[VerifiedPart, bytes], None]


class Damage(NamedTuple):
    """The path of a damaged part or weights file, and the reason why it is not used."""

    path: str
    reason: str


class ReplacedPart(NamedTuple):
    """A part whose rows are all in compacted parts. It may be damaged."""

    name: store_paths.PartName
    originals: str  # as of a `VerifiedPart`


class CheckedParts(NamedTuple):
    """The parts of a store, each list sorted by path. A replaced part is in no other list."""

    valid: list[VerifiedPart]
    damaged: list[Damage]
    replaced: list[ReplacedPart]


class Verifier:
    """The check of the parts of one store."""

    def __init__(self, objects: Objects):
        self.objects = objects
        self.folder = cache_folder() / "stores" / ident.digest(objects.url.encode())[:16]
        self._known_files = KnownFiles(self.folder / "known_files.json")
        self._must_read_whole: set[str] = set()  # paths of parts of which a tail with its digest isn't enough

    def check(
        self,
        *,
        anew: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
        use: UseContent = lambda part, content: None,
    ) -> CheckedParts:
        """Check every part under `rows/`; files that other tools left there are ignored.

        Args:
            anew: True reads every part whole again, those of a bucket from the bucket.
            progress: Is told the number of parts that were checked so far, and of all parts.
            use: Is given each part that was read whole and is valid, with its content; by several threads.

        Raises:
            StoreError: If the store can't be reached, or a later version of Sweeper has written a part.
        """
        part_infos = [info for info in self.objects.list(store_paths.ROWS) if _is_part(info.path)]
        results: list[VerifiedPart | Damage] = []
        with ThreadPoolExecutor(_LOCAL_THREADS if isinstance(self.objects, Folder) else _BUCKET_THREADS) as pool:
            checks = pool.map(partial(self._check_part_anew if anew else self._check_part, use=use), part_infos)
            for number, result in enumerate(checks):
                progress(number, len(part_infos))
                results += [result] if result else []
        valid = [result for result in results if isinstance(result, VerifiedPart)]
        self._known_files.save({info.path for info in part_infos})
        if not isinstance(self.objects, Folder):
            _delete_old_copies(self.folder, {part.file for part in valid})
        return _without_replaced(valid, [result for result in results if isinstance(result, Damage)])

    def _check_part_anew(self, info: ObjectInfo, use: UseContent) -> VerifiedPart | Damage | None:
        """Check one part as if it and its local copy had never been seen."""
        self.forget(info.path)
        if not isinstance(self.objects, Folder):
            with suppress(OSError):
                (self.folder / info.path).unlink()
        return self._check_part(info, use)

    def forget(self, path: str) -> None:
        """Forget that a part was found valid, so that the next check reads it again, and whole."""
        self._known_files.forget(path)
        self._must_read_whole.add(path)

    def add_unreadable(self, part: VerifiedPart, reason: str) -> None:
        """Remember that a valid part can't be read, so that every later check counts it as damaged."""
        self._known_files.add_problem(part.name.path, reason)

    def _check_part(self, info: ObjectInfo, use: UseContent) -> VerifiedPart | Damage | None:
        """Check one part; return None if another process moved it away after it was listed."""
        if not store_paths.kind_of(info.path):
            return Damage(info.path, "it doesn't lie directly in the folder of a kind of rows")
        name = store_paths.parse_part(info.path)
        if name is None:
            return Damage(info.path, "its name doesn't contain its size and digest")
        if info.size != name.size:
            return Damage(info.path, f"it has {info.size} bytes, but its name says {name.size}")
        with suppress(FileNotFoundError):
            if isinstance(self.objects, Bucket):
                return self._check_in_bucket(self.objects, name, info, use)
            assert isinstance(self.objects, Folder), "there are no other objects"
            try:
                return self._check_file(name, self.objects.root / name.path, use)
            except OSError as error:
                if isinstance(error, FileNotFoundError):
                    raise
                if error.errno == errno.EIO:
                    return Damage(info.path, f"its disk can't read it: {error.strerror}")
                raise StoreError(f"the store {self.objects.url} can't be reached: {error}") from error
        return None

    def _check_file(self, name: store_paths.PartName, file: Path, use: UseContent) -> VerifiedPart | Damage:
        """Check a file that has the content of a part; it is read if it isn't known or has changed.

        Raises:
            OSError: It can't be read.
            StoreError: A later version of Sweeper has written it.
        """
        state = file_state(file)
        if known := self._known_files.find(name.path, state):
            return _part_or_damage(name, file, known)
        content = file.read_bytes()
        known = check_content(name, state, content)
        checked = _part_or_damage(name, file, known)
        if isinstance(checked, VerifiedPart):
            self._known_files.add(name.path, known)
            use(checked, content)
        return checked

    def _check_in_bucket(
        self, bucket: Bucket, name: store_paths.PartName, info: ObjectInfo, use: UseContent
    ) -> VerifiedPart | Damage:
        """Check a part of a bucket: a large one with a tail by its tail, unless it must be read whole."""
        if name.tail is None or name.size <= COPIED_WHOLE:
            return self._check_copy(name, use)
        state = object_state(info)
        known = self._known_files.find(name.path, state)
        if name.path in self._must_read_whole and not (known and known.problem):
            checked = self._check_copy(name, use)
            if isinstance(checked, Damage):  # which other processes of this machine need not find out again
                self._known_files.add(name.path, KnownFile.damaged(state, checked.reason))
            return checked
        if known is None:
            content = bucket.read_range(name.path, name.size - name.tail.size, name.size)
            known = check_tail(name, state, content)
            self._known_files.add(name.path, known)
        return _part_or_damage(name, self._partial_copy(name), known, bucket)

    def _check_copy(self, name: store_paths.PartName, use: UseContent) -> VerifiedPart | Damage:
        """Check the local copy of a part of a bucket; copy the part if there is no valid copy."""
        file = self.folder / name.path
        with suppress(OSError):
            checked = self._check_file(name, file, use)
            if isinstance(checked, VerifiedPart) or self._known_files.find(name.path, file_state(file)):
                return checked
        content = self.objects.read(name.path)
        if problem := wrong_digest(name, content):
            return Damage(name.path, problem)
        return self._check_file(name, self._copy(file, content), use)

    def _copy(self, file: Path, content: bytes) -> Path:
        """Copy a part into the cache folder or, if that can't be written, into a temporary folder of this process."""
        try:
            write_with_folders(file, content)
        except OSError:
            file = Path(self._scratch.name) / file.name
            write_atomically(file, content)
        return file

    def _partial_copy(self, name: store_paths.PartName) -> Path:
        """Return the file with the fetched pieces of a part, which is where `_copy` would put the whole part."""
        file = self.folder / name.path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.open("ab").close()
        except OSError:
            file = Path(self._scratch.name) / file.name
        return file

    @cached_property
    def _scratch(self) -> "tempfile.TemporaryDirectory[str]":
        return tempfile.TemporaryDirectory(prefix="sweeper-")


def _part_or_damage(
    name: store_paths.PartName, file: Path, known: KnownFile, bucket: Bucket | None = None
) -> VerifiedPart | Damage:
    if known.problem:
        return Damage(name.path, known.problem)
    return VerifiedPart(name, file, known.pieces, known.columns, originals=known.originals, bucket=bucket)


def by_kind(parts: Iterable[VerifiedPart], kind: str) -> list[VerifiedPart]:
    """Return the parts of one kind."""
    return [part for part in parts if part.name.kind == kind]


def _without_replaced(parts: Sequence[VerifiedPart], damages: Sequence[Damage]) -> CheckedParts:
    """Return the parts from which rows are read, and the damages that matter for them.

    Args:
        parts: All valid parts.
        damages: The damages of all others.
    """
    valid = sorted(
        part._replace(hidden=hidden)
        for kind in {part.name.kind for part in parts}
        for part, hidden in compacted.parts_in_use(by_kind(parts, kind))
    )
    paths = {part.name.path for part in valid}
    replaced = [ReplacedPart(part.name, part.originals) for part in parts if part.name.path not in paths]
    damaged: list[Damage] = []
    for damage in damages:
        name = store_paths.parse_part(damage.path)
        if name and _has_compacted_rows(valid, name):
            replaced.append(ReplacedPart(name, ""))
        else:
            damaged.append(damage)
    return CheckedParts(valid, damaged, sorted(replaced))


def _has_compacted_rows(parts: Iterable[VerifiedPart], name: store_paths.PartName) -> bool:
    """Return True if one of the parts is compacted and has the rows of the part of this name."""
    return any(
        part.originals and name.digest in compacted.split_digests(part.originals) for part in by_kind(parts, name.kind)
    )


def _is_part(path: str) -> bool:
    hidden = path.rpartition("/")[2].startswith(".")  # file managers and copying tools create such files
    return path.endswith(".parquet") and not hidden


def _delete_old_copies(folder: Path, current_files: set[Path]) -> None:
    """Delete old copies of parts that no longer exist, and old incomplete copies."""
    limit = time.time() - CACHE_GRACE_SECONDS
    for file in folder.glob("rows/*/*"):
        with suppress(OSError):
            if file not in current_files and file.stat().st_mtime < limit:
                file.unlink()
