"""Operations on a store in processes that are killed (SIGKILL) just before one of their operations on its files.

A helper process forks one process for each operation, which costs milliseconds; it never starts a thread itself.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweeper.spec.records.rows import Row

# The helper imports what an operation needs before it forks.
_HELPER = """
import pickle, sys
import sweeper.store.compaction.build, sweeper.store.care.merge
from support import killed_operations
while True:
    try:
        request = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    print(killed_operations.perform_in_a_fork(request), flush=True)
"""

_EVENTS = {"open", "os.link", "os.remove", "os.rename", "os.mkdir"}


class KilledOperations:
    """The helper process; a context manager."""

    def __enter__(self) -> "KilledOperations":
        search_path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HELPER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": search_path},
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def commit(self, url: str, rows: Sequence[Row], run: str, before: int) -> bool:
        """Commit rows in a process that dies before its operation of this number; return True if it was killed."""
        return self._perform(("commit", url, list(rows), run, before))

    def compact(self, url: str, before: int) -> bool:
        """Compact a store, and delete what was replaced, in a process as in `commit`."""
        return self._perform(("compact", url, [], "", before))

    def _perform(self, request: tuple[Any, ...]) -> bool:
        assert self._process.stdin
        assert self._process.stdout
        pickle.dump(request, self._process.stdin)
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        assert status in (0, -signal.SIGKILL), "the operation failed before it was killed"
        return status != 0


def perform_in_a_fork(request: tuple[Any, ...]) -> int:
    """Perform a request in a process of its own, and return its exit code; minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        try:
            _perform(*request)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _perform(operation: str, url: str, rows: Sequence[Row], run: str, before: int) -> None:
    from support.compaction import compact
    from sweeper.store.store import Store

    store = Store.open(url)
    _die_before(before, url)
    with store.lease():
        if operation == "commit":
            store.commit(rows, run=run, worker="w")
        else:
            compact(store)


def _die_before(number: int, folder: str) -> None:
    """Kill this process before its operation of this number on files in a folder."""
    left = number

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in _EVENTS and str(arguments[0]).startswith(folder):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
