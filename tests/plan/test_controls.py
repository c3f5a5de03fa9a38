"""Tests of the controls of stitches, which are the stitches of their tops into themselves."""

import pytest
from support.plan_jobs import job, pairing

from sweeper.plan import explain
from sweeper.plan.controls import lacks_control
from sweeper.plan.plan import Plan
from sweeper.spec.records.task import Stitch


def lacking(*sections: dict) -> int:
    """Return the number of stitches without a control in a job with these sections, counted by definition, too."""
    plan = Plan.of(job(stitch=list(sections)))
    stitches = [task for task in plan.tasks(range(len(plan.graph.rows))) if isinstance(task, Stitch)]
    controls = {(task.b, task.cut_b, task.recipe) for task in stitches if task.a == task.b and task.cut_a == task.cut_b}
    number = int(lacks_control(plan).sum())
    if all(task.recipe.sender == "network" for task in stitches):
        assert number == sum((task.b, task.cut_b, task.recipe) not in controls for task in stitches)
    return number


def test_tops_among_the_bottoms_are_controls():
    assert lacking(pairing(["weak", "strong"], "weak")) == 0
    assert lacking(pairing("strong", "weak")) > 0
    assert lacking(pairing("strong", "weak"), pairing("weak", "weak", where="a.id == b.id")) == 0


@pytest.mark.parametrize(
    "other",
    [{"stitcher": {"name": "low_rank", "rank": 4}}, {"data": "top"}, {"seed": 1}, {"steps": 3}, {"layers": ["conv1"]}],
)
def test_a_control_has_the_recipe_and_the_cut_of_the_stitch(other: dict):
    alone = lacking(pairing("strong", "weak", layers=["pool"]))
    assert (
        lacking(pairing("strong", "weak", layers=["pool"]), pairing("weak", "weak", **{"layers": ["pool"]} | other))
        == alone
    )


def test_a_stitch_of_two_cuts_is_controlled_at_the_cut_of_the_top():
    across = pairing("weak", "weak", layers=["conv1", "pool"], top_layers=["pool"], stitcher="adapter")
    assert lacking(across) == 0
    assert lacking(across | {"layers": ["conv1"]}) > 0


def test_another_sender_is_compared_with_the_tops_own_activation():
    label = pairing("strong", "weak", sender="label")
    assert lacking(label, pairing("weak", "weak", sender="label")) > 0
    assert lacking(label, pairing("weak", "weak")) == 0


def test_a_probe_needs_no_control():
    plan = Plan.of(job(stitch=[pairing("strong", "weak", layers=["pool"], stitcher="probe")]))
    assert not lacks_control(plan).any()


def test_the_summary_of_a_plan_says_what_has_no_control():
    plan = Plan.of(job(stitch=[pairing("strong", "weak")]))
    assert explain.summary(plan)["without_control"] == lacks_control(plan).sum() > 0
    (line,) = (line for line in explain.summary_text(plan).splitlines() if line.startswith("no control: "))
    assert "a.id == b.id" in line
    assert "no control" not in explain.summary_text(Plan.of(job(stitch=[pairing(["weak", "strong"], "weak")])))
