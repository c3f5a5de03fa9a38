"""Where a store's bytes lie: a folder or a bucket, as one flat namespace of whole objects.

What both promise: `create` makes an object appear whole or not at all, never over another one (put-if-absent), and
when it returns the object outlives a crash. Nothing is ever written in place.

A folder is served by plain system calls: obstore's `LocalStore` creates atomically (hard link) but never calls
fsync (seen with strace, obstore 0.12.1), so that after a power loss a published name could stand for no bytes.
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

# A network that is away for a minute must not cost a worker its rows; a wrong endpoint should be known soon.
_RETRIES = timedelta(seconds=60)


class Found(NamedTuple):
    """An object as listed. `stamp` changes when the content does (ETag, or time of change where there is none)."""

    path: str
    size: int
    stamp: str
    modified: datetime


class Objects(Protocol):
    """A flat namespace of objects. Paths are relative, with '/'. A missing object raises FileNotFoundError."""

    url: str

    def create(self, path: str, content: bytes) -> bool:
        """Put-if-absent; False where an object stands there already."""
        ...

    def read(self, path: str) -> bytes: ...

    def list(self, prefix: str) -> list[Found]:
        """What lies under a prefix that ends in '/', sorted by path."""
        ...

    def delete(self, path: str) -> None:
        """Gone afterwards, whether or not it was there."""
        ...

    def move(self, path: str, to: str) -> None:
        """Under another name; what stood there is replaced."""
        ...


def connect(url: str) -> Objects:
    """The objects at a folder's path, a file:// URL or a bucket's URL (s3://, gs://, az://).

    Buckets take their credentials, region and endpoint from the environment (AWS_ACCESS_KEY_ID,
    AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME, ...) or the machine's role.
    Raises StoreError for a URL that is none of these.
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

    def list(self, prefix: str) -> list[Found]:
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
        """Removes what killed processes left in `tmp/`, once it is older than `age` seconds."""
        limit = datetime.now(UTC).timestamp() - age
        for found in self.list(store_paths.TEMPORARY):
            if found.modified.timestamp() < limit:
                self.delete(found.path)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """A full disk or missing rights are the user's to put right."""
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

    def _walk(self, folder: Path, prefix: str) -> Iterator[Found]:
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # moved or deleted since it was listed
                    if entry.is_dir():
                        yield from self._walk(Path(entry.path), f"{prefix}{entry.name}/")
                    else:
                        status = entry.stat()
                        modified = datetime.fromtimestamp(status.st_mtime, UTC)
                        yield Found(prefix + entry.name, status.st_size, str(status.st_mtime_ns), modified)


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

    def list(self, prefix: str) -> list[Found]:
        with self._reaching():
            metas = [meta for chunk in obstore.list(self.store, prefix) for meta in chunk]
        return sorted(
            Found(m["path"], m["size"], m["e_tag"] or m["last_modified"].isoformat(), m["last_modified"]) for m in metas
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
    """For file systems without hard links: still never over another file, but a kill may leave a short one (which
    its digest gives away)."""
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
    """Makes names in a folder durable: a file's own fsync does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _brief(error: Exception) -> str:
    """An object store's error without the "Debug source" that follows its text, and without what could be secret in
    a URL's query."""
    return re.sub(r"\?\S+", "", str(error).split("\n\nDebug source")[0].strip())
