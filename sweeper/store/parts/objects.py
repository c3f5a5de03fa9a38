"""The object storage of a store: a folder or a bucket, as one flat namespace of whole objects.

Both give the same guarantees: `create` makes an object appear whole or not at all, and never replaces another one
(put-if-absent). When it returns, the object survives a crash. No object is modified in place.

A folder is accessed with plain system calls, because obstore's `LocalStore` creates files atomically (by a hard link)
but never calls fsync (observed with strace, obstore 0.12.1). After a power failure, a published object could be empty.
"""

import errno
import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, UnauthenticatedError
from obstore.store import HTTPStore, ObjectStore, from_url

from sweeper.errors import StoreError, StorePlaceError, StoreUnreachableError, UnreadableFileError
from sweeper.files import expand_user
from sweeper.store.parts import store_paths

# The time for which obstore repeats a request that was not answered. A wrong endpoint is reported sooner: ten refused
# connections, after which it gives up, take five seconds.
_RETRY_TIMEOUT = timedelta(seconds=60)

# Errors of a file system that end without any change of Sweeper's: a full disk, a server of a network that is away.
_PASSING_ERRORS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENOTCONN,
    }
)

# What S3 answers if credentials have expired (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
_EXPIRED = frozenset({"ExpiredToken", "TokenRefreshRequired"})

_MISSPELT_URL = re.compile(r"(s3|gs|az|abfss?|https?):(?!//)/*(.+)", re.IGNORECASE)


class ObjectInfo(NamedTuple):
    """A listed object. `stamp` changes with the content: its ETag or, without one, the time of the last change."""

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

    def read(self, path: str) -> bytes:
        """Return the content of an object.

        Raises:
            FileNotFoundError: If there is no such object.
            StoreError: If the storage can't be reached.
        """
        ...

    def list(self, prefix: str) -> list[ObjectInfo]:
        """List the objects under a prefix that ends in '/', sorted by path."""
        ...

    def delete(self, path: str) -> None:
        """Delete an object; a missing one is no error."""
        ...

    def move(self, path: str, new_path: str) -> None:
        """Move an object to another path, and replace the object at that path if there is one.

        Raises:
            FileNotFoundError: If there is no object to move.
        """
        ...


def put_whole(objects: Objects, path: str, content: bytes) -> None:
    """Create an object whose path names its content, unless it is there; one with other content is replaced.

    Other content is damage, such as a file that a killed process has left on a file system without hard links. It is
    moved to `damaged/`.
    """
    if not objects.create(path, content) and not _has_content(objects, path, content):
        with suppress(FileNotFoundError):  # another process has moved it
            objects.move(path, store_paths.DAMAGED + path)
        objects.create(path, content)


def _has_content(objects: Objects, path: str, content: bytes) -> bool:
    try:
        return objects.read(path) == content
    except (FileNotFoundError, UnreadableFileError):
        return False


def open_objects(url: str) -> Objects:
    """Return the objects at a folder's path, a file:// URL or a bucket's URL (s3://, gs://, az://).

    Buckets take their credentials, region and endpoint from the environment (AWS_ACCESS_KEY_ID,
    AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME, ...) or the machine's role.

    Raises:
        StorePlaceError: If the URL is none of these.
    """
    if misspelt := _MISSPELT_URL.match(url):
        scheme, rest = misspelt.groups()
        raise StorePlaceError(
            f"{url} is neither a folder nor a URL; did you mean {scheme.lower()}://{rest.lstrip('/')}?"
        )
    scheme, separator, rest = url.partition("://")
    if not separator:
        return Folder(Path(url))
    if scheme == "file":
        return Folder(Path(rest.removeprefix("localhost")))
    try:
        client = _client(url)
        if isinstance(client, HTTPStore):
            raise ValueError("a web server holds none")
        return Bucket(url, client)
    except (BaseError, ValueError) as error:
        raise StorePlaceError(
            f"{url} can't be opened as a store: {_short_message(error)}; a store is a folder, or the URL of a bucket: "
            "s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or az://CONTAINER/FOLDER"
        ) from error


class Folder:
    """A folder of a local or shared file system."""

    def __init__(self, root: Path):
        self.root = expand_user(root).absolute()
        self.url = str(self.root)

    def create(self, path: str, content: bytes) -> bool:
        """Write and sync a temporary file, then link it to the path; return False if there is a file at the path."""
        target = self.root / path
        with self._named_errors(creates=True):
            if path != store_paths.MARK and not self.root.is_dir():
                raise StoreError(f"the store {self.url} is gone: its folder was moved or deleted")
            _make_folder(target.parent)
            temporary = self._write(content)
            try:
                return _link(temporary, target, content)
            finally:
                temporary.unlink()
                _sync_folder(target.parent)

    def read(self, path: str) -> bytes:
        """Return the content of a file; raise FileNotFoundError if it is missing."""
        with self._named_errors():
            return self._read_regular(self.root / path)

    def list(self, prefix: str) -> list[ObjectInfo]:
        """List the files under a prefix and in all its subfolders, sorted by path; a missing folder has none."""
        with self._named_errors():
            return sorted(self._walk(self.root / prefix, prefix))

    def delete(self, path: str) -> None:
        """Delete a file; a missing one is no error."""
        with self._named_errors():
            (self.root / path).unlink(missing_ok=True)

    def move(self, path: str, new_path: str) -> None:
        """Rename a file, replacing a file at the new path, and sync the folder of the new path."""
        target = self.root / new_path
        with self._named_errors():
            _make_folder(target.parent)
            (self.root / path).replace(target)
            _sync_folder(target.parent)

    def clean(self, age: float) -> None:
        """Delete files in `tmp/` that are older than `age` seconds, which killed processes have left."""
        limit = datetime.now(UTC).timestamp() - age
        for info in self.list(store_paths.TEMPORARY):
            if info.modified.timestamp() < limit:
                self.delete(info.path)

    @contextmanager
    def _named_errors(self, creates: bool = False) -> Iterator[None]:
        """Convert errors of the file system (a full disk, missing rights) to a StoreError that names the store.

        A missing file stays a FileNotFoundError, except where a file is created (under /proc, for example).
        """
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            if creates:
                raise StoreError(f"the store {self.url} can't be written: {error}") from error
            raise FileNotFoundError(*error.args, error.filename) from None
        except OSError as error:
            problem = "written" if creates else "reached"
            error_class = StoreUnreachableError if error.errno in _PASSING_ERRORS else StoreError
            raise error_class(f"the store {self.url} can't be {problem}: {error.strerror or error}") from error

    def _write(self, content: bytes) -> Path:
        """Write and sync a new file in `tmp/`, and return its path; if that fails, nothing is left."""
        temporary = self.root / store_paths.TEMPORARY / uuid.uuid4().hex
        _make_folder(temporary.parent)
        _create_synced(temporary, content)
        return temporary

    @staticmethod
    def _read_regular(file: Path) -> bytes:
        """Return the content of a regular file. Reading a named pipe would wait for a writer for ever.

        Raises:
            UnreadableFileError: It is something else, or its disk can't read it.
        """
        try:
            if stat.S_ISREG(file.stat().st_mode):
                return file.read_bytes()
        except OSError as error:
            if error.errno == errno.EIO:
                raise UnreadableFileError(f"{file} can't be read from its disk: {error.strerror}") from None
            if error.errno != errno.ELOOP:
                raise
        raise UnreadableFileError(f"{file} is not a regular file; move it away")

    def _walk(self, folder: Path, prefix: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[ObjectInfo]:
        """Yield the files in a folder and below; a link to a folder that contains it is not followed.

        Args:
            folder: The folder.
            prefix: Its path in the store.
            above: The device and inode of each folder that contains it.
        """
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            status = folder.stat()
            if (here := (status.st_dev, status.st_ino)) in above:
                return
            for entry in entries:
                with suppress(FileNotFoundError):  # another process moved or deleted it after it was listed
                    if stat.S_ISDIR(_status(entry).st_mode):
                        yield from self._walk(Path(entry.path), f"{prefix}{entry.name}/", above | {here})
                    else:
                        yield _info(entry, prefix + entry.name)


class Bucket:
    """A bucket, or a prefix in one. An object is durable as soon as the request that created it returns."""

    def __init__(self, url: str, store: ObjectStore):
        self.url = url.rstrip("/")
        self.store = store

    def create(self, path: str, content: bytes) -> bool:
        """Create an object by a conditional PUT, in one request; return False if there is one at this path."""
        with self._named_errors():
            try:
                obstore.put(self.store, path, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

    def read(self, path: str) -> bytes:
        """Return the content of an object; raise FileNotFoundError if it is missing."""
        with self._named_errors():
            return bytes(obstore.get(self.store, path).bytes())

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Return the bytes of an object from `start` to `end`; raise FileNotFoundError if it is missing."""
        with self._named_errors():
            return bytes(obstore.get_range(self.store, path, start=start, end=end))

    def list(self, prefix: str) -> list[ObjectInfo]:
        """List the objects under a prefix, sorted by path."""
        with self._named_errors():
            metas = [meta for chunk in obstore.list(self.store, prefix) for meta in chunk]
        return sorted(
            ObjectInfo(m["path"], m["size"], m["e_tag"] or m["last_modified"].isoformat(), m["last_modified"])
            for m in metas
        )

    def delete(self, path: str) -> None:
        """Delete an object; a missing one is no error."""
        with self._named_errors(), suppress(FileNotFoundError):
            obstore.delete(self.store, path)

    def move(self, path: str, new_path: str) -> None:
        """Copy an object and delete the original, because buckets can't rename; a crash in between leaves both."""
        with self._named_errors():
            obstore.copy(self.store, path, new_path)
            obstore.delete(self.store, path)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Convert errors of the object store to a StoreError that names the store, with the code that it answered."""
        try:
            yield
        except FileNotFoundError as error:
            if _code(error) != "NoSuchBucket":
                raise
            raise StorePlaceError(
                f"the store {self.url} can't be reached: there is no such bucket (NoSuchBucket)"
            ) from None
        except BaseError as error:
            if isinstance(error, UnauthenticatedError) or _code(error) in _EXPIRED:
                self.store = _client(self.url)  # which takes its credentials anew
                raise StoreUnreachableError(
                    f"the credentials of {self.url} have expired or are refused: {_short_message(error)}"
                ) from error
            error_class = StoreUnreachableError if _is_passing(error) else StorePlaceError
            raise error_class(f"the store {self.url} can't be reached: {_short_message(error)}") from error


def _client(url: str) -> ObjectStore:
    """Return obstore's client of a bucket, with the credentials that the environment or the machine's role has now."""
    return from_url(url, retry_config={"retry_timeout": _RETRY_TIMEOUT})


def _status(entry: os.DirEntry[str]) -> os.stat_result:
    """Return the status of what an entry leads to; that of the entry itself if it is a link that leads nowhere.

    Raises:
        FileNotFoundError: There is no such entry any more.
    """
    try:
        return entry.stat()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            raise
        return entry.stat(follow_symlinks=False)


def _info(entry: os.DirEntry[str], path: str) -> ObjectInfo:
    """Return the description of a file; something else, such as a pipe or a link that leads nowhere, has no bytes."""
    status = _status(entry)
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return ObjectInfo(path, size, str(status.st_mtime_ns), datetime.fromtimestamp(status.st_mtime, UTC))


def _link(temporary: Path, target: Path, content: bytes) -> bool:
    """Give a file its name, unless that name is taken; return True if this call created it."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        # If NFS repeats a request whose answer was lost, the second one reports the file that the first one created. In
        # that case the temporary file has two names.
        return temporary.stat().st_nlink == 2
    except OSError as error:
        # EXDEV: AFS, for example, has hard links only within a folder.
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV):
            raise
        return _create_exclusively(target, content)
    return True


def _create_exclusively(target: Path, content: bytes) -> bool:
    """Create a file on a file system without hard links.

    It doesn't replace another file either, but a killed process may leave a truncated one, which the digest reveals.
    """
    try:
        _create_synced(target, content)
    except FileExistsError:
        return False
    return True


def _create_synced(path: Path, content: bytes) -> None:
    """Create a file and sync it; if that fails, nothing is left.

    Raises:
        FileExistsError: There is one already, which stays as it is.
    """
    file = path.open("xb")
    try:
        with file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, and make their names durable."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; the fsync of a file only makes its content durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _code(error: Exception) -> str:
    """Return the code in the answer of a bucket's server, such as "SlowDown"; "" if there is none."""
    match = re.search(r"<Code>(\w+)</Code>", str(error))
    return match[1] if match else ""


def _is_passing(error: Exception) -> bool:
    """Return True if the same request may succeed later: no connection, or a server that is overloaded or broken."""
    status = re.search(r"status code: (\d{3})", str(error))
    return int(status[1]) in (408, 429) or status[1] >= "500" if status else "HTTP error" in str(error)


def _short_message(error: Exception) -> str:
    """Return an object store's message without its "Debug source", and without URL queries, which may be secret.

    Of an answer in XML, the code and the message are kept.
    """
    text, *xml = re.split(r"<\?xml|<Error>", str(error).split("\n\nDebug source")[0].strip(), maxsplit=1)
    text = re.sub(r", max_retries: \d+, retry_timeout: \w+", "", re.sub(r"\?\S+", "", text)).strip()
    message = re.search(r"<Message>(.*?)</Message>", "".join(xml), re.DOTALL)
    return " ".join(filter(None, [text, ": ".join(filter(None, [_code(error), message and message[1].strip()]))]))
