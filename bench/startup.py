"""Seconds of `--help`, of `status` and `sql` on a store of a thousand parts, and of `tables` on one like the demo's.

    python bench/startup.py

A figure is the median over `REPETITIONS` new processes, in seconds; its baseline is the budget. The digests of the
stores' parts are cached.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import emit

from sweeper.plan.plan import Plan
from sweeper.spec.job.resolve import resolve, to_json
from sweeper.spec.job.sweep import Sweep
from sweeper.spec.records.rows import RunRow, SimilarityRow
from sweeper.spec.records.task import Measurement
from sweeper.store.store import Store

REPETITIONS = 7
PARTS = 1_000
SQL = "SELECT cut_b, count(*), avg(value) FROM similarities GROUP BY ALL"
BUDGETS = {("--help",): 0.4, ("status",): 1.0, ("sql", SQL): 1.0}
TABLES_BUDGET = 2.0

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def main() -> None:
    """Fill a store, measure the commands, and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        _fill(store)
        environment = os.environ | {"SWEEPER_STORE": str(store), "SWEEPER_CACHE": f"{folder}/cache"}
        for arguments, budget in BUDGETS.items():
            seconds = _median_seconds(arguments, environment)
            parts = "" if arguments == ("--help",) else f", {PARTS} parts"
            emit(f"sweeper {arguments[0]}{parts}", seconds, "s", budget, budget / seconds)
        seconds = _median_seconds(("tables",), environment | {"SWEEPER_STORE": _demo_store(folder)})
        emit("sweeper tables, a store like the demo's", seconds, "s", TABLES_BUDGET, TABLES_BUDGET / seconds)


def _median_seconds(arguments: tuple[str, ...], environment: dict[str, str]) -> float:
    """Return the median seconds of a command, without the first process, which reads files and caches digests."""
    seconds = [_seconds(arguments, environment) for _ in range(REPETITIONS + 1)]
    return statistics.median(seconds[1:])


def _seconds(arguments: tuple[str, ...], environment: dict[str, str]) -> float:
    command = [Path(sys.executable).with_name("sweeper"), *arguments]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def _demo_store(folder: str) -> str:
    """Fill a store with the rows of the demo's tasks, with errors that are drawn at random, and return its place."""
    from support.planted_store import Planted, demo_store

    store = Store.open(f"{folder}/demo", create=True)
    demo_store(Planted(store))
    return store.url


def _fill(folder: Path) -> None:
    """Fill a store with a job of a thousand measurements, each committed alone."""
    family = {"arch": "resnet18k", "options": {"width": 4}, "steps": 20}
    models = {"a": family | {"seed": tuple(range(10))}, "b": family | {"seed": tuple(range(10, 20))}}
    job = {"name": "startup", "models": models, "similarity": [{"bottom": "a", "top": "b"}]}
    sweep = resolve(Sweep.model_validate(job))
    plan = Plan.of(sweep)
    store = Store.open(str(folder), create=True)
    start = RunRow(
        task="r1",
        run="r1",
        job=sweep.name,
        event="start",
        outcome="",
        host="bench",
        pid=1,
        job_given="",
        job_resolved=to_json(sweep),
        tasks=len(plan.ids()),
        done_before=0,
        done=0,
        failed=0,
    )
    store.commit([start], run="r1", worker="driver")
    measures = (task for task in map(plan.task, plan.ids()) if isinstance(task, Measurement))
    for measure, _ in zip(measures, range(PARTS - 1), strict=False):
        store.commit([_row(measure)], run="r1", worker="w1")


def _row(measure: Measurement) -> SimilarityRow:
    return SimilarityRow(
        task=measure.id,
        a=measure.a.id,
        b=measure.b.id,
        a_weights="",
        b_weights="",
        cut_a=measure.cut_a,
        cut_b=measure.cut_b,
        position_a=1,
        position_b=1,
        depth_a=0.5,
        depth_b=0.5,
        data_digest="",
        measure=measure.measure,
        options="{}",
        samples=450,
        value=0.5,
    )


if __name__ == "__main__":
    main()
