"""The digest of a data set in files: its content, whatever folder it lies in.

SHA-256 over each file's name (relative to the folder) and the SHA-256 of its bytes. Digests of files are remembered in
the user's cache folder by path, size and modification time, so a large set is read once a machine. The memory saves
time and is never trusted with more: one that is torn, old or can't be written is as good as none.
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from sweeper.errors import DataError

# A file changed this shortly before it was read may change again within the same tick of the file system's clock, so
# its digest is not remembered.
SETTLED_NS = 2_000_000_000

Memory = dict[str, tuple[int, int, str]]  # relative name: size, mtime in ns, digest


def fingerprint(folder: Path, files: Iterable[Path]) -> str:
    """The digest of these files of a folder: 64 hexadecimal digits. Raises DataError for a file that can't be read."""
    folder = folder.absolute()
    known = _recall(folder)
    found: Memory = {}
    for file in files:
        name = file.absolute().relative_to(folder).as_posix()
        found[name] = _file_digest(folder / name, known.get(name))
    if found != known:
        _remember(folder, found)
    lines = (f"{name}\0{digest}\n" for name, (_, _, digest) in sorted(found.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_digest(file: Path) -> str:
    """The SHA-256 of a file's bytes, remembered like those of a folder's files. Raises DataError as `fingerprint`."""
    file = file.absolute()
    known = _recall(file)
    found = {"": _file_digest(file, known.get(""))}
    if found != known:
        _remember(file, found)
    return found[""][2]


def cache_folder() -> Path:
    """SWEEPER_CACHE, else `sweeper` in XDG_CACHE_HOME, else ~/.cache/sweeper."""
    if given := os.environ.get("SWEEPER_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sweeper"


def _file_digest(file: Path, known: tuple[int, int, str] | None) -> tuple[int, int, str]:
    try:
        before = file.stat()
        if known and known[:2] == (before.st_size, before.st_mtime_ns):
            return known
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        after = file.stat()
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror}") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise DataError(f"{file} changed while it was read")
    return after.st_size, after.st_mtime_ns, digest


def _memory_file(folder: Path) -> Path:
    return cache_folder() / "fingerprints" / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]}.json"


def _recall(folder: Path) -> Memory:
    try:
        raw = json.loads(_memory_file(folder).read_bytes())
        return {str(name): (int(size), int(mtime), str(digest)) for name, (size, mtime, digest) in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _remember(folder: Path, found: Memory) -> None:
    settled = time.time_ns() - SETTLED_NS
    kept = {name: entry for name, entry in found.items() if entry[1] < settled}
    target = _memory_file(folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, suffix=".tmp", delete=False) as file:
            json.dump(kept, file)
        Path(file.name).replace(target)
    except OSError:
        return  # a full or read-only cache costs time, nothing else
