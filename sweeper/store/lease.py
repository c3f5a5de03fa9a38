"""One driver a store: a chain of numbered objects, each created by put-if-absent, of which the newest counts.

Whoever creates the next number holds the store: its holder's heartbeats are the next numbers, a takeover is the next
number, and so is giving it up. So a holder that slept through a takeover finds that its number is not the newest any
more, and is fenced. No check is atomic with what follows it, so truth never rests on the lease: two drivers at once
would waste work, not spoil rows.
"""

import dataclasses
import json
import os
import socket
import subprocess
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sweeper.errors import StoreBusy, StoreError
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Objects

_POLL = 1.0  # seconds between two looks while waiting
_KEPT = 3  # newest numbers that stay: a reader that has just listed them can still read them


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a store: enough to tell a process from a later one with its id, and a container from its neighbour."""

    token: str
    host: str
    place: str  # machine boot and process namespace: process ids can be compared only within one
    pid: int
    started: str  # when the process started, as its system counts
    silence: float  # seconds without a heartbeat after which it may be taken for dead
    at: str  # last heartbeat, UTC
    free: bool = False  # given up

    @classmethod
    def me(cls, silence: float) -> Self:
        pid = os.getpid()
        return cls(uuid.uuid4().hex, socket.gethostname(), _place(), pid, _started(pid), silence, _now())

    @property
    def gone(self) -> bool:
        """Known to be dead: a process of this very machine that isn't there any more."""
        here = (self.host, self.place) == (socket.gethostname(), _place())
        return here and bool(self.place) and _started(self.pid) != self.started

    @property
    def alive(self) -> bool:
        return not (self.free or self.gone or self.silent())

    def silent(self) -> bool:
        """Without a heartbeat for longer than it said it would be."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.at)).total_seconds() > self.silence


class Lease:
    """Holds a store while its `with` block runs; a thread renews it.

    Entering raises StoreBusy, naming the holder, where another driver is at work; with `wait` it waits until that one
    has ended or fallen silent. A holder on this machine whose process is gone is followed at once, one elsewhere after
    the `silence` (seconds) that it announced. Heartbeats are written every `silence / 6` seconds; clocks of two
    machines are compared, so `silence` should be well above what they may differ by.
    """

    def __init__(self, objects: Objects, *, wait: bool = False, silence: float = 120.0):
        self.objects = objects
        self.silence = silence
        self.number = 0
        self._wait = wait
        self._me = Holder.me(silence)
        self._lock = threading.Lock()
        self._lost = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="sweeper-lease", daemon=True)

    def __enter__(self) -> Self:
        while holder := self._take():
            if not self._wait:
                raise StoreBusy(_busy(self.objects.url, holder))
            time.sleep(_POLL)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        with suppress(StoreError, OSError):  # out of reach: others will see the silence
            if self.held():
                self._advance(free=True)
        self._lost.set()

    @property
    def epoch(self) -> int:
        """The number that this holder created last; grows with every heartbeat and every takeover."""
        return self.number

    def held(self) -> bool:
        """Whether this process still drives the store: looked up, not remembered. False for good once it was lost.

        Raises StoreError where the store can't be reached.
        """
        with self._lock:
            if not self.number or self._lost.is_set():
                return False
            if _newest(self.objects) != self.number:
                self._lost.set()
            return not self._lost.is_set()

    def _take(self) -> Holder | None:
        """Takes the lease; returns the holder where another one is alive (or was faster)."""
        while True:
            number = _newest(self.objects)
            found = _read(self.objects, number)
            if found and found.alive:
                return found
            self.number = number
            if self._advance():
                return None

    def _advance(self, free: bool = False) -> bool:
        """Creates the next number; False (and lost) where another process has."""
        with self._lock:
            me = dataclasses.replace(self._me, at=_now(), free=free)
            created = self.objects.create(
                store_paths.lease(self.number + 1), json.dumps(dataclasses.asdict(me)).encode()
            )
            # A number that was created and cleared away while this process slept is free again: look once more.
            if not created or _newest(self.objects) != self.number + 1:
                return False
            self.number += 1
            self._clear()
            return True

    def _beat(self) -> None:
        while not self._stop.wait(self.silence / 6):
            try:
                if not self._advance():
                    self._lost.set()
                    return
            except (StoreError, OSError):
                continue  # the network is away: the next beat tries again, and others see the silence

    def _clear(self) -> None:
        for found in self.objects.list(store_paths.LEASE):
            number = store_paths.parse_lease(found.path)
            if number is not None and number <= self.number - _KEPT:
                self.objects.delete(found.path)


def holder(objects: Objects) -> Holder | None:
    """Who drives a store now; None where nobody does."""
    found = _read(objects, _newest(objects))
    return found if found and found.alive else None


def _newest(objects: Objects) -> int:
    numbers = (store_paths.parse_lease(found.path) for found in objects.list(store_paths.LEASE))
    return max((number for number in numbers if number is not None), default=0)


def _read(objects: Objects, number: int) -> Holder | None:
    """None where there is none, or where it died while writing."""
    try:
        return Holder(**json.loads(objects.read(store_paths.lease(number))))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _busy(url: str, holder: Holder) -> str:
    since = datetime.fromisoformat(holder.at).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"{url} is being driven by process {holder.pid} on {holder.host} (last heartbeat {since}); "
        f"wait for it with --wait, or stop it: after {holder.silence:g} s of silence another driver may take over"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()  # no Linux: one machine, one space of process ids


def _started(pid: int) -> str:
    """When a process started; "" where there is none (or only its remains, not waited for yet)."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = shown.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()
