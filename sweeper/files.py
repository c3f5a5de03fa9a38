"""Files outside the store: the user's cache folder, and atomic replacement of reports and exported tables."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from sweeper.errors import SetupError

LEAST_BYTES = 4 * 2**20  # free on a disk that is not full; the decoded digits take 1 MB


def write_atomically(file: Path, content: bytes | str) -> None:
    """Write a file so that a reader sees the old content or the new one, never a mixture.

    Guarantees: the content appears under the file's name in one step (POSIX `rename`), also if several processes write
    at once; the last one wins. If writing fails, the old file stays and nothing is left behind.

    Costs: for a moment the disk holds both contents, and the folder must be writable, not just the file.

    Limits: nothing is synced to disk, so a power failure can lose or empty the file (`store.parts.objects` writes
    rows and syncs them); a killed process leaves a hidden temporary file; the old file's permissions are not carried
    over, and a symbolic link is replaced rather than followed.

    Args:
        file: The file to write. Its folder must exist.
        content: Its new content; text is encoded as UTF-8.

    Raises:
        OSError: The file can't be written.
    """
    with _replacement(file) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def _replacement(file: Path) -> Iterator[BinaryIO]:
    """Return a context with a stream to a hidden file, which takes the place of `file` when the context ends."""
    with _temporary_beside(file) as temporary:
        with temporary.open("wb") as stream:
            yield stream
        temporary.replace(file)


_temporary_paths: set[Path] = set()  # hidden files and folders of outputs that this process is writing


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    """Return a context with the path of a hidden file or folder to make; if it is still there at the end, it goes."""
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    _temporary_paths.add(temporary)
    try:
        yield temporary
    finally:
        _delete(temporary)
        _temporary_paths.discard(temporary)


def delete_temporaries() -> None:
    """Delete the hidden files and folders of outputs that are being written, before this process ends at once."""
    for path in list(_temporary_paths):
        _delete(path)


def _delete(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    with suppress(FileNotFoundError, NotADirectoryError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def write_with_folders(file: Path, content: bytes | str) -> None:
    """Write a file as `write_atomically` does, and make the folders that lead to it.

    Raises:
        OSError: The file can't be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, content)


def write_cached_text(file: Path, text: str) -> None:
    """Write a text to a file of the cache folder, with its digest in the first line.

    Raises:
        OSError: The file can't be written.
    """
    content = text.encode()
    write_with_folders(file, f"{hashlib.sha256(content).hexdigest()}\n".encode() + content)


def write_cache(file: Path, text: str) -> None:
    """Write a text as `write_cached_text` does, if possible; if not, the same work is done again next time."""
    with suppress(OSError):
        write_cached_text(file, text)


def read_cached_text(file: Path) -> str:
    """Return the text that `write_cached_text` has written to a file.

    Raises:
        OSError: There is no such file, or it can't be read.
        ValueError: The file is damaged: its content doesn't have the digest in its first line.
    """
    digest, _, content = file.read_bytes().partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise ValueError(f"{file} is damaged")
    return content.decode()


def expand_user(path: str | Path) -> Path:
    """Return a path with `~` and `~user` filled in; without such a user it stays as it is, as in a shell."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def write_output(file: Path, content: bytes | str) -> None:
    """Write a file that the user has named: atomically, but through a device, a pipe or a symbolic link.

    Raises:
        SetupError: It can't be written.
    """
    with opened_output(file) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def opened_output(file: Path) -> Iterator[BinaryIO]:
    """Return a context with a stream to a file that the user has named; the file is as `write_output` leaves it.

    Raises:
        SetupError: It can't be written.
    """
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with file.open("wb") if _is_written_through(file) else _replacement(file) as stream:
            yield stream
    except OSError as error:
        raise _unwritable(file, error) from None


def check_output(file: Path | None, *, makes_folders: bool = False) -> None:
    """Check that a file that the user has named can be written, before anything is computed; None is always right.

    Args:
        file: The file. It is left as it is, and nothing is left beside it.
        makes_folders: True if the folders that lead to the file will be made.

    Raises:
        SetupError: It can't be written.
    """
    if file is None or _is_written_through(file):
        return
    folder = file.absolute().parent
    if makes_folders:
        folder = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(file, error) from None


def _is_written_through(file: Path) -> bool:
    """Return True for a symbolic link, a device or a pipe, whose target is written and which stays."""
    return file.is_symlink() or (file.exists() and not file.is_file() and not file.is_dir())


def _unwritable(file: Path, error: OSError) -> SetupError:
    """Return the error about a file that the user has named: the reason, and what would be right."""
    reason, remedy = error.strerror or str(error), "name a file in a folder that can be written"
    if file.is_dir():
        reason, remedy = "it is a folder", "name a file in it"
    elif error.errno in (errno.ENOENT, errno.ENOTDIR) and not file.parent.is_dir():
        reason, remedy = f"there is no folder {file.parent}", "make it, or name a file in another"
    elif error.errno == errno.ENOSPC:
        remedy = "make room, or name a file on another disk"
    return SetupError(f"{file} can't be written ({reason}); {remedy}")


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Return a context with a hidden, empty folder, which takes the place of `folder` when the context ends.

    If anything fails, the old folder stays and nothing is left behind. While one is replaced by the other there is no
    folder of that name for a moment.

    Raises:
        SetupError: It can't be written.
    """
    target = folder.resolve() if folder.is_symlink() else folder
    try:
        with _temporary_beside(target) as new, _temporary_beside(target) as old:
            new.mkdir()
            yield new
            if target.exists():
                target.rename(old)
            try:
                new.rename(target)
            except BaseException:
                if old.exists():
                    old.rename(target)
                raise
    except OSError as error:
        raise SetupError(f"{folder} can't be written ({error.strerror or error})") from None


@contextmanager
def replaced_by_path(file: Path) -> Iterator[Path]:
    """Return a context with the path of a hidden file to write, which takes the place of `file` when the context ends.

    It is for libraries that write to a path rather than to a stream. It lies in a hidden folder of its own, in which
    they may leave other files.

    Raises:
        SetupError: It can't be written.
    """
    target = file.resolve() if file.is_symlink() else file
    try:
        with _temporary_beside(target) as folder:
            folder.mkdir()
            yield folder / "file"
            (folder / "file").replace(target)
    except OSError as error:
        raise _unwritable(file, error) from None


def cache_folder() -> Path:
    """Return the user's cache folder: `$SWEEPER_CACHE`, else `$XDG_CACHE_HOME/sweeper`, else `~/.cache/sweeper`."""
    if folder := os.environ.get("SWEEPER_CACHE"):
        return Path(folder)
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "sweeper"
    return Path("~/.cache/sweeper").expanduser()


def check_space(folder: Path) -> None:
    """Check that files can be written in a folder and its disk is not full; nothing is left behind.

    Raises:
        OSError: They can't, or it is.
    """
    with tempfile.TemporaryFile(dir=folder):
        pass
    if shutil.disk_usage(folder).free < LEAST_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def check_cache_folder() -> None:
    """Check that the user's cache folder can be written; it is made if it doesn't exist.

    Raises:
        SetupError: It can't be written. The message names the folder and SWEEPER_CACHE.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_space(folder)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "set SWEEPER_CACHE to a folder that can be written"
        raise SetupError(f"the cache folder {folder} can't be written ({reason}); {remedy}") from None
