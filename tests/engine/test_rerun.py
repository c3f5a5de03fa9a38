"""Tests of a task that is performed again in this process, with toy performers and without Ray."""

import subprocess
import sys

import pytest
from support.toys import receipt, toy_sweep

from sweeper.engine.rerun import perform_here
from sweeper.errors import StoreBusy
from sweeper.plan.plan import Plan
from sweeper.spec.records.task import TrainPack
from sweeper.store.store import Store

PLAN = Plan.of(toy_sweep())
PERFORMER = "support.toys:perform_immediately"


@pytest.fixture
def store(tmp_path) -> Store:
    """Return a store with the models of the toy sweep."""
    store = Store.open(str(tmp_path / "store"), create=True)
    outcomes = [receipt(pack, pack.models[0]) for pack in PLAN.packs() if isinstance(pack, TrainPack)]
    for outcome in outcomes:
        store.put_weights(outcome.weights or b"")
    store.commit([row for outcome in outcomes for row in outcome.rows], run="before", worker="test")
    return store


def raise_an_error(pack, load, **options):
    """Raise an error, as a performer does that was told to raise errors."""
    assert options["raise_errors"]
    raise ZeroDivisionError("here")
    yield


@pytest.mark.parametrize("number", [-1, 4], ids=["measurement", "stitch"])
def test_a_result_is_committed_with_the_weights_that_the_store_has(store, number):
    task = PLAN.ids()[number]
    rerun = perform_here(PLAN, task, store, commit=True, performer=PERFORMER)
    assert rerun.error is None
    kind = "similarities" if number == -1 else "stitches"
    [row] = store.sql(f"SELECT run, a, a_weights FROM {kind} WHERE task = '{task}'").to_pylist()
    assert row["a_weights"] == store.weights()[row["a"]]
    assert [(run.run, run.event, run.outcome) for run in store.runs()] == [
        (row["run"], "start", ""),
        (row["run"], "end", "complete"),
    ]


def test_nothing_is_stored_without_commit(store):
    before = store.objects.list("")
    rerun = perform_here(PLAN, PLAN.ids()[0], store, commit=False, performer=PERFORMER)
    assert rerun.row is not None
    assert rerun.row.kind == "models"
    assert list(store.objects.list("")) == list(before)


def test_an_error_is_returned_with_its_traceback_and_recorded(store):
    task = PLAN.ids()[4]
    rerun = perform_here(PLAN, task, store, commit=True, performer=f"{__name__}:raise_an_error")
    assert isinstance(rerun.error, ZeroDivisionError)
    trace = rerun.error.__traceback__
    while trace is not None and trace.tb_next:
        trace = trace.tb_next
    assert trace is not None
    assert trace.tb_frame.f_code.co_name == "raise_an_error"
    assert store.failed() == {task}
    assert store.runs()[-1].outcome == "failed"


def test_a_store_in_use_is_refused(store):
    with store.lease(), pytest.raises(StoreBusy):
        perform_here(PLAN, PLAN.ids()[4], store, commit=True, performer=PERFORMER)


def test_ray_is_not_imported():
    code = "import sys, sweeper.engine.rerun; sys.exit('ray' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
