"""Processes by a mark in their environment: a driver, its Ray and its workers all inherit it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
MARK = "SWEEPER_TEST_MARK"
AGENTS = (b"ray::DashboardAgent", b"ray::RuntimeEnvAgent")


class Driver:
    """`driver.py` at work on a store, in a session of its own."""

    def __init__(self, store: Path, performer: str = "support.toys:perform", *job: str, **environment: str):
        self.mark = f"{store}-{time.monotonic_ns()}"
        # The driver and its workers import `support` from the folder of the tests.
        search_path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "driver.py"), str(store), performer, *job],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | environment | {MARK: self.mark, "PYTHONPATH": search_path},
        )

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, timeout: float = 120) -> tuple[str, str]:
        """Waits for the driver itself; its (stdout, stderr)."""
        return self.process.communicate(timeout=timeout)

    def alive(self) -> list[int]:
        """Process ids of all that carry the mark."""
        wanted = f"{MARK}={self.mark}".encode()
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if wanted in _environment(path)]

    def gone(self, timeout: float = 60) -> bool:
        """Whether the driver and all that it started are gone, or go within the time."""
        return until(lambda: not self.alive(), timeout)

    def workless(self, timeout: float = 60) -> bool:
        """Whether its workers are gone, or go within the time. Services of a Ray that was killed outlive it by up to
        a minute, in which they try to reach a server that died too."""
        return until(lambda: not any(map(_is_worker, self.alive())), timeout)

    def kill_all(self) -> None:
        """What a test leaves behind when it fails."""
        for process in self.alive():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


def until(condition: Callable[[], object], timeout: float = 60) -> bool:
    """Whether it comes true within the time."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def _is_worker(process: int) -> bool:
    try:
        title = Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
    return title.startswith(b"ray::") and not title.startswith(AGENTS)


def _environment(process: Path) -> list[bytes]:
    try:
        if (process / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return []
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
