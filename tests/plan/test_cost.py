"""Estimates: they grow with the work, and stay within sight of what was measured."""

import dataclasses

import pytest
from plan_jobs import job, pairing

from sweeper.plan import cost
from sweeper.plan.graph import Metric, network_of
from sweeper.plan.plan import Plan
from sweeper.spec.task import Recipe, Stitch

MODELS = {
    "small": {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20},
    "large": {"arch": "resnet18k", "width": 32, "samples": 100, "steps": [20, 40]},
}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan.of(job(MODELS, stitch=[pairing("small", "small"), pairing("large", "large")]))


def own(plan: Plan, cut: str, **changes: object) -> float:
    """Seconds of the small network stitched to itself."""
    tasks = (task for task in plan.tasks(range(len(plan.graph.rows))) if isinstance(task, Stitch))
    stitch = next(task for task in tasks if task.cut_a == cut and task.a == task.b)
    network = network_of(stitch.b.training)
    place = next(c for c in network.cuts if c.name == cut)
    return cost.own_seconds(dataclasses.replace(stitch.recipe, **changes), place, place, network, plan.data)


def test_training_costs_by_its_steps_and_width(plan: Plan):
    def seconds(width: int, step: int) -> float:
        model = next(m for m in plan.models if m.option("width") == width and m.step == step)
        return cost.train_seconds(model, network_of(model.training))

    assert seconds(32, 40) == pytest.approx(2 * seconds(32, 20), rel=0.1)
    assert seconds(32, 20) > 2 * seconds(8, 20)


def test_a_stitch_costs_less_the_later_its_cut(plan: Plan):
    assert own(plan, "conv1") > own(plan, "block4") > own(plan, "pool") > 0


def test_a_stitch_costs_by_its_steps(plan: Plan):
    assert own(plan, "block4", steps=600) > 1.5 * own(plan, "block4", steps=300)
    assert own(plan, "block4", steps=0) < 0.2 * own(plan, "block4", steps=300)
    assert own(plan, "block4", protocol="paper") > own(plan, "block4")


def test_a_stitcher_costs_by_its_parameters_and_what_is_solved_by_its_images(plan: Plan):
    def seconds(stitcher: str, **options: object) -> float:
        return own(plan, "block1", stitcher=stitcher, options=tuple(options.items()))

    large = seconds("conv", kernel=9, norm=True, depth=2)
    assert large > seconds("conv", kernel=3, norm=True, depth=1) > seconds("conv1x1")
    assert seconds("conv", kernel=1, norm=True, depth=1) == seconds("conv1x1")
    assert seconds("adapter", places="pool") == pytest.approx(seconds("conv1x1"), rel=1e-6)
    solved, plugged = (own(plan, "block1", stitcher=name, steps=0) for name in ("affine", "identity"))
    assert solved > plugged


def test_without_augmentation_the_sender_passes_once(plan: Plan):
    (recipe,) = plan.graph.uses
    assert isinstance(recipe, Recipe)
    deepest = network_of(plan.models[0].training).cuts[-1]
    once = cost.shared_seconds(recipe, deepest, plan.data)
    each_step = cost.shared_seconds(dataclasses.replace(recipe, augment="crop_flip"), deepest, plan.data)
    paper = cost.shared_seconds(dataclasses.replace(recipe, protocol="paper"), deepest, plan.data)
    tested = cost.shared_seconds(Metric("linear_cka", ()), deepest, plan.data)
    assert paper > each_step > once > tested > 0
    assert cost.shared_seconds(recipe, network_of(plan.models[0].training).cuts[0], plan.data) < once


def test_memory_is_bounded_by_what_a_pack_may_keep(plan: Plan):
    (recipe,) = plan.graph.uses
    cuts = list(network_of(plan.models[0].training).cuts)
    huge = dataclasses.replace(plan.data, train=10_000_000)
    assert cost.pack_bytes(recipe, cuts, huge) == cost.WORKER + cost.KEPT
    assert cost.pack_bytes(Metric("linear_cka", ()), cuts, plan.data) > cost.WORKER + 2 * 4 * plan.data.test * 8 * 8 * 8
    assert cost.WORKER < cost.pack_bytes(recipe, cuts[-1:], plan.data) < cost.pack_bytes(recipe, cuts, plan.data)


def test_rows_hold_a_bit_for_each_test_image(plan: Plan):
    bigger = dataclasses.replace(plan.data, test=10_000 + plan.data.test)
    assert cost.row_bytes("stitches", bigger) - cost.row_bytes("stitches", plan.data) == 1250
    assert cost.row_bytes("similarities", bigger) == cost.row_bytes("similarities", plan.data)
