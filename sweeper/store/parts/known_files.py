"""The results of the checks of a store's files, kept in the user's cache folder for later looks at the store."""

import json
import threading
from collections.abc import Collection
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from sweeper.files import read_cached_text, write_cache
from sweeper.spec.records import ident
from sweeper.store.parts.objects import ObjectInfo

FORMAT = 2  # of the cache file; one in another format, of another version of Sweeper, is read as if it were missing
FileState = tuple[int, int, int, int]  # size in bytes, time of modification and of change in ns, inode


class KnownFile(NamedTuple):
    """A file or an object of a bucket that was checked, and what it was found to have."""

    state: FileState  # at that time
    pieces: bytes  # the table of its pieces
    columns: tuple[str, ...]
    originals: str = ""  # of a compacted part: the digests of its original parts
    problem: str = ""  # why its rows can't be read although it has its digest

    @classmethod
    def damaged(cls, state: FileState, problem: str) -> "KnownFile":
        """Return a file of which nothing is known but what is wrong with it."""
        return cls(state, b"", (), problem=problem)


class KnownFiles:
    """The known files of one store, by their path in it. Many threads may use one object."""

    def __init__(self, file: Path):
        self._file = file
        self._changed = False
        self._lock = threading.Lock()

    def find(self, path: str, state: FileState) -> KnownFile | None:
        """Return what is known of a file; None if it was never checked or has changed since."""
        with self._lock:
            known = self._known.get(path)
        return known if known and known.state == state else None

    def has(self, path: str) -> bool:
        """Return True if a file was checked, in any state."""
        with self._lock:
            return path in self._known

    def add(self, path: str, known: KnownFile) -> None:
        """Remember a file."""
        with self._lock:
            self._known[path] = known
            self._changed = True

    def add_problem(self, path: str, problem: str) -> None:
        """Remember why a known file can't be read, until it changes."""
        with self._lock:
            if known := self._known.get(path):
                self._known[path] = known._replace(problem=problem)
                self._changed = True

    def forget(self, path: str) -> None:
        """Forget a file."""
        with self._lock:
            self._changed |= self._known.pop(path, None) is not None

    def save(self, paths: Collection[str]) -> None:
        """Write what is known of the files with these paths, if it has changed; forget all others."""
        with self._lock:
            if not self._changed and len(self._known) <= len(paths):
                return
            self._known = {path: known for path in paths if (known := self._known.get(path))}
            self._changed = False
            columns = list({known.columns for known in self._known.values()})
            numbers = {names: number for number, names in enumerate(columns)}
            files = {
                path: [*known.state, numbers[known.columns], known.pieces.hex(), known.originals, known.problem]
                for path, known in self._known.items()
            }
        write_cache(self._file, json.dumps({"format": FORMAT, "columns": columns, "files": files}))

    @cached_property
    def _known(self) -> dict[str, KnownFile]:
        return self._read()

    def _read(self) -> dict[str, KnownFile]:
        """Read the known files; none if there is no valid cache file of this format."""
        with suppress(OSError, ValueError, TypeError, KeyError, IndexError):
            content = json.loads(read_cached_text(self._file))
            if content["format"] != FORMAT:
                return {}
            columns = [tuple(names) for names in content["columns"]]
            return {
                path: KnownFile((size, modified, changed, inode), bytes.fromhex(pieces), columns[number], *texts)
                for path, (size, modified, changed, inode, number, pieces, *texts) in content["files"].items()
            }
        return {}


def file_state(file: Path) -> FileState:
    """Return the state of a file, which differs after any change to it.

    Raises:
        OSError: There is no such file.
    """
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def object_state(info: ObjectInfo) -> FileState:
    """Return the state of an object of a bucket, which differs after any change to it."""
    return info.size, int(ident.digest(info.stamp.encode())[:15], 16), 0, 0
