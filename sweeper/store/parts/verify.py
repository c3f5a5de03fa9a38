"""Which parts can be believed: those whose size and SHA-256 are the ones in their name.

Digests are compared on every look, not remembered by time of change. Page checksums alone would not do for what rots
afterwards: they leave out page headers, where 2 of 800 flipped bits gave wrong rows in silence (pyarrow 26). A core
hashes 1.5 GB/s, a million stitches are 0.1 to 0.3 GB.

Parts of a bucket are copied into the user's cache folder; queries read the copies, whose digests are compared like any
other's. The folder can be deleted at any time.
"""

import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from sweeper.spec.records import ident
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Folder, Found, Objects

_LOCAL_THREADS, _BUCKET_THREADS = 4, 32

_STALE = 3600.0  # seconds after which the copy of a part that is gone can't be of a query that still runs


class Part(NamedTuple):
    """A checked part, and the file that queries read: the part itself, or its copy where it lies in a bucket.

    A gathered one holds the rows of many parts, each row with the name of its part.
    """

    name: store_paths.PartName
    file: Path
    gathered: bool = False


class Damage(NamedTuple):
    """A part (or weights) that is left out, and why."""

    part: str
    reason: str


class Checked(NamedTuple):
    """The parts of a store, sorted by path."""

    good: list[Part]
    bad: list[Damage]


class Verifier:
    """Lists and checks the parts of one store."""

    def __init__(self, objects: Objects):
        self.objects = objects
        self.folder = cache_folder() / "stores" / hashlib.sha256(objects.url.encode()).hexdigest()[:16]

    def check(self) -> Checked:
        """Every part under `rows/`, good or bad. Other files (a leftover of some tool) are not parts.

        Raises StoreError where the store can't be reached.
        """
        listed = [found for found in self.objects.list(store_paths.ROWS) if _is_part(found.path)]
        with ThreadPoolExecutor(_LOCAL_THREADS if isinstance(self.objects, Folder) else _BUCKET_THREADS) as pool:
            results = [result for result in pool.map(self._one, listed) if result]
        good = [result for result in results if isinstance(result, Part)]
        if not isinstance(self.objects, Folder):
            _forget(self.folder, {part.file for part in good})
        return Checked(good, [result for result in results if isinstance(result, Damage)])

    def _one(self, found: Found) -> Part | Damage | None:
        """None for a part that vanished since it was listed (another process set it aside)."""
        name = store_paths.parse_part(found.path)
        if name is None:
            return Damage(found.path, "its name doesn't say its size and digest")
        if found.size != name.size:
            return Damage(found.path, f"it has {found.size} bytes where its name says {name.size}")
        with suppress(FileNotFoundError):
            if isinstance(self.objects, Folder):
                return _compare(name, self.objects.read(name.path)) or Part(name, self.objects.root / name.path)
            return self._copied(name)
        return None

    def _copied(self, name: store_paths.PartName) -> Part | Damage:
        file = self.folder / name.path
        with suppress(OSError):
            if _compare(name, file.read_bytes()) is None:
                return Part(name, file)
        content = self.objects.read(name.path)
        return _compare(name, content) or Part(name, self._copy(file, content))

    def _copy(self, file: Path, content: bytes) -> Path:
        """Into the cache folder or, where that can't be written, into a folder of this process."""
        try:
            atomically(file, content)
        except OSError:
            file = Path(self._scratch.name) / file.name
            atomically(file, content)
        return file

    @cached_property
    def _scratch(self) -> "tempfile.TemporaryDirectory[str]":
        return tempfile.TemporaryDirectory(prefix="sweeper-")


def cache_folder() -> Path:
    """`$SWEEPER_CACHE`, else `$XDG_CACHE_HOME/sweeper`, else `~/.cache/sweeper`."""
    if folder := os.environ.get("SWEEPER_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sweeper"


def atomically(file: Path, content: bytes) -> None:
    """Replaces a file of the cache folder as a whole. Not durable, as nothing there needs to be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{uuid.uuid4().hex}")
    temporary.write_bytes(content)
    temporary.replace(file)


def by_kind(parts: Iterable[Part], kind: str) -> list[Part]:
    """The parts of one kind."""
    return [part for part in parts if part.name.kind == kind]


def _compare(name: store_paths.PartName, content: bytes) -> Damage | None:
    if len(content) != name.size:
        return Damage(name.path, f"it has {len(content)} bytes where its name says {name.size}")
    digest = ident.digest(content)[: len(name.digest)]
    return Damage(name.path, f"its digest is {digest}, its name says {name.digest}") if digest != name.digest else None


def _is_part(path: str) -> bool:
    hidden = path.rpartition("/")[2].startswith(".")  # what file managers and copying tools leave behind
    return bool(store_paths.kind_of(path)) and path.endswith(".parquet") and not hidden


def _forget(folder: Path, kept: set[Path]) -> None:
    """Removes copies of parts that are gone, and halves of copies."""
    limit = time.time() - _STALE
    for file in folder.glob("rows/*/*"):
        with suppress(OSError):
            if file not in kept and file.stat().st_mtime < limit:
                file.unlink()
