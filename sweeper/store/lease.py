"""The lease of a store, which lets one process at a time drive it.

It is a chain of numbered objects, each created by put-if-absent; the newest one is valid. The process that creates the
next number holds the store. A heartbeat of the holder, a takeover by another process and a release each create the
next number. A holder that was suspended during a takeover therefore finds that its number is no longer the newest, and
stops. A check isn't atomic with the action that follows it, so correctness never depends on the lease: two drivers at
once would waste work but not corrupt rows.
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

_POLL_SECONDS = 1.0  # time between two checks while waiting for another driver
_LEASES_KEPT = 3  # the newest lease objects are not deleted, so that a process that has just listed them can read them


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a store.

    Its host, place and start time distinguish it from processes of other machines and containers, and from a later
    process that got the same id.
    """

    token: str  # random, different for each `Lease` object
    host: str
    place: str  # boot of the machine and namespace of process ids: ids are comparable only if both are the same
    pid: int
    started: str  # start time of the process, in the form that the operating system gives
    silence: float  # seconds without a heartbeat after which another process may take over
    at: str  # time of the last heartbeat, ISO 8601, UTC
    free: bool = False  # True: the holder released the store

    @classmethod
    def of_this_process(cls, silence: float) -> Self:
        """Describe the calling process as a holder.

        Args:
            silence: The seconds without a heartbeat after which another process may take over.
        """
        pid = os.getpid()
        return cls(uuid.uuid4().hex, socket.gethostname(), _place(), pid, _start_time(pid), silence, _now())

    @property
    def has_ended(self) -> bool:
        """True if the holder ran on this machine and its process no longer exists."""
        on_this_machine = (self.host, self.place) == (socket.gethostname(), _place())
        return on_this_machine and bool(self.place) and _start_time(self.pid) != self.started

    @property
    def alive(self) -> bool:
        """True if the holder still has the store: not released, not ended, and its heartbeats go on."""
        return not (self.free or self.has_ended or self._is_silent())

    def _is_silent(self) -> bool:
        """Return True if the last heartbeat is older than the `silence` that the holder announced."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.at)).total_seconds() > self.silence


class Lease:
    """A context manager that holds a store while its block runs; a thread renews the lease.

    If another driver holds the store, entering raises StoreBusy with its name, or, with `wait`, waits until that driver
    has ended or stopped sending heartbeats. A holder on this machine whose process is gone is replaced at once, a
    holder on another machine after the `silence` (seconds) that it announced. Heartbeats are written every `silence /
    6` seconds. Clocks of two machines are compared, so `silence` should be well above their possible difference.
    """

    def __init__(self, objects: Objects, *, wait: bool = False, silence: float = 120.0):
        self.objects = objects
        self.silence = silence
        self.number = 0  # number of the lease object that this process created or found last; 0: none
        self._wait = wait
        self._this_process = Holder.of_this_process(silence)
        self._lock = threading.Lock()
        self._lost_event = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send_heartbeats, name="sweeper-lease", daemon=True)

    def __enter__(self) -> Self:
        while holder := self._take():
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

    def is_held(self) -> bool:
        """Look up in the store whether this process still holds it, and return the result.

        A lost lease stays lost.

        Raises:
            StoreError: If the store can't be reached.
        """
        with self._lock:
            if not self.number or self._lost_event.is_set():
                return False
            if _newest_number(self.objects) != self.number:
                self._lost_event.set()
            return not self._lost_event.is_set()

    def _take(self) -> Holder | None:
        """Take the lease and return None, or return the holder if another process holds it or was faster."""
        while True:
            number = _newest_number(self.objects)
            current_holder = _read(self.objects, number)
            if current_holder and current_holder.alive:
                return current_holder
            self.number = number
            if self._advance():
                return None

    def _advance(self, free: bool = False) -> bool:
        """Create the next number; return False if another process has created it, which means the lease is lost."""
        with self._lock:
            holder = dataclasses.replace(self._this_process, at=_now(), free=free)
            created = self.objects.create(
                store_paths.lease(self.number + 1), json.dumps(dataclasses.asdict(holder)).encode()
            )
            # If this process was suspended, another one may have created the next number and deleted it again. Then
            # `create` succeeds although newer numbers exist.
            if not created or _newest_number(self.objects) != self.number + 1:
                return False
            self.number += 1
            self._delete_old()
            return True

    def _send_heartbeats(self) -> None:
        """Renew the lease until the block ends or the lease is lost; the target of the thread."""
        while not self._stop.wait(self.silence / 6):
            try:
                if not self._advance():
                    self._lost_event.set()
                    return
            except (StoreError, OSError):
                continue  # no network: the next heartbeat tries again; other processes take over after `silence`

    def _delete_old(self) -> None:
        """Delete all lease objects but the newest ones."""
        for info in self.objects.list(store_paths.LEASE):
            number = store_paths.parse_lease(info.path)
            if number is not None and number <= self.number - _LEASES_KEPT:
                self.objects.delete(info.path)


def read_holder(objects: Objects) -> Holder | None:
    """Return the process that holds a store now; None if there is none."""
    holder = _read(objects, _newest_number(objects))
    return holder if holder and holder.alive else None


def _newest_number(objects: Objects) -> int:
    """Return the highest number of the lease objects; 0 if there is none."""
    numbers = (store_paths.parse_lease(info.path) for info in objects.list(store_paths.LEASE))
    return max((number for number in numbers if number is not None), default=0)


def _read(objects: Objects, number: int) -> Holder | None:
    """Read a lease object; return None if it is missing, or truncated because its writer died."""
    try:
        return Holder(**json.loads(objects.read(store_paths.lease(number))))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _busy_message(url: str, holder: Holder) -> str:
    last_heartbeat = datetime.fromisoformat(holder.at).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"{url} is in use by process {holder.pid} on {holder.host} (last heartbeat {last_heartbeat}); wait for it "
        f"with --wait, or stop it; without further heartbeats, another process can take over after {holder.silence:g} s"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _place() -> str:
    """Return the boot of this machine and the namespace of its process ids (containers have their own)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()  # not Linux: all processes of a machine share one numbering


def _start_time(pid: int) -> str:
    """Return the start time of a process in the system's own form; "" if the process is gone or a zombie."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    ps = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = ps.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()
