"""Tests of the zoo: lengths in steps, defaults filled in, one model for each resolved spec."""

import pytest
from support.plan_jobs import job

from sweeper.errors import SweeperError
from sweeper.plan.zoo import zoo
from sweeper.spec.cards.card import Option
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.options import complete
from sweeper.spec.records.task import Model


def models(**family: object) -> list[Model]:
    """Return the models of a job with one family."""
    sweep = job({"one": family if "arch" in family else {"arch": "resnet18k", "width": 8, **family}})
    zoo_of_job = zoo(sweep, sweep.data, Catalog.of(sweep))
    return [zoo_of_job.models[i] for i in zoo_of_job.families["one"]]


def model(**family: object) -> Model:
    """Return the only model of a job with one family."""
    (single_model,) = models(**family)
    return single_model


def test_the_grid_is_expanded_in_full():
    grid = models(samples=[100, 300], steps=[10, 20], seed=[0, 1, 2])
    assert len({m.id for m in grid}) == 12
    assert {(m.training.samples, m.step, m.training.seed) for m in grid} == {
        (n, s, k) for n in (100, 300) for s in (10, 20) for k in (0, 1, 2)
    }


def test_zipped_axes_advance_together():
    zipped = models(samples=[100, 300], steps=[10, 20], zip=["samples", "steps"])
    assert [(m.training.samples, m.step) for m in zipped] == [(100, 10), (300, 20)]


@pytest.mark.parametrize(
    ("epochs", "samples", "batch", "steps"),
    [(1, 100, 50, 2), (1, 101, 50, 3), (0.07, 100, 1, 7), (0.1, 1000, 10, 10), (2.5, 300, 128, 6), (3, 100, 128, 3)],
)
def test_epochs_are_rounded_up_to_whole_steps_and_exactly(epochs, samples, batch, steps):
    assert model(epochs=epochs, samples=samples, batch=batch).training.steps == steps


def test_a_batch_may_be_larger_than_the_samples():
    """Check that models with few samples keep the batch, so that a series of models differs in samples alone."""
    assert model(steps=10, samples=50, batch=128).training.batch == 128
    assert model(steps=10, samples=50, batch=128).id != model(steps=10, samples=50, batch=50).id


def test_all_samples_leave_out_the_images_held_out_for_stopping():
    assert model(steps=10).training.samples == 1347 - 147


def test_all_samples_of_a_shard_are_the_size_of_the_shard():
    assert [m.training.samples for m in models(steps=10, shards=7, shard=[0, 6])] == [172, 171]  # of 1,200


def test_snapshots_of_one_run_are_models_of_one_training():
    snapshots = models(steps=100, snapshot=[25, 50, 100], samples=100)
    assert [m.step for m in snapshots] == [25, 50, 100]
    assert len({m.training.id for m in snapshots}) == 1
    assert len({m.id for m in snapshots}) == 3
    assert snapshots[-1].id == model(steps=100, samples=100).id, "the last snapshot is the run's end"
    assert snapshots[0].id != model(steps=25, samples=100).id, "a snapshot of a longer schedule is another model"


def test_snapshots_count_in_the_unit_of_the_length():
    assert [m.step for m in models(epochs=4, snapshot=[0.5, 2], samples=100, batch=10)] == [5, 20]


def test_a_snapshot_beyond_the_end_is_refused():
    with pytest.raises(SweeperError, match="snapshot at step 30 of a run of 20"):
        models(steps=20, snapshot=30, samples=100)


def test_a_random_initialisation_does_not_depend_on_settings_of_training():
    untrained = model(steps=0)
    variants = models(
        steps=0,
        samples=[100, 300],
        lr=[0.1, 0.2],
        augment="crop_flip",
        label_noise=0.5,
        snapshot=5,
        shards=2,
        warmup=0.1,
    )
    assert {m.id for m in variants} == {untrained.id}
    assert untrained.step == untrained.training.samples == untrained.training.batch == 0
    assert untrained.training.schedule == untrained.training.augment == "none"
    assert untrained.epochs == 0.0
    assert model(steps=0, seed=1).id != untrained.id
    assert model(steps=0, width=16).id != untrained.id


def test_labels_are_groups_of_classes_however_they_are_named():
    halves = [[0, 1, 2, 3, 4], [9, 8, 7, 6, 5]]
    coarse = model(steps=10, labels=halves)
    assert coarse.training.labels == ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))
    assert coarse.training.classes == 2
    assert coarse.id != model(steps=10, labels=halves[::-1]).id, "the order of the groups is the order of the outputs"
    assert model(steps=10, labels=[[label] for label in range(10)]).id == model(steps=10, labels="classes").id
    assert [m.training.classes for m in models(steps=0, labels=["classes", halves])] == [10, 2]
    assert Catalog().network_of(coarse.training).parameters < Catalog().network_of(model(steps=10).training).parameters


def test_the_initial_model_has_the_same_seed_or_is_the_only_one_of_its_family():
    settings = {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20}
    families = {
        "copies": settings | {"init_from": "many", "seed": [2, 1], "steps": 0, "reset": "ends"},
        "many": settings | {"seed": [1, 2, 3]},
        "one": settings | {"seed": 7},
        "children": settings | {"init_from": ["one", "many"], "seed": [1, 3], "zip": ["init_from", "seed"]},
    }
    sweep = job(families)
    zoo_of_job = zoo(sweep, sweep.data, Catalog.of(sweep))
    runs = {name: [zoo_of_job.models[i].training for i in places] for name, places in zoo_of_job.families.items()}
    initial_seeds = {name: [run.init.training.seed for run in family if run.init] for name, family in runs.items()}
    assert initial_seeds == {"copies": [2, 1], "many": [], "one": [], "children": [7, 3]}
    assert [(run.steps, run.reset) for run in runs["copies"]] == [(0, "ends")] * 2
    assert all(run.init in zoo_of_job.models for run in runs["copies"])


@pytest.mark.parametrize(
    ("init_from", "seed", "message"),
    [("many", 4, "0 models of 'many' have seed 4"), ("children", 1, "children start from"), ("x", 1, "don't exist")],
)
def test_a_model_whose_initial_model_does_not_exist_is_refused(init_from: str, seed: int, message: str):
    settings = {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20}
    sweep = job({"many": settings | {"seed": [1, 2]}, "children": settings | {"init_from": init_from, "seed": seed}})
    with pytest.raises(SweeperError, match=message):
        zoo(sweep, sweep.data, Catalog.of(sweep))


def test_frozen_stages_are_given_by_cut_position_or_depth():
    assert model(steps=10).training.freeze == ()
    assert model(steps=10, freeze=["block1", 1, 11]).training.freeze == ("conv1", "block1", "pool")
    assert [m.training.freeze for m in models(steps=10, freeze=[[], ["conv1"]])] == [(), ("conv1",)]
    assert model(steps=10, freeze_depth=0.3).training.freeze == ("conv1", "block1", "block2")
    assert model(steps=0, freeze=["conv1"]).id == model(steps=0).id
    with pytest.raises(SweeperError, match="resnet18k has no cut block9"):
        model(steps=10, freeze="block9")


def test_the_augmentation_is_the_data_sets_unless_given():
    assert model(steps=1).training.augment == "none"
    assert model(steps=1, augment="crop_flip").training.augment == "crop_flip"


def test_options_are_completed_and_typed():
    assert model(steps=1).training.options == (("width", 8),)
    sweep = job({"one": {"arch": "resnet18k", "steps": 1}})
    assert zoo(sweep, sweep.data, Catalog.of(sweep)).models[0].training.options == (("width", 64),)


DECLARED = {
    "depth": Option(int, 2, "layers"),
    "scale": Option(float, 1.0, "factor"),
    "bias": Option(bool, True, "has a bias"),
    "kind": Option(str, None, "must be given"),
}


def test_complete_returns_every_option_in_its_type():
    options = complete(DECLARED, {"kind": "a", "depth": 3.0, "scale": 2}, "x")
    assert options == (("bias", True), ("depth", 3), ("kind", "a"), ("scale", 2.0))
    assert [type(value) for _, value in options] == [bool, int, str, float]


@pytest.mark.parametrize(
    "options",
    [{}, {"kind": 1}, {"kind": "a", "depth": 2.5}, {"kind": "a", "depth": True}, {"kind": "a", "bias": 1}, {"no": 1}],
)
def test_complete_refuses_missing_unknown_and_ill_typed_options(options):
    with pytest.raises(SweeperError, match=r"x(\.| has)"):
        complete(DECLARED, options, "x")


def test_a_model_in_two_families_is_one_model_listed_in_both():
    settings = {"arch": "resnet18k", "width": 8, "samples": 100, "steps": 20}
    sweep = job({"first": settings | {"seed": [0, 1]}, "second": settings | {"seed": [1, 2]}})
    zoo_of_job = zoo(sweep, sweep.data, Catalog.of(sweep))
    assert len(zoo_of_job.models) == 3
    assert len(set(zoo_of_job.families["first"]) & set(zoo_of_job.families["second"])) == 1


def test_settings_that_do_not_suit_the_image_size_are_refused():
    with pytest.raises(SweeperError, match="vit: patch 3 does not divide images of 8x8"):
        models(arch="vit", patch=3, steps=1)
