"""The duration of two packaged jobs on many workers, simulated from the estimates, against the least possible one.

    python bench/makespan.py

A figure is the duration in which workers end that take exactly the estimated time for each pack, in the order in which
the frontier hands packs out. Its baseline is the lower bound of all schedules: the longest path of packs that need one
another, or all work divided among the workers. The ratio is bound / duration; 1 is perfect.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

WORKERS = {"demo": (2, 8, 16), "paper/more-data": (16, 64, 128)}


def main() -> None:
    """Simulate both jobs and print the figures."""
    from record import emit
    from support.schedule import lower_bound, simulate

    from sweeper.plan.plan import Plan
    from sweeper.resources import job
    from sweeper.spec.job.load import load

    for name, numbers in WORKERS.items():
        packs = tuple(Plan.of(load(job(name))).packs())
        for workers in numbers:
            seconds, bound = simulate(packs, workers).seconds, lower_bound(packs, workers)
            emit(f"simulated duration of {name} on {workers} workers", seconds, "s", bound, bound / seconds)


if __name__ == "__main__":
    main()
