"""The full check of a store: every file is read whole, whatever was known of it, and compared with what it should be.

Other looks at a store check a part when it is first seen on a machine and what a query reads of it, and weights when
they are used. This check also finds what nobody has read since it was damaged.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from sweeper.errors import UnreadableFileError
from sweeper.spec.records import ident
from sweeper.spec.records.rows import ROWS
from sweeper.spec.records.saved_state import read_facts
from sweeper.store.care.repeated_rows import Mix, Repeat, find_mixes, find_repeats
from sweeper.store.care.row_check import wrong_values
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Objects
from sweeper.store.parts.verify import Damage, VerifiedPart
from sweeper.store.query.readable import unreadable_parts
from sweeper.store.store import Store
from sweeper.store.versions.version import check_digest

Progress = Callable[[str, int, int], None]  # takes the step of the work, the things done so far, and all things

_PARTS_AT_ONCE = 64  # that DuckDB reads in one query
_THREADS = 4


class LostWeights(NamedTuple):
    """A model whose row names weights that the store lacks, or has only damaged; it is missing, not done."""

    model: str
    digest: str


@dataclass(slots=True)
class StoreCheck:
    """The result of the full check of a store."""

    parts: int = 0  # that are sound
    rows: int = 0
    part_bytes: int = 0
    weights: int = 0  # files that are sound
    weight_bytes: int = 0
    others: int = 0  # sound saved states, kept versions, lease objects and progress objects
    damaged: list[Damage] = field(default_factory=list)
    lost_weights: list[LostWeights] = field(default_factory=list)
    mixes: list[Mix] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)  # paths of files that Sweeper hasn't written
    set_aside: int = 0  # files that lie in `damaged/`

    @property
    def sound(self) -> bool:
        """True if nothing is damaged or lost."""
        return not (self.damaged or self.lost_weights)


def check_all_files(store: Store, progress: Progress = lambda step, done, total: None) -> StoreCheck:
    """Check all files of a store, and compare its rows with each other. Nothing is changed.

    Args:
        store: The store.
        progress: Is told the progress.

    Raises:
        StoreError: The store can't be reached, or a later version of Sweeper has written to it.
    """
    check = StoreCheck()
    _check_parts(store, check, progress)
    _check_weights(store, check, progress)
    _check_others(store, check)
    progress("comparing rows", 0, 2)
    check.mixes = find_mixes(store)
    progress("comparing rows", 1, 2)
    check.repeats = find_repeats(store)
    check.set_aside = len(store.objects.list(store_paths.DAMAGED))
    return check


def _check_parts(store: Store, check: StoreCheck, progress: Progress) -> None:
    """Check the digests of all parts, then read every value of those that have theirs."""
    checked = store.check_anew(lambda done, total: progress("comparing digests of parts", done, total))
    check.damaged += checked.damaged
    for part, reason in _unsound_parts(checked.valid, progress):
        store.leave_out(part, reason)
        check.damaged.append(Damage(part.name.path, reason))
    unsound = {damage.path for damage in check.damaged}
    sound = [part for part in checked.valid if part.name.path not in unsound]
    check.parts, check.part_bytes = len(sound), sum(part.name.size for part in sound)
    counts = " + ".join(f"(SELECT count(*) FROM parts_{kind})" for kind in ROWS)
    check.rows = store.sql(f"SELECT {counts} AS n")["n"][0].as_py()


def _unsound_parts(parts: Sequence[VerifiedPart], progress: Progress) -> Iterator[tuple[VerifiedPart, str]]:
    """Yield the parts whose values can't be read, or are none of their kind, and the reason."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(parts), _PARTS_AT_ONCE):
            progress("reading rows", start, len(parts))
            group = parts[start : start + _PARTS_AT_ONCE]
            reason_by_part = dict(unreadable_parts(group))
            for part, reason in zip(group, pool.map(_wrong_values, group), strict=True):
                if found := reason_by_part.get(part) or reason:
                    yield part, found


def _wrong_values(part: VerifiedPart) -> str | None:
    return wrong_values(ROWS[part.name.kind], part.file)


def _check_weights(store: Store, check: StoreCheck, progress: Progress) -> None:
    """Check the digests of all weights, and whether the store has those of each model."""
    sound: set[str] = set()
    infos = store.objects.list(store_paths.WEIGHTS)
    for number, info in enumerate(infos):
        progress("comparing digests of weights", number, len(infos))
        digest = store_paths.parse_weights(info.path)
        if digest is None:
            check.foreign.append(info.path)
        elif problem := _problem(store.objects, info.path, lambda content, digest=digest: _of_digest(content, digest)):
            check.damaged.append(Damage(info.path, problem))
        else:
            sound.add(digest)
            check.weight_bytes += info.size
    check.weights = len(sound)
    rows = store.sql("SELECT task, weights FROM models ORDER BY task").to_pylist()
    check.lost_weights = [LostWeights(row["task"], row["weights"]) for row in rows if row["weights"] not in sound]


def _check_others(store: Store, check: StoreCheck) -> None:
    """Check the saved states, the kept versions, and the objects of the lease and of the progress."""
    for folder in (store_paths.SCRATCH, store_paths.VERSIONS, store_paths.LEASE, store_paths.PROGRESS):
        for info in store.objects.list(folder):
            content_check = _content_check(info.path)
            if content_check is None:
                check.foreign.append(info.path)
            elif problem := _problem(store.objects, info.path, content_check):
                check.damaged.append(Damage(info.path, problem))
            else:
                check.others += 1


def _content_check(path: str) -> Callable[[bytes], None] | None:
    """Return the check of the content of a small object, which raises ValueError; None for a foreign file."""
    if state := store_paths.parse_saved_state(path):

        def check_state(content: bytes) -> None:
            _of_digest(content, state.digest)
            read_facts(content)

        return check_state
    if version := store_paths.parse_version(path):
        return lambda content: check_digest(content, version)
    if store_paths.parse_lease(path) is not None or store_paths.parse_progress(path) is not None:
        return _json_object
    return None


def _problem(objects: Objects, path: str, check_content: Callable[[bytes], None]) -> str | None:
    """Return what is wrong with an object; None if nothing is, or if it has gone since it was listed.

    Raises:
        StoreError: The store can't be reached.
    """
    try:
        check_content(objects.read(path))
    except FileNotFoundError:
        return None
    except ValueError as error:
        return str(error)
    except UnreadableFileError as error:
        return str(error)
    return None


def _of_digest(content: bytes, digest: str) -> None:
    if ident.digest(content) != digest:
        raise ValueError("its content has another digest than its name")


def _json_object(content: bytes) -> None:
    try:
        is_object = isinstance(json.loads(content), dict)
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if not is_object:
        raise ValueError("it is not a JSON object")
