"""The wait for a store that can't be reached: its bucket doesn't answer, credentials have expired, its disk is full.

Workers, the driver and commands that work for long keep what is finished in memory meanwhile, and store it when the
store answers again, so that an outage costs time but no task. A wait has an end (`engine.wait_for_store`), at which the
run or the command ends.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, cast

from sweeper.errors import StoreUnreachableError
from sweeper.plan.duration import duration
from sweeper.spec.records.rows import Row

from .work import ScratchStore, WorkerStore, load_object

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0  # seconds between two tries; each pause is twice as long as the one before
LOOK_SECONDS = 0.5  # between two looks, in a pause, whether it is still worth waiting

T = TypeVar("T")


class Outage:
    """The wait of one process for its store.

    Args:
        seconds: How long an outage is waited out.
        on_change: Called with what is waited for, after each try that failed, and with "" when the wait is over.
        may_wait: Returns False if the process must end, so that it doesn't wait any more.
        clock: Returns seconds.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        seconds: float,
        on_change: Callable[[str], None] = lambda text: None,
        may_wait: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.text = ""  # what is waited for now; "": nothing
        self._seconds, self._on_change, self._may_wait = seconds, on_change, may_wait
        self._clock, self._sleep = clock, sleep

    def wait_out(self, call: Callable[[], T]) -> T:
        """Return the result of a call of the store, which is repeated while the store can't be reached.

        Raises:
            StoreUnreachableError: The store could not be reached for `seconds`, or the process must end.
        """
        end, pause = None, FIRST_PAUSE
        try:
            while True:
                try:
                    return call()
                except StoreUnreachableError as error:
                    end = end or self._clock() + self._seconds
                    self._set_text(f"waiting for the store, for up to {duration(self._seconds)}: {error}")
                    if not self._pause(min(pause, end - self._clock())):
                        raise
                    if self._clock() >= end:
                        raise StoreUnreachableError(f"{error}; given up after {duration(self._seconds)}") from None
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            if self.text:
                self._set_text("")

    def _set_text(self, text: str) -> None:
        self.text = text
        self._on_change(text)

    def _pause(self, seconds: float) -> bool:
        """Wait; return False, as soon as it is known, if the process must end."""
        end = self._clock() + seconds
        while (is_worthwhile := self._may_wait()) and (left := end - self._clock()) > 0:
            self._sleep(min(LOOK_SECONDS, left))
        return is_worthwhile


def begin_and_end(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return an `on_change` of `Outage` that says the beginning and the end of each wait, but no try between them."""
    is_waiting = False

    def on_change(text: str) -> None:
        nonlocal is_waiting
        if bool(text) != is_waiting:
            is_waiting = bool(text)
            say(text or "the wait for the store is over")

    return on_change


class StoreLost(BaseException):
    """The end of a worker's wait for its store.

    It is not an `Exception`, because a performer records those as failures of its tasks, which have done nothing wrong.
    """


class WaitingStore:
    """The store of a worker, whose methods wait out an outage.

    Its methods raise StoreLost at the end of the wait. States of long tasks are not waited for: without them a task
    goes on.
    """

    def __init__(self, store: WorkerStore, outage: Outage):
        self._store, self._outage = store, outage
        self.scratch: ScratchStore = _WaitingScratch(store.scratch, outage)

    @classmethod
    def open(cls, opener: str, url: str, outage: Outage) -> "WaitingStore":
        """Open the store at a URL by the class that `module:class` names.

        Raises:
            StoreLost: It could not be reached.
        """
        open_store: Callable[[str], WorkerStore] = load_object(opener).open  # type: ignore[attr-defined]
        return cls(_until_lost(outage, lambda: cast(WorkerStore, open_store(url))), outage)

    def commit(self, rows: Iterable[Row], *, run: str, worker: str) -> object:
        """Write rows as one part."""
        kept_rows = list(rows)
        return self._wait_out(lambda: self._store.commit(kept_rows, run=run, worker=worker))

    def put_weights(self, content: bytes) -> str:
        """Write the content of a weight file and return its digest."""
        return self._wait_out(lambda: self._store.put_weights(content))

    def get_weights(self, digest: str) -> bytes:
        """Return the content of the weight file with a digest."""
        return self._wait_out(lambda: self._store.get_weights(digest))

    def _wait_out(self, call: Callable[[], T]) -> T:
        return _until_lost(self._outage, call)


class _WaitingScratch:
    """The saved states of a `WaitingStore`."""

    def __init__(self, scratch: ScratchStore, outage: Outage):
        self._scratch, self._outage = scratch, outage
        self.write, self.drop = scratch.write, scratch.drop

    def read(self, computation: str) -> Sequence[tuple[str, bytes]]:
        """Return the names and contents of the sound states of a computation."""
        return _until_lost(self._outage, lambda: self._scratch.read(computation))


def _until_lost(outage: Outage, call: Callable[[], T]) -> T:
    """Return the result of a call of the store.

    Raises:
        StoreLost: The store could not be reached for as long as it is waited for.
    """
    try:
        return outage.wait_out(call)
    except StoreUnreachableError as error:
        raise StoreLost(str(error)) from None
