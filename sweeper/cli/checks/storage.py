"""The check of a store: an object is written, read back, kept from being replaced, listed and deleted."""

import shlex
import shutil
import tempfile
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from sweeper.errors import StoreError, StorePlaceError
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Folder, Objects, open_objects
from sweeper.store.store import Store
from sweeper.store.store_place import check_place

from .check import FAILED, OK, WARNING, Check, worst

# No guarantee depends on clocks, but the times of rows and the order of runs do, and S3 refuses requests of a clock
# that is 15 minutes off.
CLOCK_WARNING, CLOCK_FAILED = 10.0, 60.0  # seconds
CLOCK_FIX = "sudo timedatectl set-ntp true && sudo chronyc makestep"


def check_store(url: str, of_a_job: bool) -> Check:
    """Check a store; one that doesn't exist yet is checked where it would be made.

    Args:
        url: Its folder or URL.
        of_a_job: True: a run would make it, so it need not exist.
    """
    objects = open_objects(url)
    try:
        exists = _exists(objects)
    except StoreError as error:
        return Check("", FAILED, str(error), _place_fix(url))
    if not exists and isinstance(objects, Folder):
        return _new_folder(objects, of_a_job)
    checks = [_probe(objects, "rows can be written and read")]
    if checks[0].state != FAILED:
        checks.append(_contents(objects.url) if exists else _no_store(objects.url, of_a_job))
    return _together(checks)


def _exists(objects: Objects) -> bool:
    try:
        objects.read(store_paths.MARK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _new_folder(objects: Folder, of_a_job: bool) -> Check:
    """Check the place of a store that doesn't exist yet, in a temporary folder beside it."""
    try:
        check_place(objects)
    except StorePlaceError as error:
        return Check("", FAILED, str(error), _place_fix(objects.url))
    parent = next(folder for folder in (objects.root, *objects.root.parents) if folder.is_dir())
    folder = Path(tempfile.mkdtemp(prefix=".sweeper-doctor-", dir=parent))
    try:
        return _together([_probe(Folder(folder), f"{parent} can be written"), _no_store(objects.url, of_a_job)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _no_store(url: str, of_a_job: bool) -> Check:
    if of_a_job:
        return Check("", OK, f"{url} doesn't exist yet; the run makes it")
    return Check("", WARNING, f"there is no store at {url}", f"sweeper run JOB --store {shlex.quote(url)}")


def _contents(url: str) -> Check:
    opened_store = Store.open(url)
    done = len(opened_store.done())
    if opened_store.damage:
        fix = "sweeper resume moves them away and repeats their tasks"
        return Check("", WARNING, f"{url}: {len(opened_store.damage)} damaged file(s)", fix)
    return Check("", OK, f"{url}: {done} tasks done")


def _probe(objects: Objects, success: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Check:
    """Write an object, read it back, try to replace it, list it and delete it."""
    path = f"{store_paths.TEMPORARY}doctor-{uuid.uuid4().hex}/object"
    first, second = b"the first content", b"the second content"
    try:
        start = now()
        objects.create(path, first)
        end = now()
        if objects.read(path) != first:
            return Check("", FAILED, f"{objects.url} does not give back what was written", _place_fix(objects.url))
        if objects.create(path, second) or objects.read(path) != first:
            fix = "use a file system or a bucket that keeps two drivers from taking the same store: put-if-absent"
            return Check("", FAILED, f"{objects.url} replaces objects that exist", fix)
        listed = objects.list(path.rpartition("/")[0] + "/")
        if [info.path for info in listed] != [path]:
            fix = "give this account the right to list the bucket"
            return Check("", FAILED, f"{objects.url} does not list what was written", fix)
        return _clock(objects.url, listed[0].modified, start, end, success)
    except StoreError as error:
        return Check("", FAILED, str(error), _place_fix(objects.url))
    finally:
        with suppress(StoreError, OSError):  # the check has failed already if this does
            objects.delete(path)
            if isinstance(objects, Folder):
                (objects.root / path).parent.rmdir()


def _clock(url: str, modified: datetime, start: datetime, end: datetime, success: str) -> Check:
    """Compare the time that a store gave to an object with the times of this machine before and after."""
    early, late = (
        (start - modified).total_seconds() - 1.0,
        (modified - end).total_seconds(),
    )  # buckets give whole seconds
    difference = max(early, late, 0.0)
    if difference < CLOCK_WARNING:
        return Check("", OK, success)
    place = "behind" if late > early else "ahead of"
    details = f"this machine's clock is {difference:.0f} s {place} that of {url}"
    return Check("", FAILED if difference >= CLOCK_FAILED else WARNING, details, CLOCK_FIX)


def _together(checks: list[Check]) -> Check:
    """Return one check with the details of several: those of the worst, or all if none is wrong."""
    worst_check = worst(checks)
    return worst_check if worst_check.state != OK else Check("", OK, "; ".join(check.details for check in checks))


def _place_fix(url: str) -> str:
    if "://" in url:
        return "name a bucket that exists, and give its credentials as for its cloud's own tools (AWS_PROFILE, ...)"
    return "name a folder that this user may write to, with --store"
