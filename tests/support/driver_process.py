"""A driver in a process of its own, and the search for all processes that it started.

The driver, its Ray and its workers inherit a mark in their environment, by which they are found.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
MARK = "SWEEPER_TEST_MARK"
RAY_SERVICES = (b"ray::DashboardAgent", b"ray::RuntimeEnvAgent")


class Driver:
    """A process that runs `driver.py`, or `sweeper` with toy tasks, in an operating-system session of its own."""

    def __init__(self, store: Path | str, performer: str = "support.toys:perform", *job: str, **environment: str):
        self._start(store, ["driver.py", str(store), performer, *job], environment)

    @classmethod
    def of_command(cls, store: Path, *arguments: str, **environment: str) -> "Driver":
        """Start `sweeper` with toy tasks (see `toy_command.py`), these arguments and a store."""
        driver = cls.__new__(cls)
        driver._start(store, ["toy_command.py", *arguments, "--store", str(store)], environment)
        return driver

    def _start(self, store: Path | str, command: list[str], environment: dict[str, str]) -> None:
        self.mark = f"{store}-{time.monotonic_ns()}"
        # The driver and its workers import `support` from the folder of the tests.
        search_path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / command[0]), *command[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | environment | {MARK: self.mark, "PYTHONPATH": search_path},
        )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the driver, not to its workers."""
        self.process.send_signal(number)

    def end(self, timeout: float = 120) -> tuple[str, str]:
        """Wait until the driver itself ends, and return its stdout and stderr."""
        return self.process.communicate(timeout=timeout)

    def alive(self) -> list[int]:
        """Return the ids of all running processes that have the mark."""
        return processes_with(f"{MARK}={self.mark}")

    def all_end(self, timeout: float = 60) -> bool:
        """Return True if the driver and all processes that it started end within `timeout` seconds."""
        return until(lambda: not self.alive(), timeout)

    def workers_end(self, timeout: float = 60) -> bool:
        """Return True if the driver's workers end within `timeout` seconds.

        Services of Ray are ignored: if Ray was killed, they try for up to a minute to reach its server.
        """
        return until(lambda: not any(map(_is_worker, self.alive())), timeout)

    def kill_all(self) -> None:
        """Kill all processes that have the mark, which a failed test leaves running."""
        for pid in self.alive():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


def processes_with(*variables: str) -> list[int]:
    """Return the ids of all running processes that have these variables ("NAME=value") in their environment."""
    wanted = {variable.encode() for variable in variables}
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if wanted <= set(_environment(path))]


def until(condition: Callable[[], object], timeout: float = 180) -> bool:
    """Wait until a condition is true, and return True; return False if that takes longer than `timeout` seconds."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def _is_worker(pid: int) -> bool:
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return title.startswith(b"ray::") and not title.startswith(RAY_SERVICES)


def _environment(process: Path) -> list[bytes]:
    """Return the variables of a process, given its folder in /proc; none for a zombie."""
    try:
        if (process / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return []
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
