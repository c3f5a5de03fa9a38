"""Which parts can be believed: those whose size and SHA-256 are the ones in their name.

What was found good is remembered in the user's cache folder, for one look at a digest costs a read of the whole part:
a file is believed again while its size, time of change and footer (which no page checksum covers) stay the same. Parts
of a bucket are copied into the cache folder as they are checked; queries read the copy. The folder can be deleted at
any time.
"""

import hashlib
import json
import os
import struct
import tempfile
import uuid
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sweeper.spec import ident

from . import layout
from .objects import Folder, Found, Objects

LOCAL_THREADS, BUCKET_THREADS = 4, 32


class Part(NamedTuple):
    """A checked part, and the file that queries read: the part itself, or its copy where it lies in a bucket."""

    name: layout.PartName
    file: Path


class Damage(NamedTuple):
    """A part that is left out, and why."""

    part: str
    reason: str


class Checked(NamedTuple):
    good: list[Part]  # sorted by path
    bad: list[Damage]


def cache_folder() -> Path:
    """`$SWEEPER_CACHE`, else `$XDG_CACHE_HOME/sweeper`, else `~/.cache/sweeper`."""
    if folder := os.environ.get("SWEEPER_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sweeper"


class Verifier:
    """Lists and checks the parts of one store."""

    def __init__(self, objects: Objects):
        self.objects = objects
        self.folder = cache_folder() / "stores" / hashlib.sha256(objects.url.encode()).hexdigest()[:16]
        self._memory = _Memory(self.folder / "checked.json")

    def check(self) -> Checked:
        """Every part under `rows/`, good or bad. Other files (a leftover of some tool) are not parts.

        Raises StoreError where the store can't be reached.
        """
        listed = [found for found in self.objects.list(layout.ROWS) if _is_part(found.path)]
        threads = LOCAL_THREADS if isinstance(self.objects, Folder) else BUCKET_THREADS
        with ThreadPoolExecutor(threads) as pool:
            results = [result for result in pool.map(self._one, listed) if result]
        good = [result for result in results if isinstance(result, Part)]
        self._memory.keep({part.name.path for part in good})
        return Checked(good, [result for result in results if isinstance(result, Damage)])

    def _one(self, found: Found) -> Part | Damage | None:
        """None for a part that vanished since it was listed (another process set it aside)."""
        name = layout.parse_part(found.path)
        if name is None:
            return Damage(found.path, "its name doesn't say its size and digest")
        if found.size != name.size:
            return Damage(found.path, f"it has {found.size} bytes where its name says {name.size}")
        with suppress(FileNotFoundError):
            return self._local(name, found) if isinstance(self.objects, Folder) else self._copied(name, found)
        return None

    def _local(self, name: layout.PartName, found: Found) -> Part | Damage:
        assert isinstance(self.objects, Folder)
        file = self.objects.root / name.path
        if self._memory.knows(name.path, found.stamp, file):
            return Part(name, file)
        if damage := _compare(name, file.read_bytes()):
            return damage
        self._memory.add(name.path, found.stamp, file)
        return Part(name, file)

    def _copied(self, name: layout.PartName, found: Found) -> Part | Damage:
        file = self.folder / name.path
        if self._memory.knows(name.path, found.stamp, file):
            return Part(name, file)
        content = self.objects.read(name.path)
        if damage := _compare(name, content):
            return damage
        file = _replace(file, content)
        self._memory.add(name.path, found.stamp, file)
        return Part(name, file)


class _Memory:
    """Good parts by path: what a file looked like when its digest was right. Harmless when lost or unreadable."""

    def __init__(self, file: Path):
        self.file = file
        self._known = _read(file)
        self._changed = False

    def knows(self, path: str, stamp: str, file: Path) -> bool:
        if path not in self._known:
            return False
        with suppress(OSError, struct.error):
            return self._known[path] == f"{stamp} {_footer(file)}"
        return False

    def add(self, path: str, stamp: str, file: Path) -> None:
        self._known[path] = f"{stamp} {_footer(file)}"
        self._changed = True

    def keep(self, paths: set[str]) -> None:
        """Forgets all other parts (and their copies) and writes to disk what is new."""
        for path in self._known.keys() - paths:
            del self._known[path]
            self._changed = True
            with suppress(OSError):
                (self.file.parent / path).unlink()
        if self._changed:
            with suppress(OSError):  # a read-only home: the next process checks again
                atomically(self.file, json.dumps(self._known).encode())
            self._changed = False


def _read(file: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        known = json.loads(file.read_bytes())
        if isinstance(known, dict) and all(isinstance(value, str) for value in known.values()):
            return known
    return {}


def _compare(name: layout.PartName, content: bytes) -> Damage | None:
    if len(content) != name.size:
        return Damage(name.path, f"it has {len(content)} bytes where its name says {name.size}")
    digest = ident.digest(content)[: len(name.digest)]
    return Damage(name.path, f"its digest is {digest}, its name says {name.digest}") if digest != name.digest else None


def _footer(file: Path) -> int:
    """The CRC-32 of a Parquet file's footer: its last 8 bytes say how long it is."""
    with file.open("rb") as opened:
        opened.seek(-8, os.SEEK_END)
        (length,) = struct.unpack("<I4x", opened.read(8))
        opened.seek(-8 - length, os.SEEK_END)
        return zlib.crc32(opened.read())


def _is_part(path: str) -> bool:
    hidden = path.rpartition("/")[2].startswith(".")  # what file managers and copying tools leave behind
    return bool(layout.kind_of(path)) and path.endswith(".parquet") and not hidden


def _replace(file: Path, content: bytes) -> Path:
    """Writes a copy into the cache folder, or where that can't be written, into one for this process."""
    try:
        atomically(file, content)
    except OSError:
        file = Path(_scratch().name) / file.name
        atomically(file, content)
    return file


_scratches: list[tempfile.TemporaryDirectory[str]] = []


def _scratch() -> tempfile.TemporaryDirectory[str]:
    if not _scratches:
        _scratches.append(tempfile.TemporaryDirectory(prefix="sweeper-"))
    return _scratches[0]


def atomically(file: Path, content: bytes) -> None:
    """Replaces a file of the cache folder as a whole. Not durable, as nothing there needs to be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{uuid.uuid4().hex}")
    temporary.write_bytes(content)
    temporary.replace(file)


def by_kind(parts: Iterable[Part], kind: str) -> list[Part]:
    """The parts of one kind."""
    return [part for part in parts if part.name.kind == kind]
