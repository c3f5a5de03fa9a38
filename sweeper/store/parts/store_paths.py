"""The paths of all files in a store.

STORE/
  sweeper.json                                            format version
  rows/<kind>/<run>-<worker>-<time>-<size>-<digest>.parquet  parts: never changed, named by their content
  rows/<kind>/compacted-<originals>-parts-tail-<size>-<digest>-<time>-<size>-<digest>.parquet  compacted parts
  weights/<digest>.safetensors                            weights, named by their content
  scratch/<computation>-<digest>.safetensors              saved states of long tasks that are not done yet
  lease/<number>.json                                     the process that drives the store
  progress/<run>-<number>.json                            what its run is doing now
  versions/<digest>.json                                  lists of parts that were cited, named by their content
  damaged/<path>                                          damaged parts and weights that were moved away
  tmp/                                                    files of a local store that are not published yet
"""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from sweeper.spec.records import ident

FORMAT = 1

MARK = "sweeper.json"
ROWS = "rows/"
WEIGHTS = "weights/"
SCRATCH = "scratch/"
LEASE = "lease/"
PROGRESS = "progress/"
VERSIONS = "versions/"
DAMAGED = "damaged/"
TEMPORARY = "tmp/"

_PART = re.compile(r"rows/(?P<kind>[a-z]+)/(?P<stem>.+)-(?P<size>\d+)-(?P<digest>[0-9a-f]{16})\.parquet")
_COMPACTED = re.compile(r"compacted-\d+-parts-tail-(?P<size>\d+)-(?P<digest>[0-9a-f]{16})-")
_WEIGHTS = re.compile(r"weights/(?P<digest>[0-9a-f]{64})\.safetensors")
_SAVED_STATE = re.compile(r"scratch/(?P<computation>[0-9a-f]{64})-(?P<digest>[0-9a-f]{64})\.safetensors")
_LEASE = re.compile(r"lease/(?P<number>\d{8,})\.json")
_TIME = re.compile(r".+-(\d{8}T\d{12})-\d+-[0-9a-f]{16}\.parquet")
_VERSION = re.compile(r"versions/(?P<digest>[0-9a-f]{16})\.json")
_PROGRESS = re.compile(r"progress/(?P<run>.+)-\d{8,}\.json")
_TIME_FORMAT = "%Y%m%dT%H%M%S%f"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class TailName(NamedTuple):
    """The size and the digest of the tail of a compacted part (`tail.py`)."""

    size: int  # bytes
    digest: str  # the first 16 hexadecimal digits of its SHA-256


class PartName(NamedTuple):
    """The path of a part, and the kind, size and digest that it contains; of a compacted part also its tail."""

    path: str
    kind: str
    size: int  # bytes
    digest: str  # the first 16 hexadecimal digits of its SHA-256
    tail: TailName | None = None


def part(kind: str, run: str, worker: str, at: datetime, content: bytes) -> str:
    """Return the path of a part.

    The same rows, run and worker give the same path, so a commit can be repeated.

    Args:
        kind: The kind of its rows.
        run: The id of the run.
        worker: The name of the worker.
        at: The time of its latest row.
        content: The bytes of the Parquet file.

    Raises:
        ValueError: If `run` or `worker` contains a character that isn't allowed in a path.
    """
    for name in (run, worker):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} can't be used in the name of a part: use letters, digits, '_', '.' and '-'")
    time = at.astimezone(UTC).strftime(_TIME_FORMAT)
    return f"{ROWS}{kind}/{run}-{worker}-{time}-{len(content)}-{ident.digest(content)[:16]}.parquet"


def compacted_part(kind: str, originals: int, at: datetime, content: bytes, tail: TailName) -> str:
    """Return the path of a compacted part, which has the rows of so many original parts."""
    return part(kind, "compacted", f"{originals}-parts-tail-{tail.size}-{tail.digest}", at, content)


def parse_part(path: str) -> PartName | None:
    """Parse the path of a part; return None for any other path."""
    match = _PART.fullmatch(path)
    return match and PartName(path, match["kind"], int(match["size"]), match["digest"], _parse_tail(match["stem"]))


def _parse_tail(stem: str) -> TailName | None:
    match = _COMPACTED.match(stem)
    return match and TailName(int(match["size"]), match["digest"])


def time_of(path: str) -> datetime | None:
    """Return the time in the path of a part: that of its latest row; None if it has none."""
    match = _TIME.fullmatch(path)
    try:
        return datetime.strptime(match[1], _TIME_FORMAT).replace(tzinfo=UTC) if match else None
    except ValueError:
        return None


def kind_of(path: str) -> str:
    """Return the kind in whose folder a path under `rows/` lies; "" if it lies in none."""
    pieces = path.split("/")
    return pieces[1] if len(pieces) == 3 else ""


def weights(digest: str) -> str:
    """Return the path of the weights with this digest."""
    return f"{WEIGHTS}{digest}.safetensors"


def parse_weights(path: str) -> str | None:
    """Return the digest in the path of weights; None for any other path."""
    match = _WEIGHTS.fullmatch(path)
    return match and match["digest"]


class SavedStateName(NamedTuple):
    """The two digests in the path of a saved state."""

    computation: str
    digest: str  # of its content


def saved_state(computation: str, content: bytes) -> str:
    """Return the path of a saved state of a computation, which is given by its digest."""
    return f"{SCRATCH}{computation}-{ident.digest(content)}.safetensors"


def parse_saved_state(path: str) -> SavedStateName | None:
    """Parse the path of a saved state; return None for any other path."""
    match = _SAVED_STATE.fullmatch(path)
    return match and SavedStateName(match["computation"], match["digest"])


def lease(number: int) -> str:
    """Return the path of a lease object. Numbers have a fixed width, so that paths sort in numerical order."""
    return f"{LEASE}{number:08d}.json"


def parse_lease(path: str) -> int | None:
    """Return the number in the path of a lease object; None for any other path."""
    match = _LEASE.fullmatch(path)
    return match and int(match["number"])


def progress_object(run: str, number: int) -> str:
    """Return the path of an object with the progress of a run; paths of later ones sort after those of earlier ones."""
    return f"{PROGRESS}{run}-{number:08d}.json"


def parse_progress(path: str) -> str | None:
    """Return the run in the path of an object with its progress; None for any other path."""
    match = _PROGRESS.fullmatch(path)
    return match and match["run"]


def version_list(digest: str) -> str:
    """Return the path of the list of parts with this digest."""
    return f"{VERSIONS}{digest}.json"


def parse_version(path: str) -> str | None:
    """Return the digest in the path of a list of parts; None for any other path."""
    match = _VERSION.fullmatch(path)
    return match and match["digest"]
