"""The seconds from the moment at which a node joins a cluster that a run waits for to the start of its first task.

    python bench/joining.py

The head is a process of this machine without CPUs, as in the launch files; a run of untrained networks waits on it
until a node of two CPUs joins. The time counts from the moment at which `ray start` of the node has returned to the
start of the first task: the run finds the node, Ray starts a worker on it, which imports torch and opens the store.
The baseline is an actor of plain Ray that waits for the same node and imports torch; each has a cluster of its own.
The figures are medians over `REPETITIONS`, in seconds.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import emit

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

REPETITIONS = 3
BUDGET_SECONDS = 10.0
JOB = """
name: joining
models: {one: {arch: resnet18k, width: 4, steps: 0, samples: 100, seed: [0, 1, 2, 3]}}
stitch: [{bottom: one, top: one, where: a.seed == b.seed, layers: [pool], stitcher: identity}]
engine: {workers: auto, gpus: 0}
"""
ACTOR = """
import ray, sys, time
ray.init(address=sys.argv[1], logging_level="error", log_to_driver=False)

@ray.remote(num_cpus=1)
class First:
    def begin(self):
        import torch
        return time.time()

actor = First.remote()
print("waits", flush=True)
print(ray.get(actor.begin.remote()))
"""


def main() -> None:
    """Measure both and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"HOME": folder, "RAY_USAGE_STATS_ENABLED": "0"}
        pairs = [(of_a_run(Path(folder) / f"{i}"), of_an_actor(Path(folder) / f"{i}")) for i in range(REPETITIONS)]
    seconds, baseline = (statistics.median(column) for column in zip(*pairs, strict=True))
    name = "from a node's joining to the first task"
    emit(f"{name}, against plain Ray", seconds, "s", baseline, baseline / seconds)
    emit(f"{name}, against the budget", seconds, "s", BUDGET_SECONDS, BUDGET_SECONDS / seconds)


def of_a_run(folder: Path) -> float:
    """Return the seconds from a node's joining to the start of a run's first task."""
    from support.ray_nodes import ray_nodes

    from sweeper.store.store import Store

    folder.mkdir()
    (folder / "joining.yaml").write_text(JOB)
    with ray_nodes(folder, "--include-dashboard=false") as cluster:
        options = ["--store", str(folder / "store"), f"engine.address={cluster.address}"]
        command = [sys.executable, "-m", "sweeper", "run", str(folder / "joining.yaml"), *options]
        log = folder / "run.log"
        with log.open("w") as file:
            run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)
        while "waiting for a node" not in log.read_text():
            if run.poll() is not None:
                raise RuntimeError(f"the run has ended: {log.read_text()}")
            time.sleep(0.1)
        joined = cluster.add("node", cpus=2)
        if run.wait(300):
            raise RuntimeError(f"the run has failed: {log.read_text()}")
    (row,) = Store.open(str(folder / "store")).sql('SELECT min(epoch("at") - seconds) AS first FROM models').to_pylist()
    return row["first"] - joined


def of_an_actor(folder: Path) -> float:
    """Return the seconds from a node's joining to the moment at which an actor of plain Ray has imported torch."""
    from support.ray_nodes import ray_nodes

    with ray_nodes(folder, "--include-dashboard=false") as cluster:
        command = [sys.executable, "-c", ACTOR, cluster.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
            assert driver.stdout
            driver.stdout.readline()
            joined = cluster.add("node", cpus=2)
            return float(driver.stdout.readline()) - joined


if __name__ == "__main__":
    main()
