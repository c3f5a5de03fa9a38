"""Tests of what a plan says about packs that take long."""

from typing import Any

import pytest
from support.plan_jobs import job, pairing

from sweeper.plan import explain
from sweeper.plan.plan import Plan

FAMILY = {"arch": "resnet18k", "width": 64, "steps": 64_000, "samples": 300}
FAMILIES = {"weak": FAMILY | {"seed": [0]}, "strong": FAMILY | {"seed": [10, 11]}}


def plan(**engine: Any) -> Plan:
    """Return a plan of three long training runs and two short stitches."""
    return Plan.of(job(FAMILIES, stitch=[pairing(layers=["pool"])], engine=engine))


def test_packs_over_a_limit_in_seconds_are_all_named():
    long_plan = plan(timeout=60)
    numbers = explain.summary(long_plan)
    over = numbers["over_time_limit"]
    trainings = {pack.tasks: pack.seconds for pack in long_plan.packs() if pack.seconds > 60}
    assert {pack["tasks"]: pack["seconds"] for pack in over} == trainings
    assert len(over) == 3
    assert over == sorted(over, key=lambda pack: -pack["seconds"])
    text = explain.summary_text(long_plan)
    assert "3 packs are estimated to take longer than engine.timeout (60 s) on one core, and would be stopped" in text
    for pack in over:
        assert f"  models {pack['tasks'][0]}: " in text
    assert f"at least {2 * over[0]['seconds']:.0f}" in text


def test_a_limit_that_the_plan_advises_is_long_enough():
    longest = explain.summary(plan(timeout=60))["over_time_limit"][0]["seconds"]
    assert explain.summary(plan(timeout=2 * longest))["over_time_limit"] == []


def test_no_pack_is_over_a_limit_that_scales_with_its_estimate():
    numbers = explain.summary(plan())
    assert (numbers["timeout"], numbers["over_time_limit"], numbers["long_packs"]) == ("auto", [], 3)
    longest = numbers["longest_pack"]
    assert longest["limit"] == pytest.approx(5 * longest["seconds"])
    text = explain.summary_text(plan())
    assert "time limits: 3600 s, and more for 3 long packs; the longest is estimated at " in text
    assert f"(models {longest['tasks'][0]})" in text


def test_declared_gpus_count():
    on_a_core, on_a_gpu = (explain.summary(plan(timeout=60, gpus=gpus))["over_time_limit"] for gpus in (0, 1))
    assert on_a_core[0]["seconds"] == pytest.approx(100 * on_a_gpu[0]["seconds"])


def test_short_packs_are_not_mentioned():
    text = explain.summary_text(Plan.of(job(stitch=[pairing()])))
    assert "time limit" not in text
