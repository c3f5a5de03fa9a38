"""The cost of the engine: a pack that does nothing, against one Tune trial per stitch in a new process.

    python bench/engine.py

Both run on two workers of this machine. A figure is the wall clock time per pack (or trial) while both are
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
COLD_TRIALS = 8
TARGET_MS = 25.0


def main() -> None:
    """Measure the two engines and print the figures."""
    from record import emit

    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"HOME": folder, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(TESTS)}
        pack, packs = _pack_ms(Path(folder))
        cold_ms = _cold_ms()
    name = f"engine, a pack that does nothing ({packs} packs), against a Tune trial in a new process"
    emit(name, pack, "ms", cold_ms, cold_ms / pack)
    emit("engine, the same against its target", pack, "ms", TARGET_MS, TARGET_MS / pack)
    share = 100 * pack * WORKERS / 10_000
    emit("engine, share of a sweep whose packs last 10 s", share, "%", 5.0, 5.0 / share)


def _pack_ms(folder: Path) -> tuple[float, int]:
    """Return the milliseconds between the ends of two packs, in the middle of a sweep of 500 packs of one task."""
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
    summary = run(resolve(sweep), store, performer="support.toys:nothing", on_progress=record_end)
    assert summary.outcome == "complete", summary
    middle = [end for end in task_ends if end[1] > summary.done * 0.1]
    (first, before), (last, after) = middle[0], middle[-1]
    return 1000 * (last - first) / (after - before) * _tasks_a_pack(sweep), round(summary.done / _tasks_a_pack(sweep))


def _tasks_a_pack(sweep: object) -> float:
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.resolve import resolve

    plan = Plan.of(resolve(sweep))  # type: ignore[arg-type]
    return len(plan.missing) / sum(1 for _ in plan.packs())


def _cold_ms() -> float:
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
            tune_config=tune.TuneConfig(num_samples=COLD_TRIALS),
            run_config=tune.RunConfig(verbose=0),
        ).fit()
        return 1000 * (time.perf_counter() - start) / COLD_TRIALS
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
