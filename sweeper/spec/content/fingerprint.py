"""Digests of data sets in files, which depend on the files' content and not on the folder's path.

The digest is the SHA-256 over each file's name (relative to the folder) and the SHA-256 of its bytes. Digests of files
are cached in the user's cache folder by path, size, time of modification, time of change and inode, so that a machine
reads a large data set once, and notices a file that was replaced or rewritten with its old size and time. The cache
only saves time: without it, or if it is damaged, the files are read again.
"""

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sweeper.errors import DataError
from sweeper.files import cache_folder, read_cached_text, write_cache
from sweeper.spec.records import ident

# A file changed this shortly before it was read may change again within the same tick of the file system's clock, so
# its digest is not remembered.
SETTLED_NS = 2_000_000_000

READING = "reading files"  # the step of which `fingerprint` reports the progress
PROGRESS_EVERY = 16  # files between two reports

Progress = Callable[[str, int, int], None]  # called with a step of the work, the things done and the number of things

FileState = tuple[int, int, int, int]  # size in bytes, mtime and ctime in ns, inode
FileDigest = tuple[FileState, str]  # and SHA-256
Cache = dict[str, FileDigest]  # by relative name


def fingerprint(folder: Path, files: Iterable[Path], progress: Progress | None = None) -> str:
    """Return the digest of files of a folder: 64 hexadecimal digits.

    Args:
        folder: The folder.
        files: Files in the folder or below.
        progress: Called with `READING` and the numbers of files read so far and of files to read, which are those
            without a digest in the cache.

    Raises:
        DataError: A file can't be read.
    """
    folder = folder.absolute()
    prefix = str(folder).rstrip("/") + "/"  # `Path.relative_to` takes 20 us, which counts for a million files
    cache = _read_cache(folder)
    digests: Cache = {}
    unread: list[str] = []
    for file in files:
        name = str(file.absolute()).removeprefix(prefix)
        if (cached := cache.get(name)) and cached[0] == _state_of(file):
            digests[name] = cached
        else:
            unread.append(name)
    for done, name in enumerate(unread, start=1):
        digests[name] = _read_digest(folder / name)
        if progress and (done % PROGRESS_EVERY == 0 or done == len(unread)):
            progress(READING, done, len(unread))
    if digests != cache:
        _write_cache(folder, digests)
    lines = (f"{name}\0{digest}\n" for name, (_, digest) in sorted(digests.items()))
    return ident.digest("".join(lines).encode("utf-8", "surrogateescape"))


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file's bytes, from the cache if the file has not changed.

    Raises:
        DataError: The file can't be read.
    """
    file = file.absolute()
    cache = _read_cache(file)
    cached = cache.get("")
    digests = {"": cached if cached and cached[0] == _state_of(file) else _read_digest(file)}
    if digests != cache:
        _write_cache(file, digests)
    return digests[""][1]


def _state_of(file: Path) -> FileState | None:
    """Return the state of a file, None if there is no such file."""
    try:
        return _state(file)
    except OSError:
        return None


def _read_digest(file: Path) -> FileDigest:
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # reading a named pipe would wait for a writer
            raise DataError(f"{file} is not a regular file")
        before = _state(file)
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        after = _state(file)
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror}") from None
    if before != after:
        raise DataError(f"{file} changed while it was read")
    return after, digest


def _state(file: Path) -> FileState:
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _cache_file(folder: Path) -> Path:
    return cache_folder() / "fingerprints" / f"{ident.digest(os.fsencode(folder))[:32]}.json"


def _read_cache(folder: Path) -> Cache:
    try:
        raw = json.loads(read_cached_text(_cache_file(folder)))
        return {str(name): (_as_state(state), str(digest)) for name, (state, digest) in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _as_state(numbers: Iterable[int]) -> FileState:
    size, mtime, ctime, inode = map(int, numbers)
    return size, mtime, ctime, inode


def _write_cache(folder: Path, digests: Cache) -> None:
    newest = time.time_ns() - SETTLED_NS
    settled = {name: entry for name, entry in digests.items() if max(entry[0][1:3]) < newest}
    write_cache(_cache_file(folder), json.dumps(settled))
