"""Tests of the difference between two versions of a job."""

import time

import pytest
from hypothesis import given, settings
from support.plan_jobs import job, jobs, pairing

from sweeper.plan.changes import changes
from sweeper.plan.plan import Plan

FAMILY = {"arch": "resnet18k", "width": 8, "steps": 20}
WEAK = FAMILY | {"samples": 100, "seed": [0, 1]}
STRONG = FAMILY | {"samples": 300, "seed": [10, 11]}
MODELS = {"weak": WEAK, "strong": STRONG}
SECTIONS = {"stitch": [pairing()], "similarity": [pairing(layers=["pool"])]}


def all_done(**sections) -> Plan:
    """Return the plan of a job whose tasks are all done."""
    sweep = job(**{"models": MODELS} | SECTIONS | sections)
    return Plan.of(sweep, set(Plan.of(sweep).ids()))


def edited(earlier: Plan, **sections) -> Plan:
    """Return the plan of another version of a job, with the same store."""
    return Plan.of(job(**{"models": MODELS} | SECTIONS | sections), set(earlier.ids()))


def summary(plan: Plan, earlier: Plan) -> tuple[set[tuple[str, int, str]], dict[str, int]]:
    """Return (kind, tasks, reason) of the new tasks, and the number of tasks that are gone, by kind."""
    found = changes(plan, earlier)
    return {group[:3] for group in found.new}, {group.kind: group.tasks for group in found.gone}


def test_a_job_that_was_not_edited_has_no_changes():
    earlier = all_done()
    assert summary(edited(earlier), earlier) == (set(), {})
    assert changes(edited(earlier), earlier).lines() == []


def test_a_changed_setting_of_a_family_explains_its_models_and_what_needs_them():
    earlier = all_done()
    plan = edited(earlier, models=MODELS | {"weak": WEAK | {"lr": 0.1}})
    reason = "models.weak.lr 0.05 -> 0.1"
    assert summary(plan, earlier) == (
        {("models", 2, reason), ("stitches", 40, reason), ("similarities", 4, reason)},
        {"models": 2, "stitches": 40, "similarities": 4},
    )
    [stitches] = [group for group in changes(plan, earlier).new if group.kind == "stitches"]
    new, nearest = plan.task(stitches.task), earlier.task(stitches.nearest)
    assert (new.a, new.cut_a, new.cut_b, new.recipe) == (nearest.a, nearest.cut_a, nearest.cut_b, nearest.recipe)
    assert (new.b.training.lr, nearest.b.training.lr, new.b.training.seed) == (0.1, 0.05, nearest.b.training.seed)


def test_an_added_value_is_told_from_a_changed_one():
    earlier = all_done()
    plan = edited(earlier, models=MODELS | {"weak": WEAK | {"seed": [0, 1, 2]}})
    reason = "models.weak.seed has 2 too"
    assert summary(plan, earlier) == (
        {("models", 1, reason), ("stitches", 20, reason), ("similarities", 2, reason)},
        {},
    )


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"stitch": [pairing(lr=0.2)]}, "stitch.lr 0.15 -> 0.2"),
        ({"stitch": [pairing(steps=[192, 50])]}, "stitch.steps has 50 too"),
        (
            {"stitch": [pairing(top=["weak", "strong"])]},
            "pairs or cuts of strong into strong that the job did not have",
        ),
    ],
)
def test_a_changed_section_explains_its_stitches(sections, reason):
    earlier = all_done()
    found, _ = summary(edited(earlier, **sections), earlier)
    assert found == {("stitches", 40, reason)}


def test_cuts_that_are_added_and_a_measure_that_is_changed_are_named():
    earlier = all_done()
    plan = edited(
        earlier, similarity=[pairing(layers=["pool", "conv1"], measure={"name": "linear_cka", "debiased": True})]
    )
    found, gone = summary(plan, earlier)
    assert gone == {"similarities": 4}
    assert {tasks for _, tasks, _ in found} == {8}
    assert all(reason.startswith("similarity.debiased") for _, _, reason in found)


def test_missing_tasks_that_were_named_before_are_not_new():
    sweep = job(models=MODELS, **SECTIONS)
    earlier = Plan.of(sweep, set(Plan.of(sweep).ids()[:10]))
    plan = Plan.of(job(models=MODELS | {"extra": STRONG | {"seed": 12}}, **SECTIONS), set(earlier.ids()[:10]))
    found = changes(plan, earlier)
    assert [group[:3] for group in found.new] == [("models", 1, "models.extra is new")]
    assert found.still_missing == len(earlier.ids()) - 10
    assert found.lines()[-1] == f"not new: {found.still_missing} missing tasks that the job named before"


@settings(max_examples=30, deadline=None)
@given(jobs(), jobs())
def test_every_missing_task_is_new_or_was_named_before(sweep, other):
    earlier = Plan.of(other)
    earlier = Plan.of(other, set(earlier.ids()[::2]))
    plan = Plan.of(sweep, set(earlier.ids()[::2]))
    found = changes(plan, earlier)
    before = set(earlier.ids())
    assert sum(group.tasks for group in found.new) == len(plan.missing - before)
    assert found.still_missing == len(plan.missing & before)
    assert all(group.reason and group.task in plan.missing - before for group in found.new)
    gone = {task for task in before if task not in set(plan.ids())} & (before - earlier.missing)
    assert sum(group.tasks for group in found.gone) == len(gone)


def test_a_hundred_thousand_stitches_are_compared_in_seconds():
    seeds = list(range(50))
    models = {"weak": WEAK | {"seed": seeds}, "strong": STRONG | {"seed": [100 + seed for seed in seeds]}}
    sections = {"stitch": [pairing(["weak", "strong"], ["weak", "strong"])]}
    before = job(models=models, **sections)
    earlier = Plan.of(before, set(Plan.of(before).ids()))
    plan = Plan.of(job(models=models | {"weak": models["weak"] | {"lr": 0.1}}, **sections), set(earlier.ids()))
    start = time.process_time()
    found = changes(plan, earlier)
    seconds = time.process_time() - start
    assert len(plan.ids()) > 100_000
    assert sum(group.tasks for group in found.new if group.kind == "stitches") == 75_000
    print(f"{seconds:.1f} s for {len(plan.ids())} tasks")
    assert seconds < 10
