"""The mark of a store: the small file that says that a folder or a bucket is a store, and of which format.

A mark carries the digest of its content, so that a flipped bit isn't taken for another format. Marks of the first
version have none.
"""

import json
from datetime import UTC, datetime
from typing import Any

from sweeper.errors import StoreError, StorePlaceError, UnreadableFileError
from sweeper.spec.records import ident
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Objects
from sweeper.store.store_place import check_place, no_store

_DIGEST = "digest"


def create_mark(objects: Objects) -> None:
    """Write the mark of a store, unless there is one.

    Raises:
        StorePlaceError: A local path is a file, or a folder that contains something else or can't be written.
    """
    check_place(objects)
    mark = {"format": store_paths.FORMAT, "made": datetime.now(UTC).isoformat(timespec="seconds")}
    objects.create(store_paths.MARK, json.dumps({**mark, _DIGEST: _digest(mark)}).encode())


def check_mark(objects: Objects) -> None:
    """Check that there is a mark of a format that this version reads.

    Raises:
        StoreError: If there is no mark, or it is damaged, or its format is later than this version's.
    """
    try:
        version = _read_format(objects)
    except FileNotFoundError:
        raise StorePlaceError(no_store(objects)) from None
    except ValueError as error:
        raise StoreError(
            f"{objects.url}/{store_paths.MARK} can't be read: {error}; "
            f"`sweeper verify --repair {objects.url}` writes it again"
        ) from None
    if not isinstance(version, int) or version > store_paths.FORMAT:
        raise StoreError(
            f"{objects.url} has store format {version}, but this version of Sweeper reads formats up to "
            f"{store_paths.FORMAT}; install a later version of Sweeper"
        )


def repair_mark(objects: Objects) -> bool:
    """Write the mark again if it is missing or damaged where parts are; return True if it was.

    A damaged mark is moved to `damaged/`. A place without parts is left as it is.
    """
    try:
        _read_format(objects)
    except FileNotFoundError:
        pass
    except ValueError:
        if _has_parts(objects):
            objects.move(store_paths.MARK, store_paths.DAMAGED + store_paths.MARK)
    else:
        return False
    if not _has_parts(objects):
        return False
    create_mark(objects)
    return True


def _read_format(objects: Objects) -> Any:
    """Return the format in the mark of a store.

    Raises:
        FileNotFoundError: There is no mark.
        ValueError: It is damaged.
    """
    try:
        mark = json.loads(objects.read(store_paths.MARK))
    except UnreadableFileError as error:
        raise ValueError(str(error)) from None
    if not isinstance(mark, dict) or "format" not in mark:
        raise ValueError("it names no format")
    if _DIGEST in mark and mark.pop(_DIGEST) != _digest(mark):
        raise ValueError("its content has another digest than it says")
    return mark["format"]


def _digest(mark: dict[str, Any]) -> str:
    return ident.digest(json.dumps(mark, sort_keys=True).encode())


def _has_parts(objects: Objects) -> bool:
    return any(store_paths.parse_part(info.path) for info in objects.list(store_paths.ROWS))
