"""Contrasts with few training runs, which a plan warns of."""

import pytest
from support.plan_jobs import job, pairing

from sweeper.plan import explain
from sweeper.plan.few_runs import ENOUGH, PlannedContrast, contrasts
from sweeper.plan.plan import Plan

FAMILY = {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20}


def plan(weak: int, strong: int, *sections: dict, **axes: object) -> Plan:
    """Return the plan of a job with two families of so many seeds."""
    models = {
        "weak": FAMILY | {"seed": list(range(weak))},
        "strong": FAMILY | {"samples": 300, "seed": list(range(10, 10 + strong))} | axes,
    }
    return Plan.of(job(models, stitch=list(sections or [pairing(layers=["pool"])])))


def few_line(plan: Plan) -> str:
    return next((line for line in explain.summary_text(plan).splitlines() if line.startswith("few runs: ")), "")


def test_the_runs_of_both_sides_are_counted():
    assert contrasts(plan(2, 3)) == [PlannedContrast("strong", "weak", 3, 2)]


@pytest.mark.parametrize(("weak", "strong"), [(ENOUGH, ENOUGH - 1), (ENOUGH - 1, ENOUGH), (1, 9)])
def test_fewer_than_five_runs_on_a_side_are_a_warning(weak: int, strong: int):
    assert f"1 of 1 contrasts have fewer than 5 training runs on a side (strong into weak {strong} x {weak})" in (
        few_line(plan(weak, strong))
    )


def test_five_runs_are_enough():
    assert few_line(plan(ENOUGH, ENOUGH)) == ""


def test_each_setting_is_a_contrast():
    assert [c[2:] for c in contrasts(plan(5, 2, width=[4, 8]))] == [(2, 5), (2, 5)]


def test_pairs_that_a_condition_leaves_out_are_not_counted():
    section = pairing(layers=["pool"], where="a.seed < 12 and b.seed == 0")
    assert contrasts(plan(5, 5, section)) == [PlannedContrast("strong", "weak", 2, 1)]


def test_controls_are_no_contrasts():
    itself = pairing("weak", "weak", layers=["pool"], where="a.id == b.id")
    assert contrasts(plan(5, 5, itself)) == []
    label = pairing(layers=["pool"], sender="label")
    assert contrasts(plan(2, 2, label)) == []
    assert contrasts(plan(2, 2, pairing("weak", "weak", layers=["pool"]))) == [PlannedContrast("weak", "weak", 2, 2)]
