"""Seconds and memory of a plan of a million stitches, against the budgets of 60 s and 1.5 GB.

    python bench/plan.py

The baseline of a figure is its budget. The plan is made in a separate process, whose peak memory the system reports.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence

from record import emit

BUDGET_SECONDS, BUDGET_BYTES = 60.0, 1.5e9


def main() -> None:
    """Measure and print the figures."""
    child = subprocess.run([sys.executable, __file__, "--measure"], check=True, stdout=subprocess.PIPE, text=True)
    value_by_key = json.loads(child.stdout)
    budgets = {
        "plan of a million stitches": ("plan", "s", BUDGET_SECONDS),
        "plan of a million stitches and its packs": ("packs", "s", BUDGET_SECONDS),
        "plan of a million stitches and its packs, peak memory": ("memory", "B", BUDGET_BYTES),
    }
    for name, (key, unit, budget) in budgets.items():
        emit(name, value_by_key[key], unit, baseline=budget, ratio=budget / value_by_key[key])


def measure() -> dict[str, float]:
    """Return the seconds and the peak bytes of a plan of 250 bottoms and 200 tops at ten cuts with two stitcher seeds.

    No task of it is done.
    """
    from sweeper.plan.plan import Plan
    from sweeper.spec.job.family import Family
    from sweeper.spec.job.resolve import resolve
    from sweeper.spec.job.sweep import StitchSection, Sweep

    def family(seeds: Sequence[int]) -> Family:
        return Family.model_validate(
            {"arch": "resnet18k", "options": {"width": 16}, "steps": 200, "seed": tuple(seeds)}
        )

    section = StitchSection.model_validate({"bottom": "bottom", "top": "top", "seed": (0, 1)})
    models = {"bottom": family(range(250)), "top": family(range(1000, 1200))}
    sweep = resolve(Sweep(name="million", models=models, stitch=(section,)))
    start = time.perf_counter()
    plan = Plan.of(sweep)
    plan_end = time.perf_counter()
    tasks = sum(len(pack.tasks) for pack in plan.packs())
    packs_end = time.perf_counter()
    if tasks != 1_000_450:
        raise RuntimeError(f"the packs have {tasks} tasks instead of 1,000,450")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux
    return {"plan": plan_end - start, "packs": packs_end - start, "memory": peak}


if __name__ == "__main__":
    if "--measure" in sys.argv:
        print(json.dumps(measure()))
    else:
        main()
