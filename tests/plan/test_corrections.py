"""Tests of the factors by which estimates are corrected."""

import pytest
from support.plan_jobs import job, pairing

from sweeper.plan.corrections import (
    LEAST_TASKS,
    NO_CORRECTIONS,
    Corrections,
    KindTimes,
    is_cpu,
    operation_kind,
    training_kind,
)
from sweeper.plan.plan import Plan

NARROW, WIDE = ("stitches", "strict", "resnet18k", "8"), ("stitches", "strict", "resnet18k", "64")


def test_without_measured_times_nothing_is_corrected():
    assert NO_CORRECTIONS.factor(NARROW) == 1
    assert (NO_CORRECTIONS.tasks, NO_CORRECTIONS.on_gpu) == (0, False)


def test_the_narrowest_kind_with_enough_tasks_counts():
    tallies = {NARROW: KindTimes(LEAST_TASKS, 20.0, 10.0), WIDE: KindTimes(LEAST_TASKS - 1, 90.0, 10.0)}
    tallies |= {NARROW[:3]: KindTimes(2 * LEAST_TASKS - 1, 110.0, 20.0), (): KindTimes(50, 300.0, 100.0)}
    corrections = Corrections("cpu", 1.0, tallies)
    assert corrections.factor(NARROW) == 2
    assert corrections.factor(WIDE) == 5.5, "all widths"
    assert corrections.factor(("models", "supervised", "vit", "")) == 3, "all tasks"
    assert corrections.tasks == 50


def test_a_gpu_counts_as_cores():
    corrections = Corrections("NVIDIA H100, bfloat16", 25.0, {(): KindTimes(10, 4.0, 200.0)})
    assert corrections.factor(()) == pytest.approx(0.5), "its workers are twice as fast as 25 cores"
    assert corrections.on_gpu


@pytest.mark.parametrize(("device", "cpu"), [("cpu", True), ("cpu, bfloat16", True), ("NVIDIA H100", False)])
def test_a_row_names_its_device(device, cpu):
    assert is_cpu(device) == cpu


def test_tasks_of_different_protocols_measures_and_architectures_have_different_kinds():
    sections = [pairing(protocol=["strict", "paper"], layers=["pool"]), pairing(stitcher="identity", layers=["pool"])]
    plan = Plan.of(job(stitch=sections, similarity=[pairing(layers=["pool"])]))
    run = plan.models[0].training
    kinds = {operation_kind(operation, run)[:3] for operation in plan.graph.operations}
    assert kinds == {
        ("stitches", "strict", "resnet18k"),
        ("stitches", "paper", "resnet18k"),
        ("stitches", "untrained", "resnet18k"),
        ("similarities", "linear_cka", "resnet18k"),
    }
    assert training_kind(run)[:3] == ("models", "supervised", "resnet18k")
