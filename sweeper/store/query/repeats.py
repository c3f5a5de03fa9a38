"""Which tasks have more than one row: retries of a lost worker, merged stores.

Views sort only these, for to sort all rows of a million tasks takes seconds. Looking for them takes a fraction of one
(a million tasks: 0.3 s), so the answer is remembered for a list of parts, in the user's cache folder.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import duckdb

from sweeper.store.parts.verify import Part, atomically

_MOST = 10_000  # more tasks than this are not worth a file


class Repeats:
    """Remembers the repeated tasks of each kind, for the parts that were there. Harmless when lost."""

    def __init__(self, file: Path):
        self.file = file

    def find(self, con: duckdb.DuckDBPyConnection, kind: str, parts: Sequence[Part]) -> list[str]:
        """The repeated tasks of a kind, whose rows are in `parts_<kind>`."""
        paths = "\n".join(part.name.path for part in parts)
        fingerprint = hashlib.sha256(paths.encode()).hexdigest()
        known = self._read()
        parts_then, tasks = known.get(kind, ("", []))
        if parts_then != fingerprint:
            tasks = _search(con, kind)
            if len(tasks) <= _MOST:
                with suppress(OSError):
                    atomically(self.file, json.dumps({**known, kind: (fingerprint, tasks)}).encode())
        return tasks

    def _read(self) -> dict[str, tuple[str, list[str]]]:
        """By kind: the fingerprint of the parts, and the tasks that were repeated in them."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            known = json.loads(self.file.read_bytes())
            return {kind: (str(fingerprint), list(tasks)) for kind, (fingerprint, tasks) in known.items()}
        return {}


def _search(con: duckdb.DuckDBPyConnection, kind: str) -> list[str]:
    """Hashes first: equal ones are rare enough, and they are counted twice as fast as texts."""
    (repeated,) = con.sql(f"SELECT count(*) <> count(DISTINCT hash(task)) FROM parts_{kind}").fetchall()[0]
    if not repeated:
        return []
    found = con.sql(f"SELECT task FROM parts_{kind} GROUP BY task HAVING count(*) > 1 ORDER BY task")
    return [task for (task,) in found.fetchall()]
