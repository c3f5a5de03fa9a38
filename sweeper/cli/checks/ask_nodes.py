"""A script that asks each node of a Ray cluster for its versions, clock and limits: `ask_nodes ADDRESS SECONDS`.

It prints a JSON list with a record for each node. It is a script of its own so that `doctor` can end it, and so that
Ray sends its class to the nodes as code: a node may have no Sweeper, or another one.
"""

import json
import logging
import sys
import time
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class NodeReporter:
    """An actor that reports about its node. Its methods import what they need, because they run elsewhere."""

    def report(self, count_gpus: bool) -> dict[str, Any]:
        """Return versions, limits and space; None for what is not installed.

        Args:
            count_gpus: True: also the number of GPUs that torch sees, which takes the seconds of its import.
        """
        import os
        import platform
        import resource
        import shutil
        import tempfile
        from importlib.metadata import PackageNotFoundError, version

        def installed(name: str) -> str | None:
            try:
                return version(name)
            except PackageNotFoundError:
                return None

        shared_memory = shutil.disk_usage("/dev/shm").free if os.path.isdir("/dev/shm") else None  # noqa: PTH112
        return {
            "python": platform.python_version(),
            "ray": installed("ray"),
            "torch": installed("torch"),
            "sweeper": installed("sweeper-stitching"),
            "shared_memory": shared_memory,
            "scratch": shutil.disk_usage(tempfile.gettempdir()).free,
            "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "gpus_of_torch": self.gpus() if count_gpus else 0,
        }

    def clock(self) -> float:
        """Return the time of the node's clock."""
        import time

        return time.time()

    def gpus(self) -> int:
        """Return the number of GPUs that torch sees on the node."""
        import os
        import subprocess
        import sys

        # Ray hides all GPUs from an actor that has reserved none.
        environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        command = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
        process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return 0 if process.returncode else int(process.stdout)


def ask(node: dict[str, Any], actor: Any, report: Any) -> dict[str, Any]:
    """Return the record of a node: its report, or the problem of asking for it.

    Args:
        node: Ray's record of the node.
        actor: The reporter that was started on it.
        report: Its answer; None if there was none in time.
    """
    record: dict[str, Any] = {"name": node["NodeManagerHostname"], "address": node["NodeManagerAddress"]}
    if report is None:
        return record | {"problem": "no answer in time"}
    try:
        record |= ray.get(report, timeout=0)
        before = time.time()
        there: Any = ray.get(actor.clock.remote(), timeout=5)
        after = time.time()
        record["clock"] = max(there - after, before - there, 0.0) * (1 if there > after else -1)
        record["gpus"] = node["Resources"].get("GPU", 0)
    except RayError as error:
        problem = (str(error).strip() or type(error).__name__).splitlines()[0]
        record["problem"] = problem if is_alive(node) else "no answer; Ray has given the node up"
    return record


def is_alive(node: dict[str, Any]) -> bool:
    """Return True if Ray still counts a node among those that live."""
    return any(other["NodeID"] == node["NodeID"] and other["Alive"] for other in ray.nodes())


def main() -> None:
    """Print the records of all living nodes."""
    address, seconds = sys.argv[1], float(sys.argv[2])
    ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    reporter: Any = ray.remote(NodeReporter)
    actors = [
        reporter.options(
            num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in nodes
    ]
    reports = [
        actor.report.remote(bool(node["Resources"].get("GPU"))) for node, actor in zip(nodes, actors, strict=True)
    ]
    ready = set(ray.wait(reports, num_returns=len(reports), timeout=seconds)[0])
    answers = [report if report in ready else None for report in reports]
    print(json.dumps([ask(*question) for question in zip(nodes, actors, answers, strict=True)]))


if __name__ == "__main__":
    main()
