"""Saved states of long computations: where a task goes on after its worker was killed.

A state is one immutable object, named by the computation that it belongs to and by the digest of its content. A newer
state is written before the older one is deleted, so a crash leaves at least one of them. A state whose content has
another digest than its name is never used. Nothing here is a result: all of it may be deleted at any time, and costs
only the time in which the tasks come so far again.
"""

import logging
from collections.abc import Container
from datetime import UTC, datetime
from typing import NamedTuple

from sweeper.errors import UnreadableFileError
from sweeper.spec.records import ident
from sweeper.spec.records.saved_state import StateError, read_facts
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import ObjectInfo, Objects

DAYS_KEPT = 30  # a state that is older belongs to tasks that failed for good, or that no job names any more

_log = logging.getLogger(__name__)


class SavedState(NamedTuple):
    """A saved state whose content has the digest in its path."""

    path: str
    content: bytes


class Scratch:
    """The saved states of a store."""

    def __init__(self, objects: Objects):
        self._objects = objects

    def read(self, computation: str) -> list[SavedState]:
        """Return the sound states of a computation, given by its digest; damaged ones are deleted, with a log line."""
        states: list[SavedState] = []
        for info in self._objects.list(store_paths.SCRATCH):
            name = store_paths.parse_saved_state(info.path)
            if name and name.computation == computation and (content := self._read_sound(info.path, name.digest)):
                states.append(SavedState(info.path, content))
        return states

    def write(self, computation: str, content: bytes) -> str:
        """Write a state of a computation and return its path; it is durable when this returns."""
        path = store_paths.saved_state(computation, content)
        self._objects.create(path, content)
        return path

    def drop(self, path: str) -> None:
        """Delete a state; a missing one is no error."""
        self._objects.delete(path)

    def clean(self, done: Container[str]) -> None:
        """Delete the states that no task continues from: all their tasks are done, or they are damaged or old.

        Args:
            done: The ids of the tasks that are done.
        """
        for info in self.useless(done):
            self.drop(info.path)

    def useless(self, done: Container[str]) -> list[ObjectInfo]:
        """Return the states that no task continues from, as in `clean`; damaged ones are deleted."""
        now = datetime.now(UTC)
        infos = self._objects.list(store_paths.SCRATCH)
        return [i for i in infos if (now - i.modified).days >= DAYS_KEPT or self._is_useless(i.path, done)]

    def _is_useless(self, path: str, done: Container[str]) -> bool:
        name = store_paths.parse_saved_state(path)
        content = self._read_sound(path, name.digest) if name else None
        if content is None:
            return True
        try:
            return all(task in done for task in read_facts(content).tasks)
        except StateError:
            return True

    def _read_sound(self, path: str, digest: str) -> bytes | None:
        """Return the content of a state; None if it is missing, or damaged, in which case it is deleted."""
        try:
            content = self._objects.read(path)
        except FileNotFoundError:  # its worker has written a newer one, or ended its task
            return None
        except UnreadableFileError:
            content = b""
        if ident.digest(content) == digest:
            return content
        _log.warning("the saved state %s is damaged and was deleted; its tasks start anew", path)
        self.drop(path)
        return None
