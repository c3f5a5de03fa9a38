"""The process beside a driver that `sweeper submit` has started over SSH: `python -m sweeper.engine.on_head FOLDER`.

Ray's job server does the same for its jobs: it gives the driver's files to the nodes, runs the driver in the folder in
which every node has them, and keeps its exit code. So a worker finds the user's code under the path that the driver has
recorded.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import ray
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

INTERRUPTED = 130


def main(folder: Path) -> None:
    """Run the driver of a folder (see `sweeper/remote/head_script.py`), and write its exit code there."""
    code = 1
    try:
        submission = json.loads((folder / "submission.json").read_text())
        uri, place = _share(folder / "files")
        runtime = {"working_dir": uri, "env_vars": submission["environment"]}
        driver = subprocess.Popen(
            submission["command"],
            shell=True,
            cwd=place,
            env=os.environ
            | submission["environment"]
            | {
                "PYTHONPATH": os.pathsep.join([place, os.environ.get("PYTHONPATH", "")]),
                "PYTHONUNBUFFERED": "1",
                RAY_JOB_CONFIG_JSON_ENV_VAR: json.dumps({"runtime_env": runtime}),
            },
        )
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, lambda number, _: driver.send_signal(number))
        code = driver.wait()
    except SystemExit:  # Ray raises it on SIGTERM while it starts
        code = INTERRUPTED
    finally:
        (folder / "exit_code").write_text(str(code))


def _share(files: Path) -> tuple[str, str]:
    """Give the files to Ray, and return their URI and the folder in which each node has them."""
    ray.init(address="auto", runtime_env={"working_dir": str(files)}, log_to_driver=False, logging_level=logging.ERROR)
    try:
        on_this_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        place = ray.get(_working_folder.options(num_cpus=0, scheduling_strategy=on_this_node).remote())
        return ray.get_runtime_context().runtime_env["working_dir"], place
    finally:
        ray.shutdown()


@ray.remote
def _working_folder() -> str:
    return str(Path.cwd())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
