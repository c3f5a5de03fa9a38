"""Tasks that have more than one row, because a lost worker's task was retried or stores were merged.

Views sort only the rows of these, because sorting all rows of a million tasks takes seconds. Finding them takes 0.3 s
for a million tasks, so the result is stored in the user's cache folder, for the list of parts.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import duckdb

from sweeper.files import write_atomically
from sweeper.store.parts.verify import VerifiedPart

_MOST = 10_000  # longer lists of tasks are not stored


class Repeats:
    """A cache of the repeated tasks of each kind, valid for one list of parts; it may be deleted."""

    def __init__(self, file: Path):
        self.file = file

    def find(self, con: duckdb.DuckDBPyConnection, kind: str, parts: Sequence[VerifiedPart]) -> list[str]:
        """Return the repeated tasks of a kind, whose rows are in the table `parts_<kind>`."""
        paths = "\n".join(part.name.path for part in parts)
        fingerprint = hashlib.sha256(paths.encode()).hexdigest()
        known = self._read()
        parts_then, tasks = known.get(kind, ("", []))
        if parts_then != fingerprint:
            tasks = _search(con, kind)
            if len(tasks) <= _MOST:
                with suppress(OSError):
                    self.file.parent.mkdir(parents=True, exist_ok=True)
                    write_atomically(self.file, json.dumps({**known, kind: (fingerprint, tasks)}))
        return tasks

    def _read(self) -> dict[str, tuple[str, list[str]]]:
        """Read the fingerprint of the parts and their repeated tasks, by kind."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            known = json.loads(self.file.read_bytes())
            return {kind: (str(fingerprint), list(tasks)) for kind, (fingerprint, tasks) in known.items()}
        return {}


def _search(con: duckdb.DuckDBPyConnection, kind: str) -> list[str]:
    """Query the repeated tasks; first compare hashes, which are counted twice as fast as texts."""
    (repeated,) = con.sql(f"SELECT count(*) <> count(DISTINCT hash(task)) FROM parts_{kind}").fetchall()[0]
    if not repeated:
        return []
    rows = con.sql(f"SELECT task FROM parts_{kind} GROUP BY task HAVING count(*) > 1 ORDER BY task")
    return [task for (task,) in rows.fetchall()]
