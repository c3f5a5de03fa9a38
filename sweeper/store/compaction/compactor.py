"""The compaction of a store by the process that holds its lease.

Three steps, between which the process may be killed: compacted parts are published; after a grace period, in which
readers that have listed the store before end their queries, they are read back; then the parts that they replace are
deleted. A reader that finds a compacted part and its inputs reads only one of them (`parts/compacted.py`), so each step
may also be done twice, or by two processes at once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple

from sweeper.errors import StoreError, UnreadableFileError
from sweeper.spec.records import ident
from sweeper.spec.records.rows import ROWS
from sweeper.store.compaction.build import build
from sweeper.store.compaction.groups import FULL_PART, choose_groups, choose_growing_groups, halves
from sweeper.store.parts import store_paths
from sweeper.store.parts.compacted import digests_in
from sweeper.store.parts.objects import Folder, Objects, put_whole
from sweeper.store.parts.verify import CheckedParts, ReplacedPart, VerifiedPart, Verifier, by_kind

GRACE_SECONDS = 60.0  # between the publication of a compacted part and the deletion of those that it replaces
_DELETED_AT_ONCE = 200  # parts, between two looks at the lease
_BUCKET_THREADS = 32

# Takes the step of the work, the parts done in it, and all of them.
Progress = Callable[[str, int, int], None]


class PartGroup(NamedTuple):
    """Parts of one kind that become one."""

    kind: str
    parts: Sequence[VerifiedPart]

    @property
    def size(self) -> int:
        """The bytes of all parts."""
        return sum(part.name.size for part in self.parts)


class Waiting(NamedTuple):
    """The number of replaced parts that are not deleted yet, and the seconds until all of them may be."""

    parts: int
    seconds: float


class Compactor:
    """The compaction of one store."""

    def __init__(
        self,
        objects: Objects,
        verifier: Verifier,
        *,
        grace: float = GRACE_SECONDS,
        largest: int = FULL_PART,
        progress: Progress = lambda step, done, total: None,
    ):
        self.objects = objects
        self.grace = grace
        self.largest = largest  # bytes of a compacted part
        self._verifier = verifier
        self._progress = progress

    def groups(self, at_least: int = 0) -> list[PartGroup]:
        """Return the groups of parts that are worth compacting now.

        Args:
            at_least: Only groups of so many parts, in a store that grows; 0: all small parts.
        """
        valid = self._verifier.check().valid
        choose = (lambda parts: choose_growing_groups(parts, at_least)) if at_least else choose_groups
        return [PartGroup(kind, group) for kind in ROWS for group in choose(by_kind(valid, kind))]

    def publish(self, group: PartGroup) -> list[str]:
        """Build and publish the compacted part of a group, or of each half of it if that part would be too large.

        Its size is known only when it is built: rows that are sorted in another way may take more bytes.

        Returns:
            The paths of the parts. A part that has all rows already is none of them.

        Raises:
            PartChangedError: An input was moved away or damaged after it was verified.
            StoreError: The part can't be written, or doesn't have the rows of its inputs.
        """
        self._progress("building", 0, len(group.parts))
        part = build(group.kind, group.parts)
        if len(part.content) > self.largest:
            return [path for half in halves(group.parts) for path in self.publish(PartGroup(group.kind, half))]
        if part.path in {input.name.path for input in group.parts}:
            return []
        self._progress("publishing", 0, len(group.parts))
        put_whole(self.objects, part.path, part.content)
        self._progress("published", len(group.parts), len(group.parts))
        return [part.path]

    def publish_all(self, is_held: Callable[[], bool], at_least: int = 0) -> int:
        """Publish compacted parts until nothing is worth compacting, and return how many were published.

        Args:
            is_held: Returns True while this process holds the lease of the store.
            at_least: As in `groups`.

        Raises:
            StoreError: The lease is lost, or as in `publish`.
        """
        published: set[str] = set()
        while new := set(self._publish_round(is_held, at_least)) - published:
            published |= new
        return len(published)

    def _publish_round(self, is_held: Callable[[], bool], at_least: int) -> Iterator[str]:
        for group in self.groups(at_least):
            _require(is_held)
            yield from self.publish(group)

    def delete_replaced(self, is_held: Callable[[], bool]) -> Waiting:
        """Delete the parts whose rows are in compacted parts that are older than the grace period and sound.

        Args:
            is_held: Returns True while this process holds the lease of the store.

        Raises:
            StoreError: The lease is lost, or the store can't be reached.
        """
        checked = self._verifier.check()
        if not checked.replaced:
            return Waiting(0, 0.0)
        seconds_by_part = self._seconds_left(checked)
        in_sound = self._digests_in_sound_parts(part for part, seconds in seconds_by_part.items() if seconds <= 0)
        deletable = [part for part in checked.replaced if digests_in(part) <= in_sound[part.name.kind]]
        with ThreadPoolExecutor(1 if isinstance(self.objects, Folder) else _BUCKET_THREADS) as pool:
            for start in range(0, len(deletable), _DELETED_AT_ONCE):
                _require(is_held)
                self._progress("deleting", start, len(deletable))
                paths = [part.name.path for part in deletable[start : start + _DELETED_AT_ONCE]]
                list(pool.map(self.objects.delete, paths))
        self._progress("deleted", len(deletable), len(deletable))
        return Waiting(len(checked.replaced) - len(deletable), max(0.0, *seconds_by_part.values(), 0.0))

    def _seconds_left(self, checked: CheckedParts) -> dict[VerifiedPart, float]:
        """Return for each compacted part that replaces others the seconds until the end of its grace period."""
        published = {info.path: info.modified for info in self.objects.list(store_paths.ROWS)}
        now = datetime.now(UTC)
        return {
            part: self.grace - (now - published[part.name.path]).total_seconds()
            for part in checked.valid
            if part.name.path in published and _replaces_some(part, checked.replaced)
        }

    def _digests_in_sound_parts(self, parts: Iterable[VerifiedPart]) -> dict[str, set[str]]:
        """Read parts back, and return by kind the digests of the original parts of those that are sound."""
        digests: dict[str, set[str]] = {kind: set() for kind in ROWS}
        for part in parts:
            self._progress("reading back", 0, 1)
            if self._is_sound(part):
                digests[part.name.kind] |= digests_in(part)
        self._progress("read back", 1, 1)
        return digests

    def _is_sound(self, part: VerifiedPart) -> bool:
        """Return True if the store itself, not a copy of it, has a part with its content."""
        try:
            return ident.digest(self.objects.read(part.name.path)).startswith(part.name.digest)
        except (FileNotFoundError, UnreadableFileError):
            return False


def _replaces_some(part: VerifiedPart, replaced: Iterable[ReplacedPart]) -> bool:
    """Return True if a part is compacted and has rows of one of the replaced parts."""
    if not part.originals:
        return False
    digests = digests_in(part)
    return any(other.name.kind == part.name.kind and not digests.isdisjoint(digests_in(other)) for other in replaced)


def _require(is_held: Callable[[], bool]) -> None:
    """Raise StoreError if the lease is lost."""
    if not is_held():
        raise StoreError("another process took over the store, so its compaction stopped; nothing is lost")
