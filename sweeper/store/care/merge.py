"""The union of two stores: the parts and weights of one are copied into another, each under its own name.

Names contain digests, so a file that both have is the same, and a merge that was interrupted is continued by another
one. Receipts are copied last, as they are committed, and then the versions that were kept. Views then show each task
once.
"""

from dataclasses import dataclass, field

from sweeper.errors import UnreadableFileError, UsageError
from sweeper.spec.records import ident
from sweeper.store.care.full_check import Progress
from sweeper.store.parts import store_paths
from sweeper.store.parts.verify import Damage
from sweeper.store.store import PUBLICATION_ORDER, Store


@dataclass(slots=True)
class Merge:
    """What a merge has added to a store."""

    parts: int = 0
    weights: int = 0
    bytes: int = 0
    tasks: int = 0  # that are done now and were not before
    healed: list[str] = field(default_factory=list)  # paths of damaged files that sound ones have replaced
    damaged: list[Damage] = field(default_factory=list)  # files of the source that were not copied


def merge_stores(into: Store, source: Store, progress: Progress = lambda step, done, total: None) -> Merge:
    """Copy into a store what another one has and it lacks; the other one is not changed.

    Raises:
        UsageError: Both are the same store.
        StoreError: One of them can't be reached, or has parts of a later version of Sweeper.
    """
    if into.url == source.url:
        raise UsageError(f"{into.url} can't be merged into itself; name two stores")
    merge = Merge()
    source.done()  # refuses parts of a later version before anything is copied
    done_before = into.done()
    damaged_paths = {damage.path for damage in into.damage}
    folders = (store_paths.ROWS, store_paths.WEIGHTS, store_paths.VERSIONS)
    present = {info.path: info.size for name in folders for info in into.objects.list(name)}
    seen: set[str] = set()
    is_complete = False
    while not is_complete:
        paths = [path for path in _paths(source) if path not in seen]
        seen.update(paths)
        is_complete = True
        for number, path in enumerate(paths):
            progress("copying", number, len(paths))
            if path not in present or path in damaged_paths:
                is_complete &= _copy(into, source, path, path in damaged_paths, merge)
    merge.tasks = len(into.done() - done_before)
    return merge


def _paths(source: Store) -> list[str]:
    """Return the paths of the weights and parts of a store in the order of publication, and of the kept versions."""
    weights = [info.path for info in source.objects.list(store_paths.WEIGHTS) if store_paths.parse_weights(info.path)]
    parts = [name for info in source.objects.list(store_paths.ROWS) if (name := store_paths.parse_part(info.path))]
    ordered = [part.path for kind in PUBLICATION_ORDER for part in parts if part.kind == kind]
    infos = source.objects.list(store_paths.VERSIONS)
    return [*weights, *ordered, *(info.path for info in infos if store_paths.parse_version(info.path))]


def _copy(into: Store, source: Store, path: str, replaces: bool, merge: Merge) -> bool:
    """Copy a file if its content has the digest in its name.

    Returns:
        False if it has gone: a compaction of the source may have put its rows into another file.
    """
    try:
        content = source.objects.read(path)
    except FileNotFoundError:
        return False
    except UnreadableFileError as error:
        merge.damaged.append(Damage(path, str(error)))
        return True
    part = store_paths.parse_part(path)
    weights = store_paths.parse_weights(path)
    digest = part.digest if part else weights or store_paths.parse_version(path) or ""
    if not ident.digest(content).startswith(digest) or (part and len(content) != part.size):
        merge.damaged.append(Damage(path, "its content has another digest than its name"))
        return True
    if replaces:
        into.objects.move(path, store_paths.DAMAGED + path)
        merge.healed.append(path)
    if into.objects.create(path, content):
        merge.parts += bool(part)
        merge.weights += bool(weights)
        merge.bytes += len(content)
    return True
