"""The guard of a driver: a process that outlives it, answers its signals and records its end.

Ray's own calls can hold the driver's main thread for minutes (a dead raylet, a GCS that is gone), and Python then runs
no signal handler; Ray also ends a driver whose GCS is gone without any Python code running. So a second process, which
uses neither Ray nor threads, holds what must not depend on the driver's state:

- The operating system writes each signal of the driver to a pipe of this process (`signal.set_wakeup_fd`). The guard
  acknowledges it on stderr within a second, and kills the driver if that has not ended a stated time later.
- It looks once a second whether the driver's raylet and GCS live, and kills a driver that does not end without them.
- When the driver is gone without having recorded its end, the guard writes the end row of the run and prints how to
  continue.

It is started with the file's path (`python -I -S guard_process.py`), which takes 20 ms, and imports Sweeper only to
write a row. The driver's messages are lines of JSON with the fields of `State`.
"""

import contextlib
import errno
import json
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

LOOK_SECONDS = 1.0  # between two looks at Ray
LEAVE_SECONDS = 12.0  # until a driver without Ray, which was told so, is killed
SECOND_SIGNAL_SECONDS = 3.0  # until the driver is killed after the second Ctrl-C or SIGTERM
OBEY_SECONDS = 1.0  # until a driver that was told to leave, but whose interpreter is held by a call, is killed

ANSWER_SECONDS = 5.0  # that the GCS may take to answer; it needs milliseconds on a machine that is not overloaded
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # with empty settings

USES_TLS = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")

STOPPED = "T"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class State:
    """What the driver has told the guard. A message changes the fields that it names."""

    limit: float = 3.0  # seconds from the first signal until the driver is killed
    notice: str = "stopping; no task has started"  # printed at the first signal
    command: str = ""  # that continues the run
    row: dict[str, Any] = field(default_factory=dict)  # fields of the end row; empty: there is none to write
    store: str = ""  # URL
    opener: str = ""  # "module:class" of the store
    path: list[str] = field(default_factory=list)  # the driver's sys.path
    start_seconds: float = 0.0  # that Ray may take to start from now on; 0: it is not starting
    gcs: str = ""  # address of Ray's GCS; "": there is none to watch
    raylet: int = 0  # process id of the raylet on this machine; 0: unknown
    # Seconds for which the GCS may be silent, or the raylet stopped, before it counts as lost. Ray itself waits 60 s.
    patience: float = 20.0
    ended: bool = False  # the driver has printed and recorded its end


class GuardProcess:
    """The state of the guard, and what it does."""

    def __init__(self, driver: int, messages: socket.socket, signals: int):
        self.state = State()
        self._driver, self._messages, self._signals = driver, messages, signals
        self._buffer = b""
        self._received = 0  # signals
        self._kill_at = float("inf")
        self._told_to_leave = False
        self._next_look = 0.0
        self._started_at = 0.0  # the time at which Ray began to start
        self._probe: GrpcProbe | None = None
        self._silent_since: float | None = None  # time of the first look at the GCS without an answer
        self._stopped_since: float | None = None  # time of the first look at a raylet that is stopped
        self._lost = ""  # why Ray is lost

    def run(self) -> None:
        """Watch until the driver has ended, then record its end if the driver has not."""
        self._messages.setblocking(False)
        os.set_blocking(self._signals, False)
        while self._driver_lives() and not self.state.ended:
            probes = [self._probe.socket] if self._probe else []
            select.select([self._messages, self._signals, *probes], [], [], 0.5)
            connected = self._read_messages()
            self._read_signals()
            if not connected:
                break
            self._look_at_ray()
            self._end_driver_in_time()
        self._wait_for_the_driver()
        self._read_messages()
        if not self.state.ended:
            self._record_end()

    def _driver_lives(self) -> bool:
        return os.getppid() == self._driver

    def _wait_for_the_driver(self) -> None:
        """Wait until a driver that closed its end of the socket has ended; it gets a few seconds to do so."""
        self._kill_at = min(self._kill_at, time.monotonic() + SECOND_SIGNAL_SECONDS)
        while self._driver_lives() and not self.state.ended:
            self._end_driver_in_time()
            time.sleep(0.05)

    def _end_driver_in_time(self) -> None:
        """If the driver's time is over, let its thread end it with the right exit code, and a second later kill it."""
        if time.monotonic() < self._kill_at or not self._driver_lives():
            return
        if not self._told_to_leave:
            self._told_to_leave = True
            self._kill_at = time.monotonic() + OBEY_SECONDS
            self._send(leave=130 if self._received else 1)
        else:
            os.kill(self._driver, signal.SIGKILL)

    def _send(self, **message: Any) -> None:
        with contextlib.suppress(OSError):
            self._messages.send(json.dumps(message).encode() + b"\n")

    def _read_signals(self) -> None:
        try:
            numbers = os.read(self._signals, 4096)
        except BlockingIOError:
            return
        for number in numbers:
            if number in SIGNALS:
                self._on_signal(number)

    def _on_signal(self, number: int) -> None:
        """Acknowledge the first signal; after a second SIGINT or SIGTERM the driver has little time left."""
        self._received += 1
        now = time.monotonic()
        if self._received == 1:
            print_line(self.state.notice)
            self._kill_at = min(self._kill_at, now + self.state.limit)
        elif number != signal.SIGHUP:  # a closed terminal sends two of these
            self._kill_at = min(self._kill_at, now + SECOND_SIGNAL_SECONDS)

    def _read_messages(self) -> bool:
        """Take in the driver's messages; return False if it closed the socket."""
        while True:
            try:
                content = self._messages.recv(65536)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not content:
                return False
            *lines, self._buffer = (self._buffer + content).split(b"\n")
            for line in lines:
                message = json.loads(line)
                for name, value in message.items():
                    setattr(self.state, name, value)
                if "start_seconds" in message:
                    self._started_at = time.monotonic()

    def _look_at_ray(self) -> None:
        """Find out about once a second whether Ray is lost, and tell the driver, which is killed if it does not end."""
        now = time.monotonic()
        if self._lost or process_state(self._driver) == STOPPED:  # by Ctrl-Z, which may stop Ray's processes too
            self._probe = self._silent_since = self._stopped_since = None
            return
        if self.state.gcs:
            self._lost = self._why_raylet_is_lost(now) or self._why_gcs_is_lost(now)
        elif self.state.start_seconds and now - self._started_at > self.state.start_seconds:
            self._lost = f"Ray has not started within {self.state.start_seconds:g} s"
        if self._lost:
            self._kill_at = min(self._kill_at, now + LEAVE_SECONDS)
            self._send(lost=self._lost)

    def _why_raylet_is_lost(self, now: float) -> str:
        """Return why the raylet is lost; "" if it lives. The cluster gives up a raylet that is stopped."""
        state = process_state(self.state.raylet) if self.state.raylet else "S"
        name = f"Ray's raylet on this machine (process {self.state.raylet})"
        if not state:
            return f"{name} has died"
        self._stopped_since = (self._stopped_since or now) if state == STOPPED else None
        is_lost = self._stopped_since is not None and now - self._stopped_since >= self.state.patience
        return f"{name} has been stopped for {self.state.patience:g} s" if is_lost else ""

    def _why_gcs_is_lost(self, now: float) -> str:
        """Look at the GCS without blocking, and return why it is lost; "" if it is not."""
        if self._probe is None and now >= self._next_look:
            self._probe, self._next_look = GrpcProbe(self.state.gcs), now + LOOK_SECONDS
        answer = self._probe.result() if self._probe else None
        if answer is not None:
            self._probe = None
            self._silent_since = None if answer else self._silent_since or now
        if self._silent_since is None or now - self._silent_since < self.state.patience:
            return ""
        return f"the head of the Ray cluster at {self.state.gcs} has not answered for {self.state.patience:g} s"

    def _record_end(self) -> None:
        """Print how to continue, then write the end row of the run."""
        reason = self._lost or ("" if self._received else f"the driver (process {self._driver}) ended unexpectedly")
        kept = "finished tasks are kept" if self.state.row else "no task had started"
        print_line("; ".join(filter(None, [reason, kept])))
        if self.state.command:
            print_line(f"continue:  {self.state.command}")
        if self.state.row:
            outcome = "interrupted" if self._received else "failed"
            try:
                write_end_row(self.state, outcome)
            except Exception as error:  # of whatever kind: this process has nothing else to do
                print_line(f"the end of the run is not recorded in the store: {error}")


def print_line(text: str) -> None:
    """Print a line on the driver's stderr, over a progress line that may be there."""
    with contextlib.suppress(OSError):  # the terminal was closed
        os.write(2, (("\r\x1b[2K" if os.isatty(2) else "") + text + "\n").encode(errors="backslashreplace"))


def process_state(pid: int) -> str:
    """Return the letter that Linux shows for the state of a process (T: stopped); "" if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 (pathlib is slow to import)
            state = file.read().rpartition(b")")[2].split()[0].decode()
            return "" if state in ("Z", "X") else state
    except FileNotFoundError:
        if os.path.exists("/proc/self/stat"):  # noqa: PTH110
            return ""
    except OSError:
        return "S"
    try:  # there is no /proc
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        pass
    return "S"


class GrpcProbe:
    """A look at whether a gRPC server answers at an address `host:port`; it never blocks.

    Such a server sends its settings to each new connection. One that is stopped accepts connections, as the kernel does
    it, but sends nothing. With TLS, only the connection is tried.
    """

    def __init__(self, address: str):
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.setblocking(False)
        self._give_up_at = time.monotonic() + ANSWER_SECONDS
        self._sent = False
        with contextlib.suppress(OSError):
            self.socket.connect((host, int(port)))

    def result(self) -> bool | None:
        """Return True if the server has answered, False if it has not in time, None as long as it may."""
        try:
            if not self._sent:
                self.socket.sendall(HTTP2_PREFACE)
                self._sent = True
            if USES_TLS or self.socket.recv(9):
                return self._close(True)
        except (BlockingIOError, InterruptedError):
            return None if time.monotonic() < self._give_up_at else self._close(False)
        except OSError as error:
            if error.errno == errno.ENOTCONN and time.monotonic() < self._give_up_at:
                return None
        return self._close(False)

    def _close(self, result: bool) -> bool:
        self.socket.close()
        return result


def write_end_row(state: State, outcome: str) -> None:
    """Write the end row of a run whose driver is gone, and release its lease."""
    import site

    site.main()  # finds packages as the driver does; `python -S` left it out
    sys.path[:] = state.path
    from sweeper.engine.end_row import write_for_dead_driver

    write_for_dead_driver(state.opener, state.store, state.row, outcome)


def main() -> None:
    """Guard the process that started this one: `guard_process.py DRIVER MESSAGES SIGNALS` (a process, two files)."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    driver, messages, signals = map(int, sys.argv[1:])
    GuardProcess(driver, socket.socket(fileno=messages), signals).run()


if __name__ == "__main__":
    main()
