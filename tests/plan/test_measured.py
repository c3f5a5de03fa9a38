"""Tests of the correction of a plan by the times of its done tasks."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pytest
from support.plan_jobs import job, pairing

from sweeper.plan import explain
from sweeper.plan.measured import correct, earlier_plans, measured_corrections
from sweeper.plan.pack import row_seconds
from sweeper.plan.plan import Plan
from sweeper.spec.job.resolve import to_json
from sweeper.spec.records.task import Stitch, TaskTime, TrainPack

SECTIONS = [pairing(protocol=["strict", "paper"], steps=60)]


def half_done(**engine: Any) -> Plan:
    """Return a plan whose strong models, and the stitches with one of them, are done."""
    sweep = job(stitch=SECTIONS, similarity=[pairing(layers=["pool"])], engine=engine)
    whole = Plan.of(sweep)
    done = [model.id for model in whole.models if model.training.samples == 300]
    done += [task for task in whole.ids() if task not in done and is_of_seed(whole, task, 10)]
    return Plan.of(sweep, frozenset(done))


def is_of_seed(plan: Plan, task: str, seed: int) -> bool:
    """Return True for a stitch or measurement whose bottom has a seed."""
    planned = plan.task(task)
    return not hasattr(planned, "training") and planned.a.training.seed == seed  # type: ignore[union-attr]


def times(plan: Plan, factors: Mapping[str, float], device: str = "cpu") -> dict[str, TaskTime]:
    """Return the times of the done tasks: their estimates times a factor by kind."""
    trainings = {pack.tasks[0]: pack.seconds for pack in Plan.of(plan.sweep).packs() if isinstance(pack, TrainPack)}
    numbers = np.flatnonzero(plan.row_done)
    result = {}
    for task, seconds in zip(plan.row_ids(numbers.tolist()), row_seconds(plan, numbers).tolist(), strict=True):
        planned = plan.task(task)
        kind = planned.recipe.protocol if isinstance(planned, Stitch) else "measurement"
        result[task] = TaskTime(device, factors.get(kind, 1.0) * seconds)
    for model, done in zip(plan.models, plan.model_done, strict=True):
        if done:
            result[model.id] = TaskTime(device, factors.get("training", 1.0) * trainings[model.id])
    return result


def reader(stored: Mapping[str, TaskTime]):
    """Return a function that reads times as `Store.times` does."""

    def read(tasks: Collection[str]) -> dict[str, TaskTime]:
        return {task: stored[task] for task in tasks if task in stored}

    return read


def seconds_by_kind(plan: Plan) -> dict[str, float]:
    """Return the estimated seconds of the missing tasks."""
    seconds: dict[str, float] = {}
    for pack in plan.packs():
        kind = "training" if isinstance(pack, TrainPack) else (pack.stitches[0].recipe.protocol)
        seconds[kind] = seconds.get(kind, 0.0) + pack.seconds
    return seconds


def test_each_kind_of_task_has_its_own_factor():
    plan = half_done(pack_seconds=1e6)
    factors = {"strict": 2.0, "measurement": 2.0, "paper": 0.5, "training": 3.0}
    corrected = correct(plan, reader(times(plan, factors)))
    before, after = seconds_by_kind(plan), seconds_by_kind(corrected)
    assert before.keys() == after.keys() == {"strict", "paper", "training"}
    assert after["strict"] == pytest.approx(2 * before["strict"], rel=0.05)
    assert after["paper"] == pytest.approx(0.5 * before["paper"], rel=0.05)
    overall = corrected.corrections.factor(("models", "supervised", "vit"))
    assert after["training"] == pytest.approx(overall * before["training"]), "two measured runs are too few"


def test_packs_last_about_pack_seconds_by_measured_times():
    plan = half_done(pack_seconds=3)
    slow = correct(plan, reader(times(plan, dict.fromkeys(["strict", "paper", "measurement", "training"], 4.0))))
    packs, slow_packs = (sum(1 for pack in p.packs() if not isinstance(pack, TrainPack)) for p in (plan, slow))
    assert slow_packs > 2.5 * packs
    assert {task for pack in slow.packs() for task in pack.tasks} == set(plan.missing)


def test_a_plan_says_by_what_it_is_corrected():
    plan = half_done()
    stored = times(plan, {"strict": 2.0, "paper": 2.0, "measurement": 2.0, "training": 2.0})
    corrected = correct(plan, reader(stored))
    numbers = explain.summary(corrected)
    assert numbers["corrections"] == {
        "device": "cpu",
        "tasks": len(stored),
        "factor": pytest.approx(2.0),
        "on_gpu": False,
    }
    assert numbers["core_seconds"] == pytest.approx(2 * explain.summary(plan)["core_seconds"], abs=2)
    line = f"corrected by the times of {len(stored)} done tasks on cpu, which took 2 times as long as estimated"
    assert line in explain.summary_text(corrected)
    assert "corrected" not in explain.summary_text(plan)
    assert explain.summary(plan)["corrections"] is None


def test_measured_gpus_give_gpu_hours():
    plan = half_done(gpus=0.5)
    assumed = explain.summary(plan)
    assert assumed["gpu_seconds"] == pytest.approx(assumed["core_seconds"] / 100, rel=0.1)
    on_gpu = times(plan, dict.fromkeys(["strict", "paper", "measurement", "training"], 0.1), "NVIDIA H100, bfloat16")
    measured = explain.summary(correct(plan, reader(on_gpu)))
    # Ten times as fast as a core, on half a GPU: not fifty times, as was assumed.
    assert measured["gpu_seconds"] == pytest.approx(5 * assumed["gpu_seconds"], rel=0.01)
    text = explain.summary_text(correct(plan, reader(on_gpu)))
    assert "GPU-hours (by times measured on it)" in text
    assert "GPU-hours (a GPU counts as 100 cores)" in explain.summary_text(plan)
    assert explain.summary(half_done())["gpu_seconds"] is None
    assert explain.summary(half_done(address="10.0.0.1:6379"))["gpu_seconds"] > 0
    assert explain.summary(half_done(address="10.0.0.1:6379", gpus=0))["gpu_seconds"] is None


def test_times_of_gpus_do_not_count_where_workers_have_none():
    plan = half_done(gpus=0)
    on_gpu = reader(times(plan, {}, "NVIDIA H100"))
    assert measured_corrections(plan, on_gpu, plan.sweep.engine).tasks == 0
    assert measured_corrections(plan, on_gpu, half_done().sweep.engine).device == "NVIDIA H100"


def test_rows_without_a_time_do_not_count():
    plan = half_done()
    stored = {task: TaskTime("cpu", 0.0) for task in times(plan, {})}
    assert correct(plan, reader(stored)).corrections.tasks == 0


def test_the_tasks_of_an_earlier_job_count_if_this_job_has_none():
    earlier = half_done()
    stored = times(earlier, dict.fromkeys(["strict", "paper", "measurement", "training"], 2.0))
    models = {"weak": {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 30, "seed": [0, 1]}}
    edited = Plan.of(job(models, stitch=[pairing("weak", "weak", protocol=["strict", "paper"], steps=90)]))
    done = frozenset(task for task in earlier.ids() if task not in earlier.missing)
    jobs = iter([to_json(edited.sweep), to_json(earlier.sweep), "is not read"])
    corrected = correct(edited, reader(stored), earlier_plans(jobs, done))
    assert corrected.corrections.tasks == len(stored)
    assert seconds_by_kind(corrected)["paper"] == pytest.approx(2 * seconds_by_kind(edited)["paper"], rel=0.05)


def test_a_new_store_is_not_read():
    def read(tasks: Collection[str]) -> dict[str, TaskTime]:
        raise AssertionError("no task is done")

    plan = Plan.of(job(stitch=SECTIONS))
    assert list(correct(plan, read).packs()) == list(plan.packs())
