"""The mark of a store: the small file that says that a folder or a bucket is a store, and of which format.

It names the version of Sweeper that made it, so that an earlier version, which can't read a later format, can say which
version is needed. A mark carries the digest of its content, so that a flipped bit isn't taken for another format. Marks
of the first version have neither.
"""

import json
from datetime import UTC, datetime
from typing import Any

from sweeper import distribution
from sweeper.errors import StoreError, StorePlaceError, UnreadableFileError
from sweeper.spec.records import ident
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Objects
from sweeper.store.store_place import check_place, no_store

_DIGEST = "digest"
_SWEEPER = "sweeper"  # the version that made the mark


def create_mark(objects: Objects) -> None:
    """Write the mark of a store, unless there is one.

    Raises:
        StorePlaceError: A local path is a file, or a folder that contains something else or can't be written.
    """
    check_place(objects)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    mark = {"format": store_paths.FORMAT, "made": made, _SWEEPER: distribution.version()}
    objects.create(store_paths.MARK, json.dumps({**mark, _DIGEST: _digest(mark)}).encode())


def check_mark(objects: Objects) -> None:
    """Check that there is a mark of a format that this version reads.

    Raises:
        StoreError: If there is no mark, or it is damaged, or its format is later than this version's.
    """
    try:
        mark = _read_mark(objects)
    except FileNotFoundError:
        raise StorePlaceError(no_store(objects)) from None
    except ValueError as error:
        raise StoreError(
            f"{objects.url}/{store_paths.MARK} can't be read: {error}; "
            f"`sweeper verify --repair {objects.url}` writes it again"
        ) from None
    store_format = mark["format"]
    if not isinstance(store_format, int) or store_format > store_paths.FORMAT:
        raise StoreError(
            f"{objects.url} has store format {store_format}, but this version of Sweeper ({distribution.version()}) "
            f"reads formats up to {store_paths.FORMAT}; {distribution.later_version(mark.get(_SWEEPER))}"
        )


def repair_mark(objects: Objects) -> bool:
    """Write the mark again if it is missing or damaged where parts are; return True if it was.

    A damaged mark is moved to `damaged/`. A place without parts is left as it is.
    """
    try:
        _read_mark(objects)
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


def _read_mark(objects: Objects) -> dict[str, Any]:
    """Return the mark of a store, which has a format.

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
    if mark.keys() & {_DIGEST, _SWEEPER} and mark.pop(_DIGEST, None) != _digest(mark):
        raise ValueError("its content has another digest than it says")
    return mark


def _digest(mark: dict[str, Any]) -> str:
    return ident.digest(json.dumps(mark, sort_keys=True).encode())


def _has_parts(objects: Objects) -> bool:
    return any(store_paths.parse_part(info.path) for info in objects.list(store_paths.ROWS))
