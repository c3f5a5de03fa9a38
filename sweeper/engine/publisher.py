"""The publisher of a run's progress: a thread that writes it to the store every few seconds.

It is a thread because a bucket that does not answer is tried for a minute, and a run goes on meanwhile.
"""

import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Self

from sweeper.errors import StoreError
from sweeper.store.progress import Progress
from sweeper.store.store import Store

from .progress import Status

PERIOD = 5.0  # seconds; on S3 a day of it costs nine cents
END_SECONDS = 2.0  # for the last request


class Publisher:
    """A context manager that publishes the latest status of a run, and deletes it when the run ends."""

    def __init__(self, store: Store, run: str, period: float = PERIOD):
        self._run, self._period = run, period
        self._log = store.progress_log(run)
        self._latest: Status | None = None
        self._has_status, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._publish_all, name="sweeper-progress", daemon=True)

    def show(self, status: Status) -> None:
        """Take in the latest status; the first one is published at once."""
        self._latest = status
        self._has_status.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._has_status.set()
        self._thread.join(END_SECONDS)

    def _publish_all(self) -> None:
        self._has_status.wait()
        while not self._stopped.is_set() and self._latest is not None:
            # Whoever watches sees that the progress is old; the run itself reports a store that can't be written.
            with suppress(StoreError, OSError):
                self._log.publish(_progress(self._run, self._latest))
            self._stopped.wait(self._period)
        with suppress(StoreError, OSError):
            self._log.clear()


def _progress(run: str, status: Status) -> Progress:
    return Progress(
        run=run,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        done=status.done,
        failed=status.failed,
        blocked=status.blocked,
        running=status.running,
        starting=status.starting,
        queued=status.queued,
        rate=status.rate,
        left=status.left,
        left_range=status.left_range,
        waiting=status.waiting,
        nodes=status.nodes,
    )
