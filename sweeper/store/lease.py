"""The lease of a store, which lets one process at a time drive it.

It is a chain of numbered objects, each created by put-if-absent; the newest one is valid. The process that creates the
next number holds the store. A heartbeat of the holder, a takeover by another process and a release each create the
next number. A holder that was suspended during a takeover therefore finds that its number is no longer the newest, and
stops. A check isn't atomic with the action that follows it, so correctness never depends on the lease: two drivers at
once would waste work but not corrupt rows.

No two clocks are compared. A process that waits for another one counts the seconds in which it sees no new number, by
its own monotonic clock. And an error of a request doesn't say whether an object was created (the acknowledgement may
have been lost), so a number that exists already is read back: each holder knows its own token.
"""

import dataclasses
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Self

from sweeper.errors import StoreBusy, StoreError, StoreUnreachableError
from sweeper.store.holder import Holder, newest_lease, now, number_of, read_lease
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Objects

_POLL_SECONDS = 1.0  # time between two looks while waiting for another driver
_LEASES_KEPT = 3  # the newest lease objects are not deleted, so that a process that has just listed them can read them
_FIRST_TRIES = 4  # of taking a free store whose storage doesn't answer
# Seconds between two looks at a lease; in a longer gap (the storage didn't answer, this machine slept) the holder could
# have sent a heartbeat that no longer shows, so silence is counted anew.
_LONGEST_GAP = 10.0


class Unreached(NamedTuple):
    """A time in which no heartbeat reached the store."""

    since: float  # its beginning on the monotonic clock, in seconds
    error: str  # why the first of them did not


class Lease:
    """A context manager that holds a store while its block runs; a thread renews the lease.

    If another driver holds the store, entering raises StoreBusy with its name. A holder on this machine whose process
    is gone is replaced at once. With `wait`, entering waits until the holder has ended or was seen to be silent for the
    `silence` (seconds) that it announced. With `take_over`, a holder on another machine is replaced at once.
    Heartbeats are written every `silence / 6` seconds.

    Args:
        objects: The storage of the store.
        wait: True waits for another driver.
        take_over: True replaces a driver that is known to be dead.
        silence: Seconds without a heartbeat after which another process may take over.
        outage: Seconds for which a storage that doesn't answer is waited for, while another driver is waited for.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        wait: bool = False,
        take_over: bool = False,
        silence: float = 120.0,
        outage: float = 600.0,
    ):
        self.objects = objects
        self.silence = silence
        self.number = 0  # number of the lease object that this process created or found last; 0: none
        self.unreached: Unreached | None = None  # set while the heartbeats don't reach the store
        self.takeover = ""  # from which process this one took the store over, and why; "" if nobody held it
        self._wait, self._take_over, self._outage = wait, take_over, outage
        self._this_process = Holder.of_this_process(silence)
        self._lock = threading.Lock()
        self._lost_event = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send_heartbeats, name="sweeper-lease", daemon=True)

    def __enter__(self) -> Self:
        attempt = _Attempt(self._take_over)
        while holder := self._take_when_reachable(attempt):
            if not self._wait:
                raise StoreBusy(_busy_message(self.objects.url, holder))
            time.sleep(_POLL_SECONDS)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        with suppress(StoreError, OSError):  # the store is out of reach: other processes take over after `silence`
            if self.is_held():
                self._advance(free=True)
        self._lost_event.set()

    @property
    def is_lost(self) -> bool:
        """True if a heartbeat or a check has found that another process took over; nothing is looked up."""
        return self._lost_event.is_set()

    def is_held(self) -> bool:
        """Look up in the store whether this process still holds it, and return the result.

        A lost lease stays lost.

        Raises:
            StoreError: If the store can't be reached.
        """
        with self._lock:
            if not self.number or self._lost_event.is_set():
                return False
            newest = number_of(newest_lease(self.objects))
            if newest > self.number and self._is_own(newest):  # the acknowledgement of a heartbeat was lost
                self.number = newest
            if newest != self.number:
                self._lost_event.set()
            return not self._lost_event.is_set()

    def _take_when_reachable(self, attempt: "_Attempt") -> Holder | None:
        """Do as `_take`; a storage that doesn't answer is tried again for some seconds, or for `outage` with `wait`.

        Raises:
            StoreUnreachableError: The storage still doesn't answer.
        """
        start, tries = time.monotonic(), 0
        while True:
            try:
                return self._take(attempt)
            except StoreUnreachableError:
                tries += 1
                is_waiting = self._wait and attempt.has_looked and time.monotonic() - start < self._outage
                if tries >= _FIRST_TRIES and not is_waiting:
                    raise
                time.sleep(_POLL_SECONDS)

    def _take(self, attempt: "_Attempt") -> Holder | None:
        """Take the lease and return None, or return the holder if another process holds it or was faster."""
        while True:
            number = number_of(newest_lease(self.objects))
            holder = read_lease(self.objects, number)
            if holder is None or holder.free or holder.token == self._this_process.token:
                reason = ""
            elif not (reason := attempt.reason_to_replace(number, holder)):
                return holder
            self.number = number
            if self._advance():
                self.takeover = f"took {self.objects.url} over from {holder}: {reason}" if reason else ""
                return None

    def _advance(self, free: bool = False) -> bool:
        """Create the next number; return False if another process has created it, which means the lease is lost."""
        with self._lock:
            holder = dataclasses.replace(self._this_process, at=now(), free=free)
            while not self.objects.create(store_paths.lease(self.number + 1), holder.to_json()):
                if not self._is_own(self.number + 1):
                    return False
                self.number += 1  # created by an earlier request, whose acknowledgement was lost
            # If this process was suspended, another one may have created the next number and deleted it again. Then
            # `create` succeeds although newer numbers exist.
            numbers = [number_of(info) for info in self.objects.list(store_paths.LEASE)]
            if max(numbers, default=0) != self.number + 1:
                return False
            self.number += 1
            with suppress(StoreUnreachableError):  # the next heartbeat deletes them
                for number in numbers:
                    if 0 < number <= self.number - _LEASES_KEPT:
                        self.objects.delete(store_paths.lease(number))
            return True

    def _is_own(self, number: int) -> bool:
        """Return True if this process created a lease object."""
        holder = read_lease(self.objects, number)
        return holder is not None and holder.token == self._this_process.token

    def _send_heartbeats(self) -> None:
        """Renew the lease until the block ends or the lease is lost; the target of the thread."""
        while not self._stop.wait(self.silence / 6):
            try:
                if not self._advance():
                    self._lost_event.set()
                    return
                self.unreached = None
            except (StoreError, OSError) as error:  # the next heartbeat tries again; others take over after `silence`
                self.unreached = self.unreached or Unreached(time.monotonic(), str(error))


class _Attempt:
    """An attempt to get a store that another process holds: how long that process has been seen to be silent.

    Args:
        take_over: True replaces the process that holds the store at the first look, but not one that was faster then.
        clock: A monotonic clock of this machine.
    """

    def __init__(self, take_over: bool, clock: Callable[[], float] = time.monotonic):
        self._take_over, self._clock = take_over, clock
        self._first_token = ""
        self._number = 0
        self._silent_since = self._looked_at = float("-inf")

    @property
    def has_looked(self) -> bool:
        """True if the storage has answered once, so that it exists."""
        return bool(self._first_token)

    def reason_to_replace(self, number: int, holder: Holder) -> str:
        """Take in a look at the lease, and return why its holder may be replaced now; "" if it may not.

        Raises:
            StoreBusy: The holder was to be taken over, but its process lives on this machine.
        """
        self._first_token = self._first_token or holder.token
        seconds = self._clock()
        if number != self._number or seconds - self._looked_at > _LONGEST_GAP:
            self._number, self._silent_since = number, seconds
        self._looked_at = seconds
        if holder.has_ended:
            return "its process has ended"
        if self._take_over and holder.token == self._first_token:
            if holder.is_on_this_machine:
                raise StoreBusy(f"{holder} is alive, so it isn't taken over; end it first: kill {holder.pid}")
            return "--take-over says that it is dead"
        if seconds - self._silent_since > holder.silence:
            return f"it has sent no heartbeat for {holder.silence:g} s"
        return ""


def _busy_message(url: str, holder: Holder) -> str:
    return (
        f"{url} is in use by {holder} (last heartbeat {holder.last_heartbeat} by its clock); wait for it with --wait, "
        f"which takes over if there is no heartbeat for {holder.silence:g} s, or stop it; if it is dead, --take-over "
        "takes over at once"
    )
