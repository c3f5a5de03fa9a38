"""The process that holds a store, as an object of the store's lease names it."""

import dataclasses
import json
import math
import os
import socket
import subprocess
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sweeper.errors import UnreadableFileError
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import ObjectInfo, Objects


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a store.

    Its host, place and start time distinguish it from processes of other machines and containers, and from a later
    process that got the same id. Its times are those of its own clock, so another machine only shows them.
    """

    token: str  # random, different for each `Lease` object
    host: str
    place: str  # boot of the machine and namespace of process ids: ids are comparable only if both are the same
    pid: int
    started: str  # start time of the process, in the form that the operating system gives
    silence: float  # seconds without a heartbeat after which another process may take over
    at: str  # time of the last heartbeat, ISO 8601, UTC
    free: bool = False  # True: the holder released the store
    since: str = ""  # time at which it took the store, ISO 8601, UTC; "" in leases of earlier versions

    @classmethod
    def of_this_process(cls, silence: float) -> Self:
        """Describe the calling process as a holder.

        Args:
            silence: The seconds without a heartbeat after which another process may take over.
        """
        pid, time = os.getpid(), now()
        return cls(uuid.uuid4().hex, socket.gethostname(), _place(), pid, _start_time(pid), silence, time, since=time)

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Return the holder that a lease object names; fields that this version doesn't know are left out.

        Raises:
            ValueError: The content is something else.
        """
        values = json.loads(content)
        if not isinstance(values, dict):
            raise ValueError("a lease object is a mapping")
        names = {field.name for field in dataclasses.fields(cls)}
        try:
            holder = cls(**{name: value for name, value in values.items() if name in names})
            holder._check()
        except (TypeError, OverflowError) as error:
            raise ValueError(str(error)) from None
        return holder

    def to_json(self) -> bytes:
        """Return the content of a lease object."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @property
    def is_on_this_machine(self) -> bool:
        """True if the process ids of the holder and of this process can be compared."""
        return bool(self.place) and (self.host, self.place) == (socket.gethostname(), _place())

    @property
    def has_ended(self) -> bool:
        """True if the holder ran on this machine and its process no longer exists."""
        return self.is_on_this_machine and _start_time(self.pid) != self.started

    def __str__(self) -> str:
        since = f", which has held it since {_to_the_second(self.since)}" if self.since else ""
        return f"process {self.pid} on {self.host}{since}"

    @property
    def last_heartbeat(self) -> str:
        """The time of the last heartbeat by the holder's own clock, as text."""
        return _to_the_second(self.at)

    def _check(self) -> None:
        """Compare the types of the fields with those that are declared.

        Raises:
            ValueError: A field has another type, or a value that no holder has.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            expected = (int, float) if field.type is float else field.type
            if not isinstance(value, expected) or (isinstance(value, bool) and field.type is not bool):  # type: ignore[arg-type]
                raise ValueError(f"{field.name} is {value!r}")
        if not (math.isfinite(self.silence) and self.silence > 0):
            raise ValueError(f"silence is {self.silence}")
        for time in filter(None, (self.at or "none", self.since)):
            datetime.fromisoformat(time)


def newest_lease(objects: Objects) -> ObjectInfo | None:
    """Return the lease object with the highest number; None if there is none."""
    return max(objects.list(store_paths.LEASE), key=lambda info: number_of(info) or 0, default=None)


def number_of(info: ObjectInfo | None) -> int:
    """Return the number of a lease object; 0 for no object or another one."""
    return (info and store_paths.parse_lease(info.path)) or 0


def read_lease(objects: Objects, number: int) -> Holder | None:
    """Read a lease object; return None if it is missing, or truncated because its writer died."""
    try:
        return Holder.from_json(objects.read(store_paths.lease(number)))
    except (FileNotFoundError, UnreadableFileError, ValueError):
        return None


def read_holder(objects: Objects) -> Holder | None:
    """Return the process that holds a store; None if there is none, or if it has ended on this machine.

    One look can't tell whether a process on another machine has ended: `DriverWatch` says how long it has been silent.
    """
    holder = read_lease(objects, number_of(newest_lease(objects)))
    return None if holder is None or holder.free or holder.has_ended else holder


def now() -> str:
    """Return the time of this machine's clock, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat()


def _to_the_second(time: str) -> str:
    return datetime.fromisoformat(time).strftime("%Y-%m-%d %H:%M:%S UTC")


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
