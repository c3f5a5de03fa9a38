"""Tasks that have more than one row, because a task was retried after its worker was lost, or stores were merged.

Views sort only the rows of these tasks, because sorting all rows of a million tasks takes seconds. The search for them
takes 0.3 s for a million tasks, so its result is stored in the user's cache folder, together with a hash of the list of
parts.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import duckdb

from sweeper.files import read_cached_text, write_cache
from sweeper.spec.records.ident import digest
from sweeper.store.parts.verify import VerifiedPart

_MAX_STORED_TASKS = 10_000  # longer lists are not stored


class Repeats:
    """A cache of the repeated tasks of each kind, valid for one list of parts; its file can be deleted at any time."""

    def __init__(self, file: Path):
        self.file = file

    def find(self, con: duckdb.DuckDBPyConnection, kind: str, parts: Sequence[VerifiedPart]) -> list[str]:
        """Return the ids of the tasks of a kind that have several rows.

        Args:
            con: A connection with the table `parts_<kind>`.
            kind: The kind of rows.
            parts: The parts whose rows the table has.
        """
        read_rows = "\n".join(f"{part.name.path} {sorted(part.hidden)}" for part in parts)
        fingerprint = digest(read_rows.encode())
        entry_by_kind = self._read()
        stored_fingerprint, tasks = entry_by_kind.get(kind, ("", []))
        if stored_fingerprint != fingerprint:
            tasks = _search(con, kind)
            if len(tasks) <= _MAX_STORED_TASKS:
                write_cache(self.file, json.dumps({**entry_by_kind, kind: (fingerprint, tasks)}))
        return tasks

    def _read(self) -> dict[str, tuple[str, list[str]]]:
        """Read the fingerprint of the parts and their repeated tasks, by kind; empty if there is no valid file."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            entry_by_kind = json.loads(read_cached_text(self.file))
            return {kind: (str(fingerprint), list(tasks)) for kind, (fingerprint, tasks) in entry_by_kind.items()}
        return {}


def _search(con: duckdb.DuckDBPyConnection, kind: str) -> list[str]:
    """Search for the tasks with several rows.

    Hashes are counted first, which takes half the time of counting texts; most stores have no such task.
    """
    (repeated,) = con.sql(f"SELECT count(*) <> count(DISTINCT hash(task)) FROM parts_{kind}").fetchall()[0]
    if not repeated:
        return []
    rows = con.sql(f"SELECT task FROM parts_{kind} GROUP BY task HAVING count(*) > 1 ORDER BY task")
    return [task for (task,) in rows.fetchall()]
