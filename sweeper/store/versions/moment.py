"""What `--as-of` names: the digest of a version, or a time.

As of a time a store has the parts whose latest row was made by then, by the clock of the worker that made it. This time
is in the name of a part, so a store that was compacted, copied or merged gives the same rows as before.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from sweeper.errors import StoreError, UsageError
from sweeper.spec.records.rows import ROWS
from sweeper.store.parts import store_paths
from sweeper.store.parts.compacted import PART
from sweeper.store.parts.verify import VerifiedPart, by_kind
from sweeper.store.query.query import connect_parts

_DIGEST = re.compile(r"[0-9a-f]{6,64}")


def parse_moment(text: str) -> str | datetime:
    """Return the digest, or the first digits of one, or the time that a text names; a time without a zone is UTC.

    Raises:
        UsageError: It is neither, or the time has not come yet.
    """
    text = text.strip()
    if _DIGEST.fullmatch(text.lower()):
        return text.lower()
    try:
        if "-" not in text:
            raise ValueError
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--as-of {text}: give the digest of a version (6 to 16 hexadecimal digits, as printed under tables), or a "
            "time such as 2026-03-01T14:30 (UTC) or 2026-03-01T14:30+02:00"
        ) from None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    if time > datetime.now(UTC):
        raise UsageError(f"--as-of {text}: this time has not come yet, so more results may come until then")
    return time


def original_parts_by(time: datetime, parts: Iterable[VerifiedPart]) -> dict[str, frozenset[str]]:
    """Return the digests of the original parts whose latest row was made by a time, by kind.

    Raises:
        StoreError: There is none, or a part has no time in its name.
        PartChangedError: A part was moved away or damaged after it was verified.
    """
    paths = list(_original_paths(list(parts)))
    times = {path: store_paths.time_of(path) for path in paths}
    if unknown := [path for path, at in times.items() if at is None]:
        raise StoreError(f"{unknown[0]} has no time in its name; give --as-of the digest of a version instead")
    digests_by_kind: dict[str, set[str]] = {}
    for path, at in times.items():
        if at and at <= time and (name := store_paths.parse_part(path)):
            digests_by_kind.setdefault(name.kind, set()).add(name.digest)
    if not digests_by_kind:
        first = min((at for at in times.values() if at), default=None)
        began = f"its first results were made at {first:%Y-%m-%d %H:%M:%S} UTC" if first else "it has none yet"
        raise StoreError(f"the store has no results as of {time:%Y-%m-%d %H:%M:%S} UTC; {began}")
    return {kind: frozenset(digests) for kind, digests in digests_by_kind.items()}


def _original_paths(parts: list[VerifiedPart]) -> Iterable[str]:
    """Yield the paths of the original parts whose rows are read from parts."""
    for kind, row in ROWS.items():
        of_kind = by_kind(parts, kind)
        yield from (part.name.path for part in of_kind if not part.originals)
        if merged := [part for part in of_kind if part.originals]:
            with connect_parts(row, merged) as con:
                yield from (path for (path,) in con.sql(f"SELECT DISTINCT {PART} FROM parts_{kind}").fetchall())
