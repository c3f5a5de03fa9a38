"""Tests of packs: each missing task is in exactly one, in any order of the job; halves and subsets of packs."""

import dataclasses
from collections import Counter

import pytest
from hypothesis import given, settings
from support.plan_jobs import job, jobs, pairing
from support.toy_packs import stitch_pack, train_pack

from sweeper.plan import cost
from sweeper.plan.pack import dependent_tasks, keep_tasks, split
from sweeper.plan.plan import Plan
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.spec.records.task import StitchPack, TrainPack


def stitch_packs(sweep: ResolvedSweep, done: frozenset[str] = frozenset()) -> list[StitchPack]:
    """Return the packs of stitches and measurements of a job."""
    return [pack for pack in Plan.of(sweep, done).packs() if isinstance(pack, StitchPack)]


@settings(max_examples=60, deadline=None)
@given(jobs())
def test_every_missing_task_is_in_exactly_one_pack(sweep):
    ids = Plan.of(sweep).ids()
    plan = Plan.of(sweep, frozenset(ids[::3]))
    packs = list(plan.packs())
    assert Counter(task for pack in packs for task in pack.tasks) == Counter(plan.missing)
    assert len({pack.id for pack in packs}) == len(packs)
    assert all(pack.seconds > 0 for pack in packs)
    for pack in packs:
        if isinstance(pack, StitchPack):
            assert {task.a for task in (*pack.stitches, *pack.measurements)} == {pack.a}
        else:
            assert {model.training for model in pack.models} == {pack.training}
            assert [model.step for model in pack.models] == sorted({model.step for model in pack.models})


def reversed_job(sweep: ResolvedSweep) -> ResolvedSweep:
    """Return the same job with families, sections and axes in reverse order."""

    def reversed_axes(section):
        changes = {n: v[::-1] for n, v in section if isinstance(v, tuple) and n != "zip" and n != "layers"}
        return section.model_copy(update=changes)

    return sweep.model_copy(
        update={
            "models": {name: reversed_axes(family) for name, family in reversed(sweep.models.items())},
            "stitch": tuple(reversed_axes(section) for section in sweep.stitch[::-1]),
            "similarity": sweep.similarity[::-1],
        }
    )


@settings(max_examples=40, deadline=None)
@given(jobs())
def test_packs_do_not_depend_on_the_order_of_the_job(sweep):
    assert list(Plan.of(sweep).packs()) == list(Plan.of(reversed_job(sweep)).packs())


def test_a_pack_has_one_data_stream_and_untrained_tasks_join_the_first():
    section = pairing(
        stitcher=["conv1x1", "identity"], seed=[0, 1], data=["full", "top"], protocol=["strict", "paper"], steps=1
    )
    stitch_packs_of_job = stitch_packs(job(stitch=[section], similarity=[pairing()], engine={"pack_seconds": 1e6}))
    for pack in stitch_packs_of_job:
        trained = [stitch for stitch in pack.stitches if stitch.recipe.steps]
        assert len({(s.recipe.protocol, s.recipe.data, s.recipe.seed) for s in trained}) == 1
        if trained[0].recipe.data == "top":
            assert len({stitch.b.training.seed for stitch in trained}) == 1, "each top was trained on different images"
    data_choices = 1 + 2  # all images, or those that one of the two tops was trained on
    assert len(stitch_packs_of_job) == 2 * 2 * 2 * data_choices, "two bottoms, seeds and protocols"
    assert [bool(pack.measurements) for pack in stitch_packs_of_job].count(True) == 2
    assert [any(not s.recipe.steps for s in pack.stitches) for pack in stitch_packs_of_job].count(True) == 2


def test_tops_that_share_their_images_share_a_stream():
    models = {
        "a": {"arch": "resnet18k", "width": 8, "steps": 0},
        "b": {"arch": "resnet18k", "width": 8, "steps": 5, "samples": 50, "nested": True, "seed": [0, 1, 2]},
    }
    section = pairing("a", "b", data="top", layers=["pool"], steps=1)
    assert len(stitch_packs(job(models, stitch=[section], engine={"pack_seconds": 1e6}))) == 1


def test_tops_with_different_labels_share_no_stream():
    """Check tops with two kinds of labels, because a stitcher is trained on the labels of its top."""
    halves = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    models = {"a": {"arch": "resnet18k", "width": 8, "steps": 5, "labels": ["classes", halves], "seed": [0, 1]}}
    stitch_packs_of_job = stitch_packs(
        job(models, stitch=[pairing("a", "a", layers=["pool"], steps=1)], engine={"pack_seconds": 1e6})
    )
    assert len(stitch_packs_of_job) == 4 * 2
    assert all(len({stitch.b.training.labels for stitch in pack.stitches}) == 1 for pack in stitch_packs_of_job)


def test_the_initial_model_of_a_training_run_is_the_input_of_its_pack():
    family = {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20}
    models = {"parent": family, "child": family | {"init_from": "parent", "snapshot": [10, 20]}}
    plan = Plan.of(job(models))
    inputs = {pack.tasks: pack.inputs for pack in plan.packs()}
    parent = plan.models[plan.families["parent"][0]].id
    child = tuple(plan.models[place].id for place in plan.families["child"])
    assert inputs == {(parent,): (), child: (parent,)}
    (_, pack) = sorted(plan.packs(), key=lambda pack: len(pack.tasks))
    assert dependent_tasks(pack, parent) == set(child)
    assert dependent_tasks(pack, child[0]) == set()


def test_measurements_alone_are_packs_of_their_own():
    stitch_packs_of_job = stitch_packs(job(similarity=[pairing()]))
    assert [len(pack.measurements) for pack in stitch_packs_of_job] == [20, 20]


def test_stitches_with_the_same_top_and_cut_are_adjacent():
    (pack, _) = stitch_packs(job(stitch=[pairing(lr=[0.1, 0.2, 0.3], steps=1)], engine={"pack_seconds": 1e6}))
    top_cuts = [(stitch.b.id, stitch.cut_b) for stitch in pack.stitches]
    assert len(list(dict.fromkeys(top_cuts))) == 20
    tops = [top for top, _ in top_cuts]
    assert tops == sorted(tops, key=tops.index), "sorted by top, so that a part of the pack needs few tops"
    assert all(top_cuts[i : i + 3] == [top_cuts[i]] * 3 for i in range(0, len(top_cuts), 3))


@pytest.mark.parametrize("target", [3, 10, 40])
def test_packs_last_about_pack_seconds(target):
    models = {"one": {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20, "seed": list(range(12))}}
    stitch_packs_of_job = stitch_packs(
        job(models, stitch=[pairing("one", "one", steps=50)], engine={"pack_seconds": target})
    )
    assert sum(pack.seconds for pack in stitch_packs_of_job) / len(stitch_packs_of_job) == pytest.approx(
        target, rel=0.35
    )


def test_the_bottoms_passes_are_at_most_about_a_quarter_of_a_pack():
    models = {"one": {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20, "seed": list(range(6))}}
    sections = [pairing("one", "one", steps=20, layers=["block8", "pool"])]
    sweep = job(models, stitch=sections, dataset="cifar10", engine={"pack_seconds": 1})
    plan = Plan.of(sweep)
    (operation,) = plan.graph.operations
    shared = cost.shared_seconds(
        operation, plan.catalog.network_of(plan.models[0].training).cuts[-1], plan.data, plan.catalog
    )
    stitch_packs_of_job = stitch_packs(sweep)
    assert shared > 1
    assert len(stitch_packs_of_job) * shared < 0.35 * sum(pack.seconds for pack in stitch_packs_of_job)


def test_long_stitches_whose_steps_pass_through_the_bottom_are_packs_of_their_own():
    section = pairing(protocol="paper", steps=20_000)
    long_packs = stitch_packs(job(stitch=[section], engine={"pack_seconds": 30}))
    assert {len(pack.tasks) for pack in long_packs} == {1}
    assert min(pack.seconds for pack in long_packs) > 30
    kept = stitch_packs(job(stitch=[pairing(protocol="strict", steps=20_000)], engine={"pack_seconds": 30}))
    assert {len(pack.tasks) for pack in kept} == {1}


def test_short_stitches_share_the_passes_of_their_steps_for_about_pack_seconds():
    section = pairing(protocol="paper", steps=200)
    packs = stitch_packs(job(stitch=[section], engine={"pack_seconds": 30}))
    assert max(len(pack.tasks) for pack in packs) > 1
    assert max(pack.seconds for pack in packs if len(pack.tasks) > 1) < 40


def test_a_training_run_is_packed_up_to_its_last_missing_snapshot():
    models = {
        "one": {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 100, "snapshot": [100, 10, 50], "seed": 3}
    }
    sweep = job(models)
    (whole,) = Plan.of(sweep).packs()
    assert isinstance(whole, TrainPack)
    assert [model.step for model in whole.models] == [10, 50, 100]
    (remaining,) = Plan.of(sweep, {whole.models[2].id}).packs()
    assert isinstance(remaining, TrainPack)
    assert [model.step for model in remaining.models] == [10, 50]
    assert remaining.seconds == pytest.approx(whole.seconds / 2, rel=0.1)


def test_done_models_and_done_stitches_are_in_no_pack():
    sweep = job(stitch=[pairing(layers=["pool"])])
    plan = Plan.of(sweep)
    stitches = {task for pack in plan.packs() if isinstance(pack, StitchPack) for task in pack.tasks}
    assert {type(pack) for pack in Plan.of(sweep, stitches).packs()} == {TrainPack}
    assert {type(pack) for pack in Plan.of(sweep, {model.id for model in plan.models}).packs()} == {StitchPack}


def test_the_id_of_a_pack_depends_on_its_tasks_and_not_on_their_order():
    pack = stitch_pack("a", ["b", "c"], measurements=["b"])
    all_tasks = keep_tasks(pack, pack.tasks)
    assert keep_tasks(all_tasks, reversed(all_tasks.tasks)) == all_tasks
    assert keep_tasks(pack, ["a>b"]).id != keep_tasks(pack, ["a>c"]).id
    reordered = dataclasses.replace(pack, stitches=pack.stitches[::-1])
    assert keep_tasks(reordered, reordered.tasks).id == all_tasks.id


def test_a_subset_of_a_pack_keeps_order_kind_and_share_of_seconds():
    pack = stitch_pack("a", ["b", "c", "d"], measurements=["b"])
    assert keep_tasks(pack, ["a~b", "a>c"]).tasks == ("a>c", "a~b")
    assert keep_tasks(pack, ["a~b", "a>c"]).seconds == pytest.approx(pack.seconds / 2)
    left, right = split(pack)
    assert (left.tasks, right.tasks) == (("a>b", "a>c"), ("a>d", "a~b"))
    first, second = split(train_pack("x", "y", "z"))
    assert (first.tasks, second.tasks) == (("x",), ("y", "z"))
    with pytest.raises(ValueError, match="single task"):
        split(first)


def test_needing_returns_the_tasks_of_a_model():
    pack = stitch_pack("a", ["b", "c"], measurements=["b"])
    assert dependent_tasks(pack, "b") == {"a>b", "a~b"}
    assert dependent_tasks(pack, "a") == set(pack.tasks)
    assert dependent_tasks(train_pack("x"), "x") == set()
