"""The files to which DuckDB moves what doesn't fit into the memory of a query.

DuckDB lets a query read and write its temporary folder, even with external access switched off. So the folder is on a
file system of our own, which serves only DuckDB's buffer manager: files are opened under its names and in its modes
(for reading and writing at once; large single blocks are written once and then read), and no file is listed, without
which a query finds none. Whatever a query does here is gone with its connection.
"""

import io
import os
import re
import shutil
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

from sweeper.store.query.shared_file import SharedFile

PROTOCOL = "scratch"
URL = f"{PROTOCOL}://query"  # of the temporary folder

_STORAGE = re.compile(rf"{URL}/(duckdb_temp_\w+-\d+\.tmp)")
_BLOCK = re.compile(rf"{URL}/(duckdb_temp_\w+-\d+\.block)")
_OWNER = re.compile(rf"{URL}/duckdb_temp_\w+_owner")  # DuckDB writes it to mark the folder as in use; it stays empty


class ScratchFiles(AbstractFileSystem):
    """A temporary folder on disk, which is made when the first file is, and deleted with this object."""

    protocol = PROTOCOL
    cachable = False  # fsspec would return one object for all connections

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._folder: Path | None = None

    def open(self, path: str, mode: str = "rb", *_: Any, **__: Any) -> Any:
        """Open a file as the buffer manager does.

        Raises:
            PermissionError: It is opened as a query does.
        """
        if mode == "wb" and _OWNER.fullmatch(path):
            return io.BytesIO()
        flags = {"rb+": os.O_RDWR | os.O_CREAT, "wb": os.O_RDWR | os.O_CREAT | os.O_TRUNC, "rb": os.O_RDONLY}
        match = (_STORAGE if mode == "rb+" else _BLOCK).fullmatch(path)
        if mode not in flags or not match:
            raise PermissionError(f"{path}: queries only read the store")
        return ScratchFile(self._made_folder() / match[1], flags[mode])

    def touch(self, path: str, truncate: bool = True, **_: Any) -> None:
        """Make an empty file of the buffer manager.

        Raises:
            PermissionError: The path is not that of such a file.
        """
        self.open(path, "rb+").close()

    def rm_file(self, path: str) -> None:
        """Delete a file; a missing one is no error."""
        if self._folder and (match := _STORAGE.fullmatch(path) or _BLOCK.fullmatch(path)):
            (self._folder / match[1]).unlink(missing_ok=True)

    def rm(self, path: str, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Delete a file."""
        self.rm_file(path)

    def isdir(self, path: str) -> bool:
        """Return True for the temporary folder."""
        return path.rstrip("/") == URL

    def isfile(self, path: str) -> bool:
        """Return True for a file of the buffer manager; single blocks are not shown."""
        match = _STORAGE.fullmatch(path)
        return bool(self._folder and match and (self._folder / match[1]).exists())

    def exists(self, path: str, **_: Any) -> bool:
        """Return True for the folder and its files."""
        return self.isdir(path) or self.isfile(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """Return nothing, as queries don't see these files."""
        return []

    def glob(self, path: str, maxdepth: int | None = None, **_: Any) -> list[str]:
        """Return nothing, as queries don't see these files."""
        return []

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        """Do nothing: the folder is made with its first file."""

    def delete_folder(self) -> None:
        """Delete the folder and all files in it."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _made_folder(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="sweeper-query-"))
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
                _living[id(self)] = self
            return self._folder


class ScratchFile(SharedFile):
    """A file of the buffer manager."""

    def writable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, fewer at the end of the file."""
        start = self.tell()
        content = self.read_range(start, self.size() if size is None or size < 0 else start + size)
        self.seek(start + len(content))
        return content

    def write(self, content: Any, /) -> int:
        """Write all bytes of a content and return their number."""
        start = self.tell()
        written = self.write_range(start, memoryview(content).cast("B"))
        self.seek(start + written)
        return written

    def truncate(self, size: int | None = None, /) -> int:
        """Set the size of the file and return it."""
        size = self.tell() if size is None else size
        os.ftruncate(self._descriptor, size)
        return size


# The objects of this process that have a folder, by `id`: fsspec's own hash of an object needs one that is cached.
_living: "weakref.WeakValueDictionary[int, ScratchFiles]" = weakref.WeakValueDictionary()


def delete_all() -> None:
    """Delete the folders of this process, before it ends without Python's own end."""
    for files in list(_living.values()):
        files.delete_folder()
