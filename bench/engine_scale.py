"""A sweep of a hundred thousand stitches that do nothing, run by Ray to its end: does the engine stay as it began?

    python bench/engine_scale.py [--stitches 100000] [--rotations 10]

Two workers of this machine perform packs of about 15 stitches. The driver begins a new experiment of Ray Tune (a
rotation) a fixed number of times. The figures compare the last third of the rotations with the first third, without the
first rotation, in which Ray starts and models are trained, and without the last, which is shorter: wall clock time per
pack, with the start of the experiment and of its workers and with commits to the store; and the driver's memory, open
files and sockets, threads and child processes.
What grows with the number of finished packs would end a long sweep, so the exit code is 1 if a figure is over its
bound, if a task is missing at the end, or if the run leaves processes or scratch folders behind.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from scale_job import PERFORMER, scale_job, use_toys

WORKERS = 2
MEGABYTE = 1e6

# The largest growth of a figure, from the first third of the rotations to the last, that counts as flat.
TIME_FACTOR = 1.25
MEMORY_BYTES = 20_000_000  # by which the memory of a process may vary without a leak
MEMORY_BYTES_A_STITCH = 1_000  # the frontier keeps the id of each task that is done
FILES = THREADS = PROCESSES = 5


@dataclass(frozen=True)
class Sample:
    """The driver at one moment of a sweep."""

    rotation: int  # from 0
    tasks: int  # that have ended
    seconds: float
    memory: int  # bytes
    files: int  # open files and sockets
    threads: int
    processes: int  # children, and their children


@dataclass(frozen=True)
class Sweep:
    """The samples of a sweep that has ended, and what it left behind."""

    samples: Sequence[Sample]
    rotations: Sequence[float]  # the time at which each rotation began
    packs: int
    packs_a_rotation: int
    processes_left: int
    folders_left: int


def main() -> int:
    """Run the sweep, print the figures and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--stitches", type=int, default=100_000)
    parser.add_argument("--rotations", type=int, default=10)
    options = parser.parse_args()
    if options.rotations < 4:
        parser.error("--rotations must be at least 4: the first and the last don't count, and two are compared")
    with tempfile.TemporaryDirectory() as folder:
        use_toys(Path(folder))
        os.environ["TMPDIR"] = folder
        tempfile.tempdir = None  # read TMPDIR again
        sweep = run_sweep(Path(folder), options.stitches, options.rotations)
    problems = compare(sweep)
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return int(bool(problems))


def run_sweep(folder: Path, stitches: int, rotations: int) -> Sweep:
    """Run a sweep with at least so many stitches, in so many rotations, and check that every task is done."""
    from sweeper.engine import fits, run
    from sweeper.engine.progress import Status
    from sweeper.plan.plan import Plan
    from sweeper.store.store import Store

    job = scale_job(stitches, WORKERS)
    plan = Plan.of(job)
    packs = sum(1 for _ in plan.packs())
    fits.PACKS_PER_FIT = -(-packs // rotations)
    driver, samples, starts = psutil.Process(), list[Sample](), list[float]()

    class TimedDispatch(fits.Dispatch):
        """A dispatch that records when it was made: each rotation makes one."""

        def __init__(self, *arguments: Any) -> None:
            starts.append(time.perf_counter())
            super().__init__(*arguments)

    fits.Dispatch = TimedDispatch

    def record_sample(status: Status) -> None:
        if not samples or status.settled >= samples[-1].tasks + max(1, stitches // (50 * rotations)):
            samples.append(sample(driver, len(starts) - 1, status.settled))

    children = driver.children(recursive=True)
    store = Store.open(str(folder / "store"), create=True)
    summary = run.run_resolved(job, store, performer=PERFORMER, on_progress=record_sample)
    assert summary.outcome == "complete", summary
    assert store.done() == set(plan.ids())
    left = [process for process in driver.children(recursive=True) if process not in children and is_alive(process)]
    return Sweep(samples, starts, packs, fits.PACKS_PER_FIT, len(left), len(list(folder.glob("sweeper-*"))))


def sample(driver: psutil.Process, rotation: int, tasks: int) -> Sample:
    """Return the state of the driver in a rotation when so many tasks have ended."""
    memory, children = driver.memory_info().rss, len(driver.children(recursive=True))
    return Sample(rotation, tasks, time.perf_counter(), memory, driver.num_fds(), driver.num_threads(), children)


def is_alive(process: psutil.Process) -> bool:
    """Return True if a process still runs."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def compare(sweep: Sweep) -> list[str]:
    """Print the figures of the early and late rotations, and return a sentence for each that is over its bound."""
    tasks, rotations = sweep.samples[-1].tasks, len(sweep.rotations)
    third = max(1, (rotations - 2) // 3)
    early, late = range(1, 1 + third), range(rotations - 1 - third, rotations - 1)
    stitches_between = tasks * (late[0] - early[0]) / rotations
    growth = (MEMORY_BYTES + MEMORY_BYTES_A_STITCH * stitches_between) / MEGABYTE
    name = f"engine, {tasks} tasks in {sweep.packs} packs and {rotations} rotations"

    def milliseconds_a_pack(rotation: int) -> float:
        return 1000 * (sweep.rotations[rotation + 1] - sweep.rotations[rotation]) / sweep.packs_a_rotation

    def most(figure: str, unit: float = 1.0) -> Callable[[int], float]:
        return lambda rotation: max(getattr(s, figure) / unit for s in sweep.samples if s.rotation == rotation)

    figures: list[tuple[str, str, Callable[[int], float], Callable[[float], float]]] = [
        ("a pack", "ms", milliseconds_a_pack, lambda value: TIME_FACTOR * value),
        ("the driver's largest memory", "MB", most("memory", MEGABYTE), lambda value: value + growth),
        ("the driver's open files", "files", most("files"), lambda value: value + FILES),
        ("the driver's threads", "threads", most("threads"), lambda value: value + THREADS),
        ("the driver's child processes", "processes", most("processes"), lambda value: value + PROCESSES),
    ]
    problems = []
    for label, unit, measure, bound_of in figures:
        before, after = (median(map(measure, part)) for part in (early, late))
        bound = bound_of(before)
        report(f"{name}: {label}, late against early", after, unit, before, before / after)
        if after > bound:
            problems.append(f"{label}: {after:.4g} {unit} late and {before:.4g} early; the bound is {bound:.4g}")
    report(f"{name}: whole sweep", sweep.samples[-1].seconds - sweep.samples[0].seconds, "s")
    for label, left in (("processes", sweep.processes_left), ("scratch folders", sweep.folders_left)):
        report(f"{name}: {label} left", left, label)
        problems += [f"the run left {left} {label}"] if left else []
    return problems


def report(name: str, value: float, unit: str, baseline: float | None = None, ratio: float | None = None) -> None:
    """Print a figure."""
    from record import emit

    emit(name, value, unit, baseline, ratio)


if __name__ == "__main__":
    sys.exit(main())
