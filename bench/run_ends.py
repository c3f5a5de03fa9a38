"""The seconds of a run outside its tasks: before the first task begins, and after the last one has ended.

    python bench/run_ends.py

A run of four untrained networks and four stitches without a stitcher is started as the command `sweeper run`, in a new
process with a local Ray of two workers. Its tasks take milliseconds. The figures are medians over `REPETITIONS` runs,
in seconds; the baseline is the budget. They are read off the rows, which have the time of a task's end and its seconds:

- start: from the start of the command to that of the first task. Python imports Sweeper and Ray, Ray starts, and a
  worker imports torch and opens the store;
- end: from the end of the last task to that of the command. The run reads the store again, and Ray ends its processes.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from record import emit

from sweeper.store.store import Store

REPETITIONS = 3
START_BUDGET, END_BUDGET = 12.0, 5.0
JOB = """
name: ends
models: {one: {arch: resnet18k, width: 4, steps: 0, samples: 100, seed: [0, 1, 2, 3]}}
stitch: [{bottom: one, top: one, where: a.seed == b.seed, layers: [pool], stitcher: identity}]
engine: {workers: 2, gpus: 0}
"""


class Ends(NamedTuple):
    """The seconds of a run outside its tasks."""

    start: float
    end: float


def main() -> None:
    """Measure the runs and print the figures."""
    ends = [measure() for _ in range(REPETITIONS)]
    for name, budget in (("start", START_BUDGET), ("end", END_BUDGET)):
        seconds = statistics.median(getattr(run, name) for run in ends)
        emit(f"sweeper run, {name} of a run outside its tasks", seconds, "s", budget, budget / seconds)


def measure() -> Ends:
    """Run the job in a new store and return the seconds outside its tasks."""
    with tempfile.TemporaryDirectory() as folder:
        job, store = Path(folder) / "ends.yaml", Path(folder) / "store"
        job.write_text(JOB)
        command = [sys.executable, "-m", "sweeper", "run", str(job), "--store", str(store)]
        begin = time.time()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
        end = time.time()
        (row,) = Store.open(str(store)).sql(FIRST_AND_LAST).to_pylist()
    return Ends(row["first"] - begin, end - row["last"])


FIRST_AND_LAST = """
SELECT min(epoch("at") - seconds) AS first, max(epoch("at")) AS last
FROM (SELECT "at", seconds FROM models UNION ALL SELECT "at", seconds FROM stitches)
"""


if __name__ == "__main__":
    main()
