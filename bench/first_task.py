"""The seconds until a sweep of a hundred thousand or a million stitches performs its first task, cold, warm, resumed.

    python bench/first_task.py [--stitches 100000 1000000]

Each figure is of a new process that runs the job on two workers until the first task has ended: it plans the sweep,
reads the store, starts Ray and performs a task that does nothing. Cold: the store is new, and so is the home folder.
Warm: the same again, after the first process was interrupted. Resumed: all but a thousand tasks are done, whose rows
lie in parts of `ROWS_A_PART`; the first look reads all parts, the second only what has changed. The baseline is the
budget of a resumed run, a minute, and the ratio is that of the budget to the figure.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from record import emit
from scale_job import PERFORMER, scale_job, use_toys

WORKERS = 2
BUDGET_SECONDS = 60.0
BUDGET_BYTES = 2e9
MISSING = 1000  # tasks, in a resumed sweep
ROWS_A_PART = 20_000


def main() -> None:
    """Measure the sweeps and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--stitches", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.stitches[0], Path.cwd())))
        return
    for stitches in options.stitches:
        with tempfile.TemporaryDirectory() as folder:
            report(stitches, "cold", Path(folder))
            report(stitches, "warm", Path(folder))
            done = fill(stitches, Path(folder))
            report(stitches, f"{done} done, first look", Path(folder))
            report(stitches, f"{done} done, later", Path(folder))


def report(stitches: int, state: str, folder: Path) -> None:
    """Measure a sweep in a new process and print its figures."""
    command = [sys.executable, str(Path(__file__).absolute()), "--measure", "--stitches", str(stitches)]
    child = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seconds, memory = json.loads(child.stdout.splitlines()[-1])
    name = f"engine, {stitches} stitches, {state}: to the end of the first task"
    emit(name, seconds, "s", BUDGET_SECONDS, BUDGET_SECONDS / seconds)
    emit(f"{name}, the driver's peak memory", memory, "B", BUDGET_BYTES, BUDGET_BYTES / memory)


def measure(stitches: int, folder: Path) -> tuple[float, int]:
    """Return the seconds until the first task of a run has ended, and the peak bytes of this process, which runs it."""
    start = time.perf_counter()
    use_toys(folder)

    from sweeper.engine import run
    from sweeper.engine.progress import Status
    from sweeper.store.store import Store

    first_end: list[float] = []
    settled_before: list[int] = []

    def end_run(status: Status) -> None:
        settled_before[:] = settled_before or [status.settled]
        if status.settled > settled_before[0]:
            first_end[:] = first_end or [time.perf_counter()]
            raise KeyboardInterrupt

    store = Store.open(str(folder / "store"), create=True)
    summary = run.run_resolved(scale_job(stitches, WORKERS), store, performer=PERFORMER, on_progress=end_run)
    if summary.outcome != "interrupted" or not first_end:
        raise RuntimeError(f"the run was not interrupted after its first task: {summary}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux
    return first_end[0] - start, peak


def fill(stitches: int, folder: Path) -> int:
    """Commit the rows of all but `MISSING` tasks that the store lacks, and return the number that is done then."""
    use_toys(folder)

    from sweeper.plan.plan import Plan
    from sweeper.store.store import Store

    store = Store.open(str(folder / "store"))
    plan = Plan.of(scale_job(stitches, WORKERS), store.done())
    rows, count = [], len(plan.missing) - MISSING
    for number, row in zip(range(count), _rows(plan, store), strict=False):
        rows.append(row)
        if len(rows) == ROWS_A_PART or number == count - 1:
            store.commit(rows, run="filled", worker="bench")
            rows = []
    return len(store.done())


def _rows(plan: object, store: object) -> Iterator[object]:
    """Yield a row for each missing task of a plan, models first, and store the weights of models."""
    from support.store_rows import planned_row

    from sweeper.spec.records.task import TrainPack

    weights = dict(store.weights())  # type: ignore[attr-defined]
    for pack in plan.packs():  # type: ignore[attr-defined]
        if isinstance(pack, TrainPack):
            for model in pack.models:
                weights[model.id] = store.put_weights(f"weights of {model.id}".encode())  # type: ignore[attr-defined]
                yield planned_row(model, weights)
        else:
            yield from (planned_row(task, weights) for task in (*pack.stitches, *pack.measurements))


if __name__ == "__main__":
    main()
