"""Nodes of a Ray cluster as processes of this machine, started by `ray start` as on a machine of its own.

Every process of a node inherits a mark in its environment, by which it is found and ended; `ray stop` would also end
the other clusters of the machine.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.driver_process import MARK, processes_with, until

RAY = str(Path(sys.executable).with_name("ray"))
SMALL = ["--object-store-memory=80000000", "--disable-usage-stats"]


def free_port() -> int:
    """Return a port of the loopback device on which nothing listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


class RayNodes:
    """A cluster with a head without CPUs; more nodes join by `add`."""

    def __init__(self, folder: Path, *options: str, port: int = 0, **environment: str):
        self.mark = f"{folder}-{time.monotonic_ns()}"
        port = port or free_port()
        self.address = f"127.0.0.1:{port}"
        self._environment = os.environ | environment | {MARK: self.mark}
        self._run("head", "--head", f"--port={port}", "--num-cpus=0", "--num-gpus=0", *options)

    def add(self, name: str, cpus: int, gpus: int = 0, *options: str) -> float:
        """Start a node, whose workers find its name in the variable TOY_NODE; return the time at which it joined."""
        self._run(name, f"--address={self.address}", f"--num-cpus={cpus}", f"--num-gpus={gpus}", *options)
        return time.time()

    def kill(self, name: str) -> None:
        """Kill all processes of a node."""
        for pid in processes_with(f"TOY_NODE={name}", f"{MARK}={self.mark}"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill all nodes."""
        for _ in range(3):  # a process may start another one meanwhile
            for pid in processes_with(f"{MARK}={self.mark}"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            until(lambda: not processes_with(f"{MARK}={self.mark}"), timeout=5)

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [RAY, "start", "--node-ip-address=127.0.0.1", *arguments, *SMALL],
            env=self._environment | {"TOY_NODE": name},
            check=True,
            capture_output=True,
        )


@contextmanager
def ray_nodes(folder: Path, *options: str, port: int = 0, **environment: str) -> Iterator[RayNodes]:
    """Start a head for the duration of a context, and end all nodes of its cluster after it."""
    cluster = RayNodes(folder, *options, port=port, **environment)
    try:
        yield cluster
    finally:
        cluster.end()
