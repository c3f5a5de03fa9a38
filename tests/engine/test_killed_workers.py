"""Real workers that compute and are killed with SIGKILL after they have saved a state: others go on from there."""

from collections.abc import Iterator

import pytest
from support.interrupted import comparable
from support.killed_workers import FOLDER, notes

from sweeper.engine import cluster
from sweeper.engine.run import run
from sweeper.spec.job.sweep import Engine, Sweep
from sweeper.spec.records.rows import CurveRow, ModelRow, StitchRow
from sweeper.store.parts.schema import to_rows
from sweeper.store.query.query import read_rows
from sweeper.store.store import Store

FAMILY = {"arch": "resnet18k", "options": {"width": 4}, "samples": 300, "batch": 16, "augment": "crop_flip"}
JOB = Sweep.model_validate(
    {
        "name": "killed",
        "models": {"a": FAMILY | {"steps": 100, "snapshot": [50, 100]}, "b": FAMILY | {"steps": 0}},
        "stitch": [{"bottom": "b", "top": "b", "layers": "block2", "protocol": "paper", "steps": 60, "batch": 32}],
        "engine": {"workers": 1, "save_every": 0.05},  # s
    }
)


@pytest.fixture(scope="module")
def ray_up(toy_environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Start a local Ray whose workers can import `support` and note their events."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(tmp_path_factory.mktemp("notes")))
        with cluster.cluster(Engine(workers=1)):
            yield


def results(store: Store) -> list[dict[str, object]]:
    """Return the rows of results and curves, without what depends on the run and the machine."""
    rows = [row for kind in (ModelRow, StitchRow, CurveRow) for row in to_rows(kind, published(store, kind))]
    of_the_run = {"run", "attempt"}
    return sorted(({k: v for k, v in comparable(row).items() if k not in of_the_run} for row in rows), key=repr)


def published(store: Store, kind: type) -> object:
    """Return the rows of a kind as a table."""
    return read_rows(kind, store._check_parts().valid)


@pytest.mark.slow
@pytest.mark.timeout(900)  # a worker starts four times, each importing torch
@pytest.mark.usefixtures("ray_up")
def test_tasks_go_on_in_other_workers_with_the_same_results(tmp_path) -> None:
    undisturbed, disturbed = (Store.open(str(tmp_path / name), create=True) for name in ("undisturbed", "disturbed"))
    saves_nothing = JOB.model_copy(update={"engine": Engine(workers=1)})
    assert run(saves_nothing, undisturbed).outcome == "complete"
    summary = run(JOB, disturbed, performer="support.killed_workers:perform")
    assert summary.outcome == "complete", summary
    killed, resumed = notes("killed"), notes("resumed")
    for pack in ("TrainPack", "StitchPack"):
        assert len(killed[pack]) == 1
        assert resumed[pack], "another process found the state"
        assert not resumed[pack] & killed[pack]
    assert not notes("ignored")
    assert results(disturbed) == results(undisturbed)
    assert len(results(disturbed)) > 6
    for store in (disturbed, undisturbed):
        assert not store.objects.list("scratch/")
