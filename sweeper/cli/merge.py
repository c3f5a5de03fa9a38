"""The command `merge`, which adds the results of one store to another."""

from dataclasses import asdict

from . import places, show

SHOWN = 8  # damaged files of the source that are listed; --json has all


def print_merge(into: str, source: str, json: bool) -> int:
    """Merge two stores, print what was added, and return the exit code: 1 if damaged files were left out, else 0."""
    from sweeper.store.care.merge import merge_stores

    target, other = places.open_store(into), places.open_store(source)
    with show.progress() as progress:
        merge = merge_stores(target, other, progress)
    if json:
        damaged = [damage._asdict() for damage in merge.damaged]
        show.print_json({"store": target.url, "source": other.url, **asdict(merge), "damaged": damaged})
    else:
        added = f"{merge.parts:,} parts and {merge.weights:,} files of weights, {show.format_bytes(merge.bytes)}"
        lines = [f"added {added}, to {target.url}", f"{merge.tasks:,} tasks are done there that were not before"]
        if merge.healed:
            lines.append(f"{len(merge.healed):,} of them replaced damaged files, which lie in damaged/ now")
        if merge.damaged:
            lines.append(f"{len(merge.damaged):,} damaged files of {other.url} were not copied:")
            lines += [f"  {path}: {reason}" for path, reason in merge.damaged[:SHOWN]]
        show.write("\n".join(lines))
    return 1 if merge.damaged else 0
