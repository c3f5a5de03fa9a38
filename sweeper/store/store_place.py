"""The check of a path that is to hold a store, before anything is written there."""

import shlex
import tempfile
from pathlib import Path

from sweeper.errors import StorePlaceError, did_you_mean
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Folder, Objects


def check_place(objects: Objects) -> None:
    """Check that a store is in a folder or can be made there; a bucket is not checked. Nothing is left behind.

    Raises:
        StorePlaceError: The path is a file, or a folder that contains something else or can't be written.
    """
    if not isinstance(objects, Folder):
        return
    if file := file_of(objects):
        place = "is a file" if file == objects.root else f"lies inside the file {file}"
        raise StorePlaceError(f"{objects.url} {place}; a store is a folder or a bucket's URL")
    try:
        names = [path.name for path in objects.root.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise StorePlaceError(
            f"the store {objects.url} can't be read ({error.strerror}); name another folder"
        ) from None
    if store_paths.MARK in names:
        return
    if names and "rows" not in names:
        raise StorePlaceError(
            f"{objects.url} is not a store and not empty (it contains {sorted(names)[0]}); name a new folder"
        )
    parent = next(folder for folder in (objects.root, *objects.root.parents) if folder.is_dir())
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        reason = f"in {parent} nothing can be written: {error.strerror}"
        raise StorePlaceError(f"a store can't be made at {objects.url} ({reason}); name another folder") from None


def no_store(objects: Objects) -> str:
    """Return the message that there is no store at a path, with a command that makes one, if one can."""
    problem, name_another = f"there is no store at {objects.url}", "`--store` or SWEEPER_STORE names another"
    if isinstance(objects, Folder) and objects.root.is_dir():
        problem = f"{objects.url} is not a store: it has no {store_paths.MARK}"
    try:
        check_place(objects)
    except StorePlaceError as error:
        reason = "" if isinstance(objects, Folder) and objects.root.is_dir() else f": {error}"
        return f"{problem}{reason}; {name_another}"
    suggestion = _similar_store(objects.root) if isinstance(objects, Folder) else ""
    return f"{problem}; {suggestion}`sweeper run JOB --store {shlex.quote(objects.url)}` makes one, {name_another}"


def _similar_store(path: Path) -> str:
    """Return the question whether the user meant a store beside a path with a similar name; "" if there is none."""
    names = [mark.parent.name for mark in path.parent.glob(f"*/{store_paths.MARK}")]
    suggestion = did_you_mean(path.name, names, prefix=f"{path.parent}/")
    return f"{suggestion} " if suggestion else ""


def file_of(objects: Folder) -> Path | None:
    """Return the file that the path of a store names or lies inside; None if there is none."""
    existing = next(path for path in (objects.root, *objects.root.parents) if path.exists())
    return None if existing.is_dir() else existing
