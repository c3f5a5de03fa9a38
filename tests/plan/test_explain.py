"""Tests of the summaries of a plan and of a task."""

import json

import pytest
from support.plan_jobs import job, pairing

from sweeper.plan import explain
from sweeper.plan.plan import Plan
from sweeper.spec.job.sweep import ResolvedSweep


@pytest.fixture(scope="module")
def sweep() -> ResolvedSweep:
    sections = [pairing(["weak", "strong"], "weak"), pairing(stitcher="linear", layers=["pool", "conv1"])]
    return job(stitch=sections, similarity=[pairing(layers=["pool"])])


def test_the_summary_counts_the_tasks_and_packs_of_the_plan(sweep: ResolvedSweep):
    plan = Plan.of(sweep, frozenset(Plan.of(sweep).ids()[:10]))
    numbers = explain.summary(plan)
    packs = list(plan.packs())
    assert json.loads(json.dumps(numbers)) == json.loads(json.dumps(numbers, sort_keys=True))
    assert numbers["models"] == {"tasks": 4, "done": 4, "failed": 0, "missing": 0}
    assert numbers["stitches"] == {"tasks": 84, "done": 6, "failed": 0, "missing": 78}
    assert numbers["similarities"] == {"tasks": 4, "done": 0, "failed": 0, "missing": 4}
    assert (numbers["tasks"], numbers["done"], numbers["missing"]) == (92, 10, 82)
    assert numbers["packs"] == len(packs)
    assert numbers["training_runs"] == 0
    assert numbers["core_seconds"] == pytest.approx(sum(pack.seconds for pack in packs), abs=1)
    assert numbers["memory_bytes"] > 4e8
    assert numbers["left_out"] == {"linear joins vectors or tokens of equal number, not 8x8x8 and 8x8x8": 4}
    assert numbers["families"] == {"weak": 2, "strong": 2}
    assert [section["tasks"] for section in numbers["sections"]] == [80, 4, 4]
    assert [section["left_out"] for section in numbers["sections"]] == [0, 4, 0]


def test_tasks_that_are_done_cost_nothing(sweep: ResolvedSweep):
    numbers = explain.summary(Plan.of(sweep, frozenset(Plan.of(sweep).ids())))
    assert (numbers["missing"], numbers["packs"], numbers["core_seconds"], numbers["stored_bytes"]) == (0, 0, 0, 0)


def test_the_text_has_the_numbers_in_full(sweep: ResolvedSweep):
    lines = explain.summary_text(Plan.of(sweep)).splitlines()
    assert lines[0] == "test on digits: 92 tasks, 0 done"
    assert [line.split() for line in lines[2:5]] == [
        ["models", "4", "0", "4"],
        ["stitches", "84", "0", "84"],
        ["similarities", "4", "0", "4"],
    ]
    assert "left out: 4 (linear joins vectors or tokens of equal number, not 8x8x8 and 8x8x8)" in lines
    seconds = explain.summary(Plan.of(sweep))["core_seconds"]
    assert f"estimated: {seconds} core-seconds ({seconds / 3600:.3g} core-hours)" in lines
    assert explain.summary_text(Plan.of(sweep, frozenset(Plan.of(sweep).ids()))).endswith("nothing is missing")


def test_the_explanation_of_a_model_has_its_initial_model_and_its_labels():
    family = {
        "arch": "resnet18k",
        "width": 8,
        "samples": 100,
        "steps": 20,
        "labels": [[0, 1, 2], [3, 4, 5, 6, 7, 8, 9]],
    }
    plan = Plan.of(job({"parent": family, "child": family | {"init_from": "parent", "freeze": ["conv1", "pool"]}}))
    parent, child = (plan.models[plan.families[name][0]] for name in ("parent", "child"))
    explanation = explain.task(plan, child.id)
    assert explanation["inputs"] == [{"task": parent.id, "done": False, "families": ["parent"]}]
    training = explanation["spec"]["training"]
    assert (training["init"], training["freeze"], training["options"]) == (parent.id, ["conv1", "pool"], {"width": 8})
    assert training["labels"] == family["labels"]
    assert explain.task(plan, parent.id)["inputs"] == []
    assert json.dumps(explanation)


def test_the_explanation_of_a_task_has_its_spec_inputs_and_state(sweep: ResolvedSweep):
    plan = Plan.of(sweep, {Plan.of(sweep).models[0].id})
    model = explain.task(plan, plan.models[0].id)
    assert (model["kind"], model["done"], model["inputs"]) == ("models", True, [])
    assert model["families"] == ["weak"]
    assert model["spec"]["training"]["options"] == {"width": 8}
    pairs = [explain.task(plan, task) for task in (plan.ids()[4], plan.ids()[-1])]
    assert [pair["kind"] for pair in pairs] == ["stitches", "similarities"]
    stitch = pairs[0]
    assert [model["task"] for model in stitch["inputs"]] == [stitch["spec"]["a"], stitch["spec"]["b"]]
    assert stitch["inputs"][0] == {"task": plan.models[0].id, "done": True, "families": ["weak"]}
    assert stitch["spec"]["recipe"]["options"] == {}
    assert json.dumps(stitch)
    with pytest.raises(KeyError):
        explain.task(plan, "0" * 32)
