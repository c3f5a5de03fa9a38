"""The progress of a run as its driver last published it, for those who watch the store from another machine.

The rows of a store say what is done. What is running, on which node, and what a run waits for only its driver knows, so
it publishes a small object every few seconds. Like the lease, it is a chain of numbered objects, because an object of a
store is never replaced. Nothing depends on it: if it is missing or old, less is shown.
"""

import dataclasses
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sweeper.errors import UnreadableFileError
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Objects

_KEPT = 2  # the newest objects are not deleted, so that a process that has just listed them can read one


@dataclass(frozen=True, slots=True)
class NodeProgress:
    """The workers of a node, and how many of them are running or starting."""

    name: str  # of the machine; with the beginning of Ray's id if several nodes have this name
    places: int  # workers that fit on the node
    running: int  # workers that are performing a pack
    starting: int = 0  # workers that have taken a pack and are being set up: they import torch and open the store
    used: float | None = None  # the share of its places, in [0, 1], that had a pack in the last minutes
    longest: float = 0.0  # seconds since the start of the pack that runs longest


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run. Tasks are counted over the whole job."""

    run: str
    at: str  # ISO 8601, UTC
    done: int
    failed: int
    blocked: int
    running: int  # packs that a worker is performing
    starting: int  # packs whose worker is being set up
    queued: int  # packs that wait for a worker or for a model
    rate: float  # tasks a second
    left: float | None = None  # estimated seconds until the end
    left_range: tuple[float, float] | None = None  # seconds between which the end lies in nine of ten cases
    waiting: str = ""  # what the run waits for while no worker is busy
    nodes: tuple[NodeProgress, ...] = ()


class ProgressLog:
    """The chain of objects that one driver publishes its progress in."""

    def __init__(self, objects: Objects, run: str):
        self._objects, self._run, self._number = objects, run, 0

    def publish(self, progress: Progress) -> None:
        """Publish the newest progress and delete older objects; the first time also those that a killed driver left.

        Raises:
            StoreError: The store can't be written.
        """
        self._number += 1
        content = json.dumps(dataclasses.asdict(progress)).encode()
        self._objects.create(store_paths.progress_object(self._run, self._number), content)
        if self._number == 1:
            self._delete_all_but(store_paths.progress_object(self._run, self._number))
        else:  # listing a bucket costs as much as writing to it
            self._objects.delete(store_paths.progress_object(self._run, self._number - _KEPT))

    def clear(self) -> None:
        """Delete every object: the run has ended, and its rows say how."""
        self._delete_all_but("")

    def _delete_all_but(self, kept: str) -> None:
        for info in self._objects.list(store_paths.PROGRESS):
            if info.path != kept:
                self._objects.delete(info.path)


def read_progress(objects: Objects, run: str) -> Progress | None:
    """Return the progress that the driver of a run published last; None if there is none that can be read."""
    paths = [info.path for info in objects.list(store_paths.PROGRESS)]
    for path in sorted((path for path in paths if store_paths.parse_progress(path) == run), reverse=True):
        # It was just deleted, is truncated or no file, or was written by a later version.
        with suppress(FileNotFoundError, UnreadableFileError, ValueError, TypeError):
            return _from_json(objects.read(path))
    return None


def _from_json(content: bytes) -> Progress:
    """Return a progress; fields that this version doesn't know are left out."""
    values = json.loads(content)
    nodes = tuple(NodeProgress(**_known(NodeProgress, node)) for node in values.pop("nodes", ()))
    left_range = values.pop("left_range", None)
    return Progress(**_known(Progress, values), nodes=nodes, left_range=left_range and tuple(left_range))


def _known(record: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(record)}
    return {name: value for name, value in values.items() if name in names}
