"""The driver of a real sweep is killed at random moments and started again, until the sweep is complete: the same
tasks, each once, nothing finished redone, and the same results as without any of this. `tests/engine/test_interrupt`
has a quick variant, with toys."""

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
    """6 models, 36 stitches and 18 measurements on digits, all of them small."""
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
    """Starts a driver of the job on a store."""
    drivers: list[Driver] = []

    def start(store: Path) -> Driver:
        drivers.append(Driver(store, PERFORMER, str(job)))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.kill_all()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_sweep_whose_driver_is_killed_again_and_again(drive, job, tmp_path):
    chance = random.Random(1)  # seeded, so that a failure can be repeated
    calm = drive(tmp_path / "calm")
    start = time.monotonic()
    _, err = calm.end()
    seconds = time.monotonic() - start
    assert calm.process.returncode == 0, err

    finished: list[set[str]] = []  # what the store had after each kill
    for _ in range(KILLS):
        driver = drive(tmp_path / "stormy")
        time.sleep(chance.uniform(0.4, 0.95) * seconds)
        driver.process.kill()
        assert driver.workless()
        finished.append(Store.open(str(tmp_path / "stormy"), create=True).done())
    last = drive(tmp_path / "stormy")
    _, err = last.end()
    assert last.process.returncode == 0, err

    plan = Plan.of(resolve.from_json(job.read_text()))
    expected, got = Store.open(str(tmp_path / "calm")), Store.open(str(tmp_path / "stormy"))
    assert expected.done() == got.done() == set(plan.ids())
    assert not got.damage
    assert all(before <= after for before, after in pairwise(finished))

    receipts = Counter(got.sql("select task from attempts where outcome = 'done'")["task"].to_pylist())
    assert receipts == Counter(plan.ids()), "nothing finished is done again"
    calm_results, stormy_results = results(expected), results(got)
    for task, (error, loss) in calm_results.items():
        assert stormy_results[task][0] == pytest.approx(error, abs=0.5), "points"
        assert stormy_results[task][1] == pytest.approx(loss, rel=0.02), "nats"


def results(store: Store) -> dict[str, tuple[float, float]]:
    """Test error and loss of every model and stitch; a similarity stands for both."""
    rows = store.sql(
        "select task, test_error, test_loss from models union all select task, test_error, test_loss from stitches "
        "union all select task, value, value from similarities"
    ).to_pylist()
    return {row["task"]: (row["test_error"], row["test_loss"]) for row in rows}
