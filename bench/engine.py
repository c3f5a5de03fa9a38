"""The time that the engine takes for a pack that does nothing, against other ways to start stitches.

    python bench/engine.py

All run on this machine. A figure is the wall clock time per pack (or trial, or process) while all workers are busy. It
excludes the start and stop of Ray and includes commits to the store. The baselines run on two workers:

- a process for each stitch, as a Slurm job is, without the queue;
- a trial of Ray Tune with its default settings: each is a new process;
- a trial of Ray Tune whose actors are reused, which is what the engine builds on: it does nothing and stores nothing.

The first two import torch, as any stitch must. Two, eight and sixteen workers share the machine's cores, so their packs
per second show what the driver can send out.
"""

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from record import emit
from scale_job import PERFORMER, use_toys

WORKERS = 2
SLOTS = (8, 16)
TUNE_TRIALS, REUSED_TRIALS, PROCESSES = 8, 100, 8
TARGET_MS = 25.0


def main() -> None:
    """Measure the engine and the baselines, and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        use_toys(Path(folder))
        pack_ms, packs = _pack_ms(Path(folder), WORKERS)
        baselines = {
            "a process for each stitch": _process_ms(),
            "a Tune trial in a new process": _tune_ms(_new_process_trainable, TUNE_TRIALS),
            "a Tune trial in a reused one": _tune_ms(_reused_trainable, REUSED_TRIALS),
        }
        packs_a_second = {slots: 1000 / _pack_ms(Path(folder), slots)[0] for slots in SLOTS}
    name = f"engine, a pack that does nothing ({packs} packs, {WORKERS} workers)"
    for baseline, milliseconds in baselines.items():
        emit(f"{name}, against {baseline}", pack_ms, "ms", milliseconds, milliseconds / pack_ms)
    emit("engine, the same against its target", pack_ms, "ms", TARGET_MS, TARGET_MS / pack_ms)
    share = 100 * pack_ms * WORKERS / 10_000
    emit("engine, share of a sweep whose packs last 10 s", share, "%", 5.0, 5.0 / share)
    for slots, rate in packs_a_second.items():
        two = 1000 / pack_ms
        emit(f"engine, packs a second with {slots} workers, against {WORKERS}", rate, "packs/s", two, rate / two)


def _pack_ms(folder: Path, workers: int) -> tuple[float, int]:
    """Return the milliseconds per pack and the number of packs, from a sweep without its first tenth of tasks."""
    from sweeper.engine.progress import Status
    from sweeper.engine.run import run
    from sweeper.spec.job.resolve import resolve
    from sweeper.spec.job.sweep import Sweep
    from sweeper.store.store import Store

    family = {"arch": "resnet18k", "options": {"width": 4}, "steps": 20}
    sweep = Sweep.model_validate(
        {
            "name": "nothing",
            "models": {
                "a": family | {"samples": 300, "seed": list(range(5))},
                "b": family | {"samples": 100, "seed": list(range(5))},
            },
            "stitch": [{"bottom": "a", "top": "b"}],
            "similarity": [{"bottom": "a", "top": "b"}],
            "engine": {"workers": workers, "pack_seconds": 1e-6},
        }
    )
    task_ends: list[tuple[float, int]] = []  # (time, number of tasks that have ended)

    def record_end(status: Status) -> None:
        if not task_ends or status.settled > task_ends[-1][1]:
            task_ends.append((time.perf_counter(), status.settled))

    store = Store.open(str(folder / f"store-{workers}"), create=True)
    summary = run(resolve(sweep), store, performer=PERFORMER, on_progress=record_end)
    assert summary.outcome == "complete", summary
    counted_ends = [end for end in task_ends if end[1] > summary.done * 0.1]
    (first_time, first_tasks), (last_time, last_tasks) = counted_ends[0], counted_ends[-1]
    task_ms = 1000 * (last_time - first_time) / (last_tasks - first_tasks)
    return task_ms * _tasks_per_pack(sweep), round(summary.done / _tasks_per_pack(sweep))


def _tasks_per_pack(sweep: object) -> float:
    """Return the mean number of tasks of a pack in the plan of a sweep."""
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.resolve import resolve

    plan = Plan.of(resolve(sweep))  # type: ignore[arg-type]
    return len(plan.missing) / sum(1 for _ in plan.packs())


def _process_ms() -> float:
    """Return the milliseconds of a process that imports torch, with as many at once as there are workers."""
    command = [sys.executable, "-c", "import torch; float(torch.zeros(1))"]
    start = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(lambda _: subprocess.run(command, check=True), range(PROCESSES)):
            pass
    return 1000 * (time.perf_counter() - start) / PROCESSES


def _new_process_trainable() -> tuple[object, bool]:
    """Return a trainable that imports torch, and False: each trial has a process of its own."""
    from ray import tune

    def stitch(config: dict) -> None:
        import torch

        tune.report({"loss": float(torch.zeros(1))})

    return stitch, False


def _reused_trainable() -> tuple[object, bool]:
    """Return a trainable that does nothing, and True: its processes are reused."""
    from ray import tune

    class Stitch(tune.Trainable):
        def step(self) -> dict:
            return {"loss": 0.0, "done": True}

        def reset_config(self, new_config: dict) -> bool:
            return True

    return Stitch, True


def _tune_ms(make: Callable[[], tuple[object, bool]], trials: int) -> float:
    """Return the milliseconds of a trial of Tune on as many cores as there are workers.

    Args:
        make: Returns the trainable, and whether its processes are reused.
        trials: The number of trials.
    """
    import ray
    from ray import tune

    ray.init(
        address="local", num_cpus=WORKERS, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
    )
    trainable, is_reused = make()
    try:
        start = time.perf_counter()
        results = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),  # type: ignore[arg-type]
            tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=is_reused),
            run_config=tune.RunConfig(
                verbose=0,
                # A class is saved at its end by default, which this one can't be; a function has no such setting.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False) if is_reused else None,
            ),
        ).fit()
        milliseconds = 1000 * (time.perf_counter() - start) / trials
        if results.errors:
            raise RuntimeError(f"{len(results.errors)} of {trials} trials failed, so they are no baseline")
        return milliseconds
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
