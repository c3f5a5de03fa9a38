"""A sweep of a hundred thousand stitches that do nothing, run by Ray to its end: does the engine stay as it began?

    python bench/engine_scale.py [--stitches 100000]

Two workers of this machine perform packs of about ten stitches. The figures compare the last tenth of the tasks with
the second tenth: wall clock time per pack, and memory, open files and sockets, and child processes of the driver. They
include commits to the store, and the driver's new fits of Ray Tune. What grows with the number of finished packs would
end a long sweep.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
sys.path.insert(0, str(TESTS))

WORKERS = 2
CUTS = 10
MEGABYTE = 1e6

# The largest growth of a figure, from the second tenth of the tasks to the last, that counts as flat.
TIME_FACTOR = 1.25
MEMORY_BYTES_A_STITCH = 1_000
FILES = PROCESSES = 5


@dataclass(frozen=True)
class Sample:
    """The driver at one moment of a sweep."""

    tasks: int  # that have ended
    seconds: float
    memory: int  # bytes
    files: int  # open files and sockets
    processes: int  # children, and their children


def main() -> None:
    """Run the sweep and print the figures."""
    from record import emit

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--stitches", type=int, default=100_000)
    stitches = parser.parse_args().stitches
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"HOME": folder, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(TESTS)}
        samples, packs = run_sweep(Path(folder), stitches)
    tasks = samples[-1].tasks
    early, late = (between(samples, share * tasks, (share + 0.1) * tasks) for share in (0.1, 0.9))
    tasks_a_pack = tasks / packs
    name = f"engine, {tasks} tasks in {packs} packs: the last tenth against the second"
    early_ms, late_ms = (1000 * seconds_a_task(part) * tasks_a_pack for part in (early, late))
    emit(f"{name}, a pack", late_ms, "ms", early_ms, early_ms / late_ms)
    growth = late[-1].memory - early[-1].memory
    bound = MEMORY_BYTES_A_STITCH * (late[-1].tasks - early[-1].tasks)
    emit(f"{name}, growth of the driver's memory", growth / MEGABYTE, "MB", bound / MEGABYTE, bound / max(growth, 1))
    emit(f"{name}, the driver's open files", late[-1].files, "files", early[-1].files)
    emit(f"{name}, the driver's child processes", late[-1].processes, "processes", early[-1].processes)
    emit(f"{name}, whole sweep", samples[-1].seconds - samples[0].seconds, "s")


def run_sweep(folder: Path, stitches: int) -> tuple[list[Sample], int]:
    """Run a sweep with at least so many stitches; return samples of its driver and the number of its packs."""
    from sweeper.engine.progress import Status
    from sweeper.engine.run import run_resolved
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.resolve import resolve
    from sweeper.spec.job.sweep import Sweep
    from sweeper.store.store import Store

    side = max(2, round((stitches / CUTS) ** 0.5))
    family = {"arch": "resnet18k", "options": {"width": 4}, "steps": 20}
    layers = ["conv1", *(f"block{number}" for number in range(1, CUTS - 1)), "pool"]
    sweep = resolve(
        Sweep.model_validate(
            {
                "name": "scale",
                "models": {
                    "a": family | {"samples": 300, "seed": list(range(side))},
                    "b": family | {"samples": 100, "seed": list(range(side))},
                },
                "stitch": [{"bottom": "a", "top": "b", "layers": layers}],
                "engine": {"workers": WORKERS, "pack_seconds": 20},
            }
        )
    )
    packs = sum(1 for _ in Plan.of(sweep).packs())
    driver, samples = psutil.Process(), list[Sample]()

    def record_sample(status: Status) -> None:
        if not samples or status.settled >= samples[-1].tasks + max(1, stitches // 200):
            samples.append(
                Sample(
                    status.settled, time.perf_counter(), driver.memory_info().rss, driver.num_fds(),
                    len(driver.children(recursive=True)),
                )
            )  # fmt: skip

    store = Store.open(str(folder / "store"), create=True)
    summary = run_resolved(sweep, store, performer="support.toys:perform_immediately", on_progress=record_sample)
    assert summary.outcome == "complete", summary
    return samples, packs


def between(samples: list[Sample], first: float, last: float) -> list[Sample]:
    """Return the samples with a number of tasks in a range."""
    return [sample for sample in samples if first <= sample.tasks <= last]


def seconds_a_task(samples: list[Sample]) -> float:
    """Return the mean wall clock time of a task between the first and the last of some samples."""
    return (samples[-1].seconds - samples[0].seconds) / (samples[-1].tasks - samples[0].tasks)


if __name__ == "__main__":
    main()
