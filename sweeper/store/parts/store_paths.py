"""Every path of a store.

STORE/
  sweeper.json                                            format version
  rows/<kind>/<run>-<worker>-<time>-<size>-<digest>.parquet  parts: immutable, named by what they hold
  weights/<digest>.safetensors                            weights, named by their content
  lease/<number>.json                                     who drives the store
  damaged/<path>                                          parts and weights that were set aside
  tmp/                                                    what a local store has not published yet
"""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from sweeper.spec.records import ident

FORMAT = 1

MARK = "sweeper.json"
ROWS = "rows/"
WEIGHTS = "weights/"
LEASE = "lease/"
DAMAGED = "damaged/"
TEMPORARY = "tmp/"

_PART = re.compile(r"rows/(?P<kind>[a-z]+)/(?P<stem>.+)-(?P<size>\d+)-(?P<digest>[0-9a-f]{16})\.parquet")
_WEIGHTS = re.compile(r"weights/(?P<digest>[0-9a-f]{64})\.safetensors")
_LEASE = re.compile(r"lease/(?P<number>\d{8,})\.json")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class PartName(NamedTuple):
    """What the path of a part says about it."""

    path: str
    kind: str
    size: int
    digest: str  # the first 16 hexadecimal digits of its SHA-256


def part(kind: str, run: str, worker: str, at: datetime, content: bytes) -> str:
    """The path of a part. The same rows, run and worker give the same path, so that a commit can be repeated.

    Raises ValueError where `run` or `worker` can't stand in a path.
    """
    for name in (run, worker):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} can't stand in the name of a part: letters, digits, '_', '.' and '-' can")
    time = at.astimezone(UTC).strftime("%Y%m%dT%H%M%S%f")
    return f"{ROWS}{kind}/{run}-{worker}-{time}-{len(content)}-{ident.digest(content)[:16]}.parquet"


def parse_part(path: str) -> PartName | None:
    """What a part's path says; None where it is not the path of a part."""
    found = _PART.fullmatch(path)
    return found and PartName(path, found["kind"], int(found["size"]), found["digest"])


def kind_of(path: str) -> str:
    """The kind whose folder a path under `rows/` lies in; "" where it lies in none."""
    pieces = path.split("/")
    return pieces[1] if len(pieces) == 3 else ""


def weights(digest: str) -> str:
    """The path of weights."""
    return f"{WEIGHTS}{digest}.safetensors"


def parse_weights(path: str) -> str | None:
    """The digest that the path of weights names; None for any other path."""
    found = _WEIGHTS.fullmatch(path)
    return found and found["digest"]


def lease(number: int) -> str:
    """The path of a lease object. Numbers have a fixed width, so that names sort as numbers do."""
    return f"{LEASE}{number:08d}.json"


def parse_lease(path: str) -> int | None:
    """The number of a lease object; None for any other path."""
    found = _LEASE.fullmatch(path)
    return found and int(found["number"])
