"""The check of the weights of a store, which is made once on a machine, and again when a file has changed.

The files of a local store are hashed like parts. As weights may be a hundred times as large as the rows, a look hashes
at most a gigabyte of files that this machine hasn't checked yet, and believes the others until a later look; a file
that has changed is always hashed, because weights are never written again. Weights in a bucket are believed until a
worker reads them. Whoever reads weights compares their digest (`Store.get_weights`).
"""

import errno
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sweeper.store.parts import store_paths
from sweeper.store.parts.known_files import FileState, KnownFile, KnownFiles, file_state
from sweeper.store.parts.objects import Folder, ObjectInfo, Objects
from sweeper.store.parts.verify import Damage

_BYTES_A_LOOK = 1 << 30  # a core hashes them in 0.7 s, and a network file system of 100 MB/s reads them in 10 s
_THREADS = 4


class CheckedWeights(NamedTuple):
    """The digests of the weights that a store holds, and its damaged files of weights."""

    digests: set[str]
    damaged: list[Damage]


class SoundWeights:
    """The check of the weights of one store."""

    def __init__(self, objects: Objects, folder: Path):
        self.objects = objects
        self._known_files = KnownFiles(folder / "known_weights.json")

    def check(self) -> CheckedWeights:
        """Check the weights of the store; files that other tools left among them are ignored.

        Raises:
            StoreError: The store can't be reached.
        """
        infos = [info for info in self.objects.list(store_paths.WEIGHTS) if store_paths.parse_weights(info.path)]
        digests = {store_paths.parse_weights(info.path) or "" for info in infos}
        if not isinstance(self.objects, Folder):
            return CheckedWeights(digests, [])
        self._hash(self.objects.root, list(self._to_hash(self.objects.root, infos)))
        self._known_files.save({info.path for info in infos})
        damaged = [damage for info in infos if (damage := self._damage(self.objects.root, info))]
        return CheckedWeights(digests - {store_paths.parse_weights(damage.path) for damage in damaged}, damaged)

    def _to_hash(self, root: Path, infos: list[ObjectInfo]) -> Iterator[str]:
        """Yield the paths of the files that changed, and of as many unknown ones as a look hashes."""
        bytes_left = _BYTES_A_LOOK
        for info in infos:
            with suppress(FileNotFoundError):
                if self._known_files.find(info.path, _state(root / info.path)):
                    continue
                if not self._known_files.has(info.path):
                    if bytes_left < 0:
                        continue
                    bytes_left -= info.size
                yield info.path

    def _hash(self, root: Path, paths: list[str]) -> None:
        """Hash files, and remember which of them are damaged."""
        with ThreadPoolExecutor(_THREADS) as pool:
            for path, known in zip(paths, pool.map(lambda path: _read(root / path, path), paths), strict=True):
                if known:
                    self._known_files.add(path, known)

    def _damage(self, root: Path, info: ObjectInfo) -> Damage | None:
        with suppress(FileNotFoundError):
            known = self._known_files.find(info.path, _state(root / info.path))
            return Damage(info.path, known.problem) if known and known.problem else None
        return None


def _state(file: Path) -> FileState:
    """Return the state of a file; zeros for a loop of links, which has none.

    Raises:
        FileNotFoundError: There is no such file any more.
    """
    try:
        return file_state(file)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return 0, 0, 0, 0


def _read(file: Path, path: str) -> KnownFile | None:
    """Read a file of weights and return its state and what is wrong with it; None if it can't be told."""
    state = (0, 0, 0, 0)
    try:
        state = _state(file)
        if not file.is_file():  # opening a named pipe would wait for a writer for ever
            return KnownFile(state, b"", (), problem="it is not a regular file")
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        if error.errno == errno.EIO:
            return KnownFile(state, b"", (), problem=f"its disk can't read it: {error.strerror}")
        return None  # it has gone, or this user may not read it; who needs it says so
    is_sound = digest == store_paths.parse_weights(path)
    problem = "" if is_sound else "its content has another digest than its name"
    return KnownFile(state, b"", (), problem=problem)
