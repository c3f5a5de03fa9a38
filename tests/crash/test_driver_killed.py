"""A real sweep whose driver is killed at random moments and restarted until the sweep is complete.

The store must have each task once and the same results as without kills, and no finished task may be performed again.
`tests/engine/test_interrupt.py` has a quick variant with tasks that compute nothing.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from support.driver_process import Driver

from sweeper.plan.plan import Plan
from sweeper.spec.job import resolve
from sweeper.spec.job.sweep import Sweep
from sweeper.store.store import Store

KILLS = 3
PERFORMER = "sweeper.trials.perform:perform"


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Write a job of 6 small models, 36 stitches and 18 measurements on digits, and return its file."""
    family = {"arch": "resnet18k", "options": {"width": 4}, "steps": 10}
    layers = ["conv1", "block4", "block8"]
    sweep = Sweep.model_validate(
        {
            "name": "killed",
            "models": {
                "a": family | {"samples": 300, "seed": [0, 1, 2]},
                "b": family | {"samples": 100, "seed": [10, 11, 12]},
            },
            "stitch": [{"bottom": "a", "top": "b", "layers": layers, "steps": 20, "seed": [0, 1]}],
            "similarity": [{"bottom": "a", "top": "b", "layers": ["block4", "block8"]}],
            "engine": {"workers": 2, "pack_seconds": 0.5},
        }
    )
    file = tmp_path / "job.json"
    file.write_text(resolve.to_json(resolve.resolve(sweep)))
    return file


@pytest.fixture
def drive(job: Path) -> Iterator:
    """Return a function that starts a driver of the job on a store; what still runs at the end is killed."""
    drivers: list[Driver] = []

    def start(store: Path) -> Driver:
        drivers.append(Driver(store, PERFORMER, str(job)))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.kill_all()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_sweep_with_repeated_kills_has_the_results_of_a_sweep_without_kills(drive, job, tmp_path):
    rng = random.Random(1)
    undisturbed = drive(tmp_path / "undisturbed")
    start = time.monotonic()
    _, stderr = undisturbed.end()
    seconds = time.monotonic() - start
    assert undisturbed.process.returncode == 0, stderr

    done_after_kill: list[set[str]] = []  # ids of the tasks that were done after each kill
    for _ in range(KILLS):
        driver = drive(tmp_path / "disturbed")
        time.sleep(rng.uniform(0.4, 0.95) * seconds)  # random: a kill may come at any moment
        driver.process.kill()
        assert driver.workers_end()
        done_after_kill.append(Store.open(str(tmp_path / "disturbed"), create=True).done())
    last = drive(tmp_path / "disturbed")
    _, stderr = last.end()
    assert last.process.returncode == 0, stderr

    plan = Plan.of(resolve.from_json(job.read_text()))
    expected, actual = Store.open(str(tmp_path / "undisturbed")), Store.open(str(tmp_path / "disturbed"))
    assert expected.done() == actual.done() == set(plan.ids())
    assert not actual.damage
    assert all(earlier <= later for earlier, later in pairwise(done_after_kill))

    receipts = Counter(actual.sql("select task from attempts where outcome = 'done'")["task"].to_pylist())
    assert receipts == Counter(plan.ids()), "a finished task was performed again"
    expected_results, actual_results = results(expected), results(actual)
    for task, (error, loss) in expected_results.items():
        assert actual_results[task][0] == pytest.approx(error, abs=0.5), "test error, percentage points"
        assert actual_results[task][1] == pytest.approx(loss, rel=0.02), "test loss, nats"


def results(store: Store) -> dict[str, tuple[float, float]]:
    """Return (test error, test loss) of every model and stitch by task id; for a similarity, its value twice."""
    rows = store.sql(
        "select task, test_error, test_loss from models union all select task, test_error, test_loss from stitches "
        "union all select task, value, value from similarities"
    ).to_pylist()
    return {row["task"]: (row["test_error"], row["test_loss"]) for row in rows}
