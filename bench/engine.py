"""The time that the engine takes for a pack that does nothing, against one trial of Ray Tune in a new process.

    python bench/engine.py

Both run on two workers of this machine. A figure is the wall clock time per pack (or trial) while both workers are
busy. It excludes the start and stop of Ray and includes commits to the store. The baseline is Tune with its default
settings: every trial is a new process, which imports torch as any stitch must.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
sys.path.insert(0, str(TESTS))

WORKERS = 2
TUNE_TRIALS = 8
TARGET_MS = 25.0


def main() -> None:
    """Measure the two engines and print the figures."""
    from record import emit

    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"HOME": folder, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(TESTS)}
        pack_ms, packs = _pack_ms(Path(folder))
        tune_ms = _tune_ms()
    name = f"engine, a pack that does nothing ({packs} packs), against a Tune trial in a new process"
    emit(name, pack_ms, "ms", tune_ms, tune_ms / pack_ms)
    emit("engine, the same against its target", pack_ms, "ms", TARGET_MS, TARGET_MS / pack_ms)
    share = 100 * pack_ms * WORKERS / 10_000
    emit("engine, share of a sweep whose packs last 10 s", share, "%", 5.0, 5.0 / share)


def _pack_ms(folder: Path) -> tuple[float, int]:
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
            "engine": {"workers": WORKERS, "pack_seconds": 1e-6},
        }
    )
    task_ends: list[tuple[float, int]] = []  # (time, number of tasks that have ended)

    def record_end(status: Status) -> None:
        if not task_ends or status.settled > task_ends[-1][1]:
            task_ends.append((time.perf_counter(), status.settled))

    store = Store.open(str(folder / "store"), create=True)
    summary = run(resolve(sweep), store, performer="support.toys:perform_immediately", on_progress=record_end)
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


def _tune_ms() -> float:
    """Return the milliseconds of a trial of Tune with its default settings, on as many cores."""
    import logging

    import ray
    from ray import tune

    def stitch(config: dict) -> None:
        import torch

        tune.report({"loss": float(torch.zeros(1))})

    ray.init(
        address="local", num_cpus=WORKERS, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
    )
    try:
        start = time.perf_counter()
        tune.Tuner(
            tune.with_resources(stitch, {"cpu": 1}),
            tune_config=tune.TuneConfig(num_samples=TUNE_TRIALS),
            run_config=tune.RunConfig(verbose=0),
        ).fit()
        return 1000 * (time.perf_counter() - start) / TUNE_TRIALS
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
