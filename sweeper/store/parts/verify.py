"""Verification of parts: a part is valid if its size and SHA-256 are those in its name.

Digests are compared at every access, because the time of change of a file doesn't show that a bit flipped. Checksums of
pages alone would not detect all damage: they don't cover page headers, where 2 of 800 flipped bits gave wrong rows
without an error (pyarrow 26). A core hashes 1.5 GB/s; a million stitches have 0.1 to 0.3 GB.

Parts of a bucket are copied into the user's cache folder. Queries read the copies, whose digests are compared too. The
folder can be deleted at any time.
"""

import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from sweeper.files import cache_folder, write_atomically, write_with_folders
from sweeper.spec.records import ident
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Folder, ObjectInfo, Objects

_LOCAL_THREADS, _BUCKET_THREADS = 4, 32

# Cached files that are no longer needed are deleted only at this age, because a running query may still read them.
CACHE_GRACE_SECONDS = 3600.0


class VerifiedPart(NamedTuple):
    """A checked part and the file that queries read: the part itself, or a local copy if the store is in a bucket.

    A gathered part contains the rows of many parts, each row with the path of its part.
    """

    name: store_paths.PartName
    file: Path
    gathered: bool = False


class Damage(NamedTuple):
    """The path of a damaged part or weights file, and the reason why it is not used."""

    path: str
    reason: str


class CheckedParts(NamedTuple):
    """The valid and the damaged parts of a store, each sorted by path."""

    valid: list[VerifiedPart]
    damaged: list[Damage]


class Verifier:
    """The check of the parts of one store."""

    def __init__(self, objects: Objects):
        self.objects = objects
        self.folder = cache_folder() / "stores" / ident.digest(objects.url.encode())[:16]

    def check(self) -> CheckedParts:
        """Check every part under `rows/`; files that other tools left there are ignored.

        Raises:
            StoreError: If the store can't be reached.
        """
        part_infos = [info for info in self.objects.list(store_paths.ROWS) if _is_part(info.path)]
        with ThreadPoolExecutor(_LOCAL_THREADS if isinstance(self.objects, Folder) else _BUCKET_THREADS) as pool:
            results = [result for result in pool.map(self._check_part, part_infos) if result]
        valid = [result for result in results if isinstance(result, VerifiedPart)]
        if not isinstance(self.objects, Folder):
            _delete_old_copies(self.folder, {part.file for part in valid})
        return CheckedParts(valid, [result for result in results if isinstance(result, Damage)])

    def _check_part(self, info: ObjectInfo) -> VerifiedPart | Damage | None:
        """Check one part; return None if another process moved it away after it was listed."""
        name = store_paths.parse_part(info.path)
        if name is None:
            return Damage(info.path, "its name doesn't contain its size and digest")
        if info.size != name.size:
            return Damage(info.path, f"it has {info.size} bytes, but its name says {name.size}")
        with suppress(FileNotFoundError):
            if isinstance(self.objects, Folder):
                return _compare(name, self.objects.read(name.path)) or VerifiedPart(name, self.objects.root / name.path)
            return self._check_copy(name)
        return None

    def _check_copy(self, name: store_paths.PartName) -> VerifiedPart | Damage:
        """Check the local copy of a part of a bucket; copy the part if there is no valid copy."""
        file = self.folder / name.path
        with suppress(OSError):
            if _compare(name, file.read_bytes()) is None:
                return VerifiedPart(name, file)
        content = self.objects.read(name.path)
        return _compare(name, content) or VerifiedPart(name, self._copy(file, content))

    def _copy(self, file: Path, content: bytes) -> Path:
        """Copy a part into the cache folder or, if that can't be written, into a temporary folder of this process."""
        try:
            write_with_folders(file, content)
        except OSError:
            file = Path(self._scratch.name) / file.name
            write_atomically(file, content)
        return file

    @cached_property
    def _scratch(self) -> "tempfile.TemporaryDirectory[str]":
        return tempfile.TemporaryDirectory(prefix="sweeper-")


def by_kind(parts: Iterable[VerifiedPart], kind: str) -> list[VerifiedPart]:
    """Return the parts of one kind."""
    return [part for part in parts if part.name.kind == kind]


def _compare(name: store_paths.PartName, content: bytes) -> Damage | None:
    """Compare the content of a part with the size and digest in its name; return the damage, if any."""
    if len(content) != name.size:
        return Damage(name.path, f"it has {len(content)} bytes, but its name says {name.size}")
    digest = ident.digest(content)[: len(name.digest)]
    if digest != name.digest:
        return Damage(name.path, f"its digest is {digest}, but its name says {name.digest}")
    return None


def _is_part(path: str) -> bool:
    hidden = path.rpartition("/")[2].startswith(".")  # file managers and copying tools create such files
    return bool(store_paths.kind_of(path)) and path.endswith(".parquet") and not hidden


def _delete_old_copies(folder: Path, current_files: set[Path]) -> None:
    """Delete old copies of parts that no longer exist, and old incomplete copies."""
    limit = time.time() - CACHE_GRACE_SECONDS
    for file in folder.glob("rows/*/*"):
        with suppress(OSError):
            if file not in current_files and file.stat().st_mtime < limit:
                file.unlink()
