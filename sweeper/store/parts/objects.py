"""Object storage of a store: a folder or a bucket, as one flat namespace of whole objects.

Both guarantee: `create` makes an object appear whole or not at all, and never replaces another one (put-if-absent).
When it returns, the object survives a crash. No object is modified in place.

A folder is accessed with plain system calls: obstore's `LocalStore` creates atomically (hard link) but never calls
fsync (seen with strace, obstore 0.12.1), so after a power loss a published object could be empty.
"""

import errno
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import ObjectStore, from_url

from sweeper.errors import StoreError
from sweeper.store.parts import store_paths

# Long enough that a worker keeps its rows through a minute without network, short enough to report a wrong endpoint.
_RETRIES = timedelta(seconds=60)


class ObjectInfo(NamedTuple):
    """An object as listed. `stamp` changes when the content does (ETag, or time of change where there is none)."""

    path: str
    size: int
    stamp: str
    modified: datetime


class Objects(Protocol):
    """A flat namespace of objects. Paths are relative, with '/'. A missing object raises FileNotFoundError."""

    url: str

    def create(self, path: str, content: bytes) -> bool:
        """Create an object if there is none at this path (put-if-absent); return False if there is one."""
        ...

    def read(self, path: str) -> bytes: ...

    def list(self, prefix: str) -> list[ObjectInfo]:
        """List the objects under a prefix that ends in '/', sorted by path."""
        ...

    def delete(self, path: str) -> None:
        """Delete an object; a missing one is no error."""
        ...

    def move(self, path: str, to: str) -> None:
        """Move an object to another path and replace an object that is there."""
        ...


def open_objects(url: str) -> Objects:
    """Return the objects at a folder's path, a file:// URL or a bucket's URL (s3://, gs://, az://).

    Buckets take their credentials, region and endpoint from the environment (AWS_ACCESS_KEY_ID,
    AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME, ...) or the machine's role.

    Raises:
        StoreError: if the URL is none of these.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return Folder(Path(url))
    if scheme == "file":
        return Folder(Path(rest.removeprefix("localhost")))
    try:
        return Bucket(url, from_url(url, retry_config={"retry_timeout": _RETRIES}))
    except (BaseError, ValueError) as error:
        raise StoreError(f"{url} can't be opened as a store: {_brief(error)}; a store is a folder or a URL") from error


class Folder:
    """A folder of a local or shared file system."""

    def __init__(self, root: Path):
        self.root = root.expanduser().absolute()
        self.url = str(self.root)

    def create(self, path: str, content: bytes) -> bool:
        target = self.root / path
        with self._named_errors():
            _make(target.parent)
            temporary = self._write(content)
            try:
                return _link(temporary, target, content)
            finally:
                temporary.unlink()
                _sync(target.parent)

    def read(self, path: str) -> bytes:
        with self._named_errors():
            return (self.root / path).read_bytes()

    def list(self, prefix: str) -> list[ObjectInfo]:
        with self._named_errors():
            return sorted(self._walk(self.root / prefix, prefix))

    def delete(self, path: str) -> None:
        with self._named_errors():
            (self.root / path).unlink(missing_ok=True)

    def move(self, path: str, to: str) -> None:
        target = self.root / to
        with self._named_errors():
            _make(target.parent)
            (self.root / path).replace(target)
            _sync(target.parent)

    def clean(self, age: float) -> None:
        """Remove files in `tmp/` that are older than `age` seconds: killed processes left them."""
        limit = datetime.now(UTC).timestamp() - age
        for info in self.list(store_paths.TEMPORARY):
            if info.modified.timestamp() < limit:
                self.delete(info.path)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Turn errors of the file system (a full disk, missing rights) into a StoreError for the user."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(*error.args, error.filename) from None
        except OSError as error:
            raise StoreError(f"the store {self.url} can't be reached: {error}") from error

    def _write(self, content: bytes) -> Path:
        temporary = self.root / store_paths.TEMPORARY / uuid.uuid4().hex
        _make(temporary.parent)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return temporary

    def _walk(self, folder: Path, prefix: str) -> Iterator[ObjectInfo]:
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # moved or deleted since it was listed
                    if entry.is_dir():
                        yield from self._walk(Path(entry.path), f"{prefix}{entry.name}/")
                    else:
                        status = entry.stat()
                        modified = datetime.fromtimestamp(status.st_mtime, UTC)
                        yield ObjectInfo(prefix + entry.name, status.st_size, str(status.st_mtime_ns), modified)


class Bucket:
    """A bucket, or a prefix in one. Put-if-absent is one conditional PUT; objects are durable when it returns."""

    def __init__(self, url: str, store: ObjectStore):
        self.url = url.rstrip("/")
        self.store = store

    def create(self, path: str, content: bytes) -> bool:
        with self._reaching():
            try:
                obstore.put(self.store, path, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

    def read(self, path: str) -> bytes:
        with self._reaching():
            return bytes(obstore.get(self.store, path).bytes())

    def list(self, prefix: str) -> list[ObjectInfo]:
        with self._reaching():
            metas = [meta for chunk in obstore.list(self.store, prefix) for meta in chunk]
        return sorted(
            ObjectInfo(m["path"], m["size"], m["e_tag"] or m["last_modified"].isoformat(), m["last_modified"])
            for m in metas
        )

    def delete(self, path: str) -> None:
        with self._reaching(), suppress(FileNotFoundError):
            obstore.delete(self.store, path)

    def move(self, path: str, to: str) -> None:
        with self._reaching():
            obstore.copy(self.store, path, to)
            obstore.delete(self.store, path)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" not in str(error):
                raise
            raise StoreError(f"the store {self.url} can't be reached: there is no such bucket") from None
        except BaseError as error:
            raise StoreError(f"the store {self.url} can't be reached: {_brief(error)}") from error


def _link(temporary: Path, target: Path, content: bytes) -> bool:
    try:
        os.link(temporary, target)
    except FileExistsError:
        # On NFS a repeated request reports that its own first one was there: then the file has two names.
        return temporary.stat().st_nlink == 2
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        return _exclusive(target, content)
    return True


def _exclusive(target: Path, content: bytes) -> bool:
    """Create a file on a file system without hard links.

    It never replaces another file either, but a killed process may leave a truncated one, which its digest reveals.
    """
    try:
        with target.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def _make(folder: Path) -> None:
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Make the names in a folder durable, which the fsync of a file does not do."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _brief(error: Exception) -> str:
    """Return an object store's error without its "Debug source" and without URL queries, which may hold secrets."""
    return re.sub(r"\?\S+", "", str(error).split("\n\nDebug source")[0].strip())
