"""Real workers that compute and are killed with SIGKILL after they have saved a state: others go on from there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.interrupted import comparable
from support.killed_workers import FOLDER, KILLS, notes

from sweeper.engine.run import run
from sweeper.spec.job.sweep import Sweep
from sweeper.spec.records.rows import CurveRow, ModelRow, StitchRow
from sweeper.store.parts.schema import to_rows
from sweeper.store.query.query import read_rows
from sweeper.store.store import Store

TESTS = Path(__file__).parents[1]
KINDS = (ModelRow, StitchRow, CurveRow)
SAVE_EVERY = 0.5  # seconds


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[None]:
    """Let workers import `support` and note their events."""
    folder = tmp_path / "notes"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
        patch.setenv(FOLDER, str(folder))
        yield


def sweep(steps: int) -> Sweep:
    """Return a job of one training run with two snapshots."""
    family = {"arch": "resnet18k", "options": {"width": 4}, "samples": 300, "batch": 16, "augment": "crop_flip"}
    return Sweep.model_validate(
        {
            "name": "killed",
            "models": {"a": family | {"steps": steps, "snapshot": [steps // 2, steps]}},
            "engine": {"workers": 1, "save_every": SAVE_EVERY},
        }
    )


def results(store: Store) -> list[dict[str, object]]:
    """Return the rows of results and curves, without what depends on the run and the machine."""
    rows = [row for kind in KINDS for row in to_rows(kind, read_rows(kind, store._check_parts().valid))]
    of_the_run = {"run", "attempt"}
    return sorted(({k: v for k, v in comparable(row).items() if k not in of_the_run} for row in rows), key=repr)


@pytest.mark.usefixtures("environment")
def test_a_training_run_goes_on_in_another_worker_with_the_same_result(tmp_path: Path) -> None:
    job = sweep(steps=300)
    undisturbed = Store.open(str(tmp_path / "undisturbed"), create=True)
    assert run(job, undisturbed).outcome == "complete"

    disturbed = Store.open(str(tmp_path / "disturbed"), create=True)
    summary = run(job, disturbed, performer="support.killed_workers:perform")
    assert summary.outcome == "complete", summary
    killed, resumed = notes("killed"), notes("resumed")
    assert len(set(killed)) == len(resumed) == KILLS
    assert set(resumed) - set(killed), "the last process that went on from a state is none of those that were killed"
    assert not notes("ignored")
    assert results(disturbed) == results(undisturbed)
    for store in (disturbed, undisturbed):
        assert not store.objects.list("scratch/")
