"""Tests of the plan: counts, missing tasks, tasks by id; planning imports neither torch nor ray."""

import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from support.plan_jobs import job, jobs, pairing

from sweeper.errors import SweeperError
from sweeper.plan.plan import Count, Plan
from sweeper.spec.job.sweep import ResolvedSweep, Sweep


def test_tasks_are_counted_by_kind_and_as_done_or_missing():
    sweep = job(stitch=[pairing()], similarity=[pairing("weak", "weak", layers=["pool"])])
    plan = Plan.of(sweep)
    assert plan.counts() == {"models": Count(4, 0), "stitches": Count(40, 0), "similarities": Count(4, 0)}
    stored_ids = {plan.models[0].id, *plan.ids()[10:13], "of another job"}
    resumed = Plan.of(sweep, stored_ids)
    assert sum(count.done for count in resumed.counts().values()) == 4
    assert resumed.count("models") == Count(4, 1)
    assert resumed.count("models").missing == 3
    assert resumed.missing == set(plan.ids()) - stored_ids


def test_tasks_that_failed_are_in_no_pack_and_not_missing():
    sweep = job(stitch=[pairing()], similarity=[pairing("weak", "weak", layers=["pool"])])
    ids = Plan.of(sweep).ids()
    plan = Plan.of(sweep, done={ids[1], ids[2]}, failed={ids[0], ids[1], ids[10], "of another job"})
    assert plan.counts()["models"] == Count(4, done=2, failed=1)
    assert plan.counts()["stitches"] == Count(40, done=0, failed=1)
    assert plan.count("models").missing == 1
    assert plan.failed == {ids[0], ids[10]}, "a task that is done has not failed"
    assert plan.missing == set(ids) - {ids[0], ids[1], ids[2], ids[10]}
    assert {task for pack in plan.packs() for task in pack.tasks} == plan.missing


@settings(max_examples=40, deadline=None)
@given(jobs())
def test_every_task_is_found_by_its_id(sweep):
    plan = Plan.of(sweep)
    ids = plan.ids()
    assert len(set(ids)) == len(ids)
    assert all(len(task) == 32 for task in ids)
    for task in ids[:: max(1, len(ids) // 20)]:
        assert plan.task(task).id == task


@pytest.mark.parametrize("unknown", ["", "nonsense", "00" * 16, "00", "ab" * 40])
def test_an_unknown_task_is_a_key_error(unknown):
    with pytest.raises(KeyError):
        Plan.of(job(stitch=[pairing()])).task(unknown)


def test_a_plan_whose_tasks_are_all_done_has_no_packs():
    sweep = job(stitch=[pairing()])
    plan = Plan.of(sweep, frozenset(Plan.of(sweep).ids()))
    assert plan.missing == frozenset()
    assert list(plan.packs()) == []


def test_a_job_with_models_only_can_be_planned():
    plan = Plan.of(job())
    assert plan.count("stitches") == Count(0, 0)
    assert len(list(plan.packs())) == 4


def test_an_unresolved_job_is_refused():
    sweep: Any = Sweep.model_validate({"name": "x", "models": {"m": {"arch": "myrtle", "steps": 1}}})
    with pytest.raises(SweeperError, match="resolve"):
        Plan.of(sweep)


def test_too_many_models_are_refused_before_they_are_made():
    family = {"arch": "resnet18k", "steps": 1, "seed": list(range(2000)), "lr": [0.001 * n for n in range(1, 1001)]}
    with pytest.raises(SweeperError, match=r"limits\.tasks"):
        Plan.of(job({"many": family}, limits={"tasks": 1000}))


def test_a_plan_can_be_pickled():
    plan = Plan.of(job(stitch=[pairing()]))
    assert list(pickle.loads(pickle.dumps(plan)).packs()) == list(plan.packs())


def test_planning_twice_gives_the_same_packs_in_another_process():
    sweep = job(stitch=[pairing()], similarity=[pairing()])
    code = (
        "import sys\n"
        "from sweeper.plan.plan import Plan\n"
        "from sweeper.plan import explain, frontier\n"
        "from sweeper.spec.job.sweep import ResolvedSweep\n"
        "plan = Plan.of(ResolvedSweep.model_validate_json(sys.stdin.read()))\n"
        "print(*(pack.id for pack in plan.packs()), sep='\\n')\n"
        "heavy = {'torch', 'ray', 'duckdb', 'pyarrow'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], input=sweep.model_dump_json(), capture_output=True, text=True, check=True
    )
    assert process.stdout.split() == [
        pack.id for pack in Plan.of(ResolvedSweep.model_validate(sweep.model_dump())).packs()
    ]
