"""The processes of Ray that a driver depends on, and a shutdown of Ray that ends even if they are gone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import ray
from ray._private import worker as ray_worker

# Seconds that `ray.shutdown` may take: usually one or two. If the GCS or the raylet is gone, it waits for minutes.
SHUTDOWN_SECONDS = 10.0

_hanging = threading.Event()


def find() -> dict[str, Any]:
    """Return the address of the GCS and the process id of this machine's raylet (0 if unknown), for the guard."""
    node: Any = ray_worker._global_node
    argument = f"--raylet_socket_name={node.raylet_socket_name}"
    raylets = (process.pid for process in psutil.process_iter(["cmdline"]) if _is_raylet(process, argument))
    return {"gcs": ray.get_runtime_context().gcs_address, "raylet": next(raylets, 0)}


def shut_down() -> None:
    """Shut Ray down; if that hangs, kill the processes that this driver started, and leave the rest to its exit."""
    thread = threading.Thread(target=ray.shutdown, name="sweeper-shutdown", daemon=True)
    thread.start()
    thread.join(SHUTDOWN_SECONDS)
    if thread.is_alive():
        _hanging.set()
        node: Any = ray_worker._global_node
        if node is not None:
            node.kill_all_processes(check_alive=False, allow_graceful=False)


@contextmanager
def without_notices() -> Iterator[None]:
    """Keep Ray from printing notices to stdout, such as the last lines of the log of a raylet that has died."""
    print_notice = ray_worker.print_to_stdstream
    ray_worker.print_to_stdstream = lambda data, ignore_prefix: None
    try:
        yield
    finally:
        ray_worker.print_to_stdstream = print_notice


def is_hanging() -> bool:
    """Return True if Ray could not be shut down; the interpreter's normal exit would then wait for it again."""
    return _hanging.is_set()


def _is_raylet(process: psutil.Process, argument: str) -> bool:
    command = process.info["cmdline"] or [""]
    return command[0].endswith("raylet") and argument in command
