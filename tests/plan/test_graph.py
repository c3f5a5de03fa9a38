"""Tests of the graph: the stitches and measurements that the pairings of a job give."""

import dataclasses
from collections import Counter
from typing import Any

import pytest
from support.plan_jobs import job, pairing

from sweeper.errors import SweeperError
from sweeper.plan.plan import Plan
from sweeper.spec.cards.protocols import PAPER, STRICT
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.spec.records.ident import FIELDS_ADDED_LATER, ident
from sweeper.spec.records.task import Measurement, Recipe, Stitch

FAMILY = {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20}
RESNET = ["conv1", *(f"block{n}" for n in range(1, 9)), "pool"]


def tasks(sweep: ResolvedSweep) -> list[Stitch | Measurement]:
    """Return the stitches and measurements of a job."""
    plan = Plan.of(sweep)
    return plan.tasks(range(len(plan.graph.rows)))


def recipes(**section: object) -> list[Recipe]:
    """Return the recipes that a section applies to one pair of models at one cut."""
    sweep = job(stitch=[pairing(layers=["pool"], where="a.seed == 10 and b.seed == 0", **section)])
    return [task.recipe for task in tasks(sweep) if isinstance(task, Stitch)]


def cuts(**section: object) -> list[tuple[str, str]]:
    """Return the pairs of cuts at which a section stitches one pair of models."""
    stitches = tasks(job(stitch=[pairing(where="a.seed == 10 and b.seed == 0", **section)]))
    return [(task.cut_a, task.cut_b) for task in stitches]


def test_every_bottom_is_stitched_to_every_top_at_every_cut():
    stitches = tasks(job(stitch=[pairing(["weak", "strong"], "weak")]))
    assert len(stitches) == 4 * 2 * 10
    assert len({task.id for task in stitches}) == 80
    assert all(task.cut_a == task.cut_b for task in stitches)


def test_where_reduces_the_pairs():
    stitches = tasks(job(stitch=[pairing("weak", "weak", where="a.seed != b.seed", layers=["pool"])]))
    assert {(task.a.training.seed, task.b.training.seed) for task in stitches} == {(0, 1), (1, 0)}


def test_where_can_select_by_family():
    section = pairing(["weak", "strong"], ["weak", "strong"], where='a.family == "strong"', layers=["pool"])
    assert {task.a.training.samples for task in tasks(job(stitch=[section]))} == {300}


def test_zipped_models_are_paired_in_order():
    stitches = tasks(job(stitch=[pairing(zip=["bottom", "top"], layers=["pool"])]))
    assert {(task.a.training.seed, task.b.training.seed) for task in stitches} == {(10, 0), (11, 1)}


def test_zipped_sides_of_unequal_length_are_refused():
    with pytest.raises(SweeperError, match="they have 4 and 2"):
        Plan.of(job(stitch=[pairing(["weak", "strong"], "weak", zip=["bottom", "top"])]))


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        ("all", RESNET),
        (["block4", "pool"], ["block4", "pool"]),
        ([1, 11, "block1"], ["conv1", "block1", "pool"]),
        ({"every": 1}, RESNET),
        ({"every": 4}, ["block1", "block5", "pool"]),
        ({"every": 100}, ["pool"]),
    ],
)
def test_layers_are_given_as_all_by_name_by_position_or_every_nth_from_the_last(layers, names):
    assert cuts(layers=layers) == [(name, name) for name in names]


@pytest.mark.parametrize(
    ("top_layers", "names"),
    [
        ("same", ["conv1", "block4"]),
        ("all", RESNET),
        ({"every": 4}, ["block1", "block5", "pool"]),
        (["pool", 2], ["block1", "pool"]),
        ("block3", ["block3"]),
    ],
)
def test_every_layer_of_the_bottom_is_paired_with_every_layer_given_for_the_top(top_layers, names):
    cut_pairs = cuts(layers=[1, "block4"], top_layers=top_layers, stitcher="adapter")
    pairs_of_same_layers = list(zip(names, names, strict=True))
    assert cut_pairs == (
        pairs_of_same_layers if top_layers == "same" else [(a, b) for a in ("conv1", "block4") for b in names]
    )


def test_equal_layers_given_for_both_sides_give_the_same_stitches():
    ids_by_name, ids_by_same = (ids_of(top_layers=layers, layers=["pool"]) for layers in (["pool"], "same"))
    assert ids_by_name == ids_by_same
    assert ids_by_same < ids_of(top_layers="all", layers="all", stitcher=["adapter", "conv1x1"])


def ids_of(**section: object) -> set[str]:
    """Return the ids of the stitches of one section."""
    return {task.id for task in tasks(job(stitch=[pairing(**section)]))}


def test_cuts_of_different_depths_that_a_stitcher_cannot_join_are_counted():
    plan = Plan.of(job(stitch=[pairing(top_layers="all", where="a.seed == 10 and b.seed == 0")]))
    assert plan.count("stitches").tasks == 3**2 + 2**2 * 3 + 1  # cuts of 8 x 8, of three smaller sizes, and the pool
    assert sum(plan.left_out.values()) == 100 - plan.count("stitches").tasks
    assert Plan.of(job(stitch=[pairing(top_layers="all", stitcher="adapter")])).count("stitches").tasks == 4 * 100


def test_different_architectures_are_compared_at_cuts_of_equal_name_or_position():
    models = {
        "a": {"arch": "resnet18k", "width": 8, "steps": 0},
        "b": {"arch": "myrtle", "width": 8, "steps": 0},
    }
    by_name = Plan.of(job(models, similarity=[pairing("a", "b")]))
    assert [(t.cut_a, t.cut_b) for t in by_name.tasks([0, 1])] == [("conv1", "conv1"), ("pool", "pool")]
    assert by_name.left_out == {f"myrtle has no cut block{n}": 1 for n in range(1, 9)}
    by_position = Plan.of(job(models, similarity=[pairing("a", "b", layers=[2, 3])]))
    assert [(t.cut_a, t.cut_b) for t in by_position.tasks([0, 1])] == [("block1", "conv2"), ("block2", "conv3")]


def test_shapes_that_a_stitcher_cannot_join_are_left_out_and_counted():
    models = {
        "narrow": {"arch": "resnet18k", "width": 8, "steps": 0, "seed": [0, 1]},
        "wide": {"arch": "resnet18k", "width": 16, "steps": 0, "seed": [0, 1, 2]},
    }
    plan = Plan.of(job(models, stitch=[pairing("wide", "narrow", stitcher=["conv1x1", "identity"])]))
    assert plan.count("stitches").tasks == 6 * 10
    assert sum(plan.left_out.values()) == 6 * 10
    assert plan.left_out["identity joins equal shapes, not 128 and 64"] == 6


def test_data_top_needs_a_trained_top():
    models = {"one": {"arch": "resnet18k", "width": 8, "samples": 100, "steps": [0, 20]}}
    plan = Plan.of(job(models, stitch=[pairing("one", "one", data=["full", "top"], layers=["pool"])]))
    assert plan.count("stitches").tasks == 4 + 2
    assert plan.left_out == {"data: top needs a top that was trained": 2}


def test_a_stitch_named_twice_is_one_task():
    sections = [pairing(layers=["pool", "block8"]), pairing(layers=["pool"]), pairing(["strong", "strong"], "weak")]
    assert len(tasks(job(stitch=sections))) == 4 * 10


def test_settings_left_out_of_a_recipe_come_from_its_protocol():
    strict, paper = sorted(recipes(protocol=["strict", "paper"]), key=lambda r: r.protocol, reverse=True)
    assert (strict.steps, strict.batch, strict.lr, strict.augment) == (STRICT.steps, STRICT.batch, STRICT.lr, "none")
    assert (paper.steps, paper.batch, paper.lr, paper.augment) == (PAPER.steps, PAPER.batch, PAPER.lr, "none"), (
        "the digits are not augmented, even in the protocol paper"
    )
    assert [r.augment for r in recipes(protocol="paper", augment="crop_flip")] == ["crop_flip"]


def test_every_setting_of_a_stitcher_is_an_axis():
    all_recipes = recipes(seed=[0, 1], steps=[10, 20], batch=[8, 16], lr=[1, 0.1], data=["full", "top"])
    assert len(set(all_recipes)) == 32
    assert all(isinstance(recipe.lr, float) for recipe in all_recipes)
    assert len(recipes(seed=[0, 1], steps=[10, 20], zip=["seed", "steps"])) == 2


def test_a_stitcher_without_training_is_one_task_for_all_training_settings():
    (recipe,) = recipes(stitcher="identity", seed=[0, 1], steps=[10, 20], lr=[0.1, 0.2], data=["full", "top"])
    assert recipe == Recipe("identity", (), "strict", "full", 0, 0, 0, 0.0, "none")


def test_a_stitcher_solved_from_images_has_one_task_for_each_choice_of_images():
    solved = recipes(stitcher="affine", seed=[0, 1], steps=[10, 20], lr=[0.1, 0.2], data=["full", "top"])
    assert sorted(recipe.data for recipe in solved) == ["full", "top"]
    assert {(recipe.seed, recipe.steps, recipe.batch, recipe.lr) for recipe in solved} == {(0, 0, 0, 0.0)}


def test_all_images_are_a_third_choice_that_equals_full_without_held_out_images():
    choices = {"data": ["full", "top", "all"], "stitcher": ["conv1x1", "affine", "identity"]}
    chosen = Counter((recipe.stitcher, recipe.data) for recipe in recipes(**choices))
    assert set(chosen) == {(name, data) for name in ("conv1x1", "affine") for data in choices["data"]} | {
        ("identity", "full")
    }
    assert ids_of(layers=["pool"]) < ids_of(layers=["pool"], data=choices["data"])
    sweep = job(stitch=[pairing(layers=["pool"], **choices)])
    without_held_out = sweep.model_copy(update={"data": dataclasses.replace(sweep.data, holdout=0)})
    assert {recipe.data for recipe in Plan.of(without_held_out).graph.operations} == {"full", "top"}


def test_stop_and_sender_are_axes_whose_defaults_keep_the_ids():
    defaults = {"stop": "held_out", "sender": "network"}
    ids = ids_of(layers=["pool"])
    assert ids_of(layers=["pool"], **defaults) == ids
    grid_ids = ids_of(layers=["pool"], stop=["held_out", "none"], sender=["network", "label", "noise"])
    assert ids < grid_ids
    assert len(grid_ids) == 6 * len(ids)


def test_train_is_an_axis_whose_default_keeps_the_ids():
    ids = ids_of(layers=["pool"])
    assert ids_of(layers=["pool"], train="stitcher") == ids
    grid_ids = ids_of(layers=["pool"], train=["stitcher", "top"])
    assert ids < grid_ids
    assert len(grid_ids) == 2 * len(ids)


def test_fine_tuning_the_top_takes_steps_with_every_stitcher():
    """Check that a stitcher without training has one task, and one more for each length of the top's training."""
    recipes_of_job = recipes(stitcher=["identity", "affine"], steps=[10, 20], train=["stitcher", "top"])
    steps = Counter((recipe.stitcher, recipe.train, recipe.steps) for recipe in recipes_of_job)
    assert steps == {
        (name, train, n): 1
        for name in ("identity", "affine")
        for train, n in (("stitcher", 0), ("top", 10), ("top", 20))
    }
    assert {(recipe.batch, recipe.lr) for recipe in recipes_of_job if recipe.train == "top"} == {
        (STRICT.batch, STRICT.top_lr)
    }


def test_a_probe_joins_each_layer_of_the_bottom_to_the_tops_output():
    for top_layers in ("same", "all", ["block8"]):
        assert cuts(layers=[1, "block4"], top_layers=top_layers, stitcher="probe") == [
            ("conv1", "output"),
            ("block4", "output"),
        ]
    assert len(recipes(stitcher="probe", train=["stitcher", "top"])) == 1, "a probe has no top that could be fine-tuned"
    models = {"r": FAMILY, "m": FAMILY | {"arch": "myrtle"}}
    plan = Plan.of(job(models, stitch=[pairing("r", "m", layers=["block1", "conv2"], stitcher="probe")]))
    assert [(task.cut_a, task.cut_b) for task in tasks(plan.sweep)] == [("block1", "output")]
    assert plan.left_out == {"resnet18k has no cut conv2": 1}


def test_the_axis_stop_has_no_effect_where_training_never_stops_early():
    assert len(recipes(protocol="paper", stop=["held_out", "none"])) == 1
    assert len(recipes(stitcher="identity", stop=["held_out", "none"], sender=["network", "label"])) == 2


def test_neutral_values_of_fields_added_later_are_the_defaults_of_a_recipe():
    fields = {field.name: field.default for field in dataclasses.fields(Recipe)}
    assert {name: fields[name] for name in FIELDS_ADDED_LATER["stitch"]} == FIELDS_ADDED_LATER["stitch"]


def test_task_ids_are_made_by_ident():
    sweep = job(stitch=[pairing(layers=["pool"])], similarity=[pairing(layers=["conv1"])])
    for task in tasks(sweep):
        common = {"cut_a": task.cut_a, "cut_b": task.cut_b, "data_set": sweep.data.spec}
        if isinstance(task, Stitch):
            names = ("stitcher", "protocol", "data", "seed", "steps", "batch", "lr", "augment")
            spec = {name: getattr(task.recipe, name) for name in names} | {"options": dict(task.recipe.options)}
            assert task.id == ident("stitch", spec | common, [task.a.id, task.b.id])
        else:
            spec = {"measure": task.measure, "options": dict(task.options)}
            assert task.id == ident("measure", spec | common, [task.a.id, task.b.id])


def test_null_is_an_axis_and_null_0_keeps_the_id():
    def ids(**section: Any) -> set[str]:
        return {task.id for task in tasks(job(similarity=[pairing(layers=["pool"], **section)]))}

    assert ids(null=0) == ids()
    assert len(ids(null=[0, 20])) == 8
    assert ids(null=[0, 20]) > ids()
    assert len(ids() | ids(null=20) | ids(null=21)) == 12
    assert {task.null for task in tasks(job(similarity=[pairing(null=[0, 20])])) if isinstance(task, Measurement)} == {
        0,
        20,
    }


def test_a_measure_of_outputs_is_taken_once_for_each_pair():
    measures = ["linear_cka", "output_agreement"]
    measurements = tasks(job(similarity=[pairing(layers=["conv1", "pool"], measure=measures)]))
    counts = Counter((task.measure, task.cut_a, task.cut_b) for task in measurements if isinstance(task, Measurement))
    assert counts == {
        ("linear_cka", "conv1", "conv1"): 4,
        ("linear_cka", "pool", "pool"): 4,
        ("output_agreement", "output", "output"): 4,
    }
    outputs_only = job(
        {"r": FAMILY, "m": FAMILY | {"arch": "myrtle"}}, similarity=[pairing("r", "m", measure=measures[1])]
    )
    assert [task.cut_b for task in tasks(outputs_only)] == ["output"]
    assert Plan.of(outputs_only).left_out == {}


def test_the_output_can_not_be_given_as_a_layer():
    plan = Plan.of(job(stitch=[pairing(layers=["output"])], similarity=[pairing(layers=["output"])]))
    assert plan.left_out == {"resnet18k has no cut output": 8}


def test_cuts_that_a_measure_can_not_compare_are_left_out_and_counted():
    families = {"r": FAMILY, "m": FAMILY | {"arch": "myrtle"}}
    plan = Plan.of(job(families, similarity=[pairing("r", "m", layers=[3, "pool"], measure=["svcca", "linear_cka"])]))
    ((reason, count),) = plan.left_out.items()
    assert count == 1
    assert reason.startswith("svcca compares maps of equal size")
    assert len(tasks(plan.sweep)) == 3


@pytest.mark.parametrize("limit", [3, 5, 23])
def test_more_tasks_than_the_limit_are_refused(limit):
    section = pairing(layers=["pool", "conv1", "block1", "block2", "block3"])
    with pytest.raises(SweeperError, match=r"limits\.tasks"):
        Plan.of(job(stitch=[section], limits={"tasks": limit}))
    assert len(Plan.of(job(stitch=[section], limits={"tasks": 24})).ids()) == 24
