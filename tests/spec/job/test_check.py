"""Tests that the Python API reports the same mistakes as a job file, without locations."""

import pytest

from sweeper.spec.job import resolve
from sweeper.spec.job.check import check
from sweeper.spec.job.family import Family
from sweeper.spec.job.sweep import OperationSpec, Pairing, SimilaritySection, StitchSection, Sweep


def family(**settings):
    """Return a family of ResNet-18s that train for 10 steps, unless the settings say otherwise."""
    return Family.model_validate({"arch": "resnet18k", "steps": 10, **settings})


def sweep(models=None, **sections):
    """Return a job; `models` defaults to one family."""
    return Sweep.model_validate({"name": "x", "models": models or {"m": family()}, **sections})


TWO_GROUPS = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def job_with_init_from(**settings):
    """Return a job whose family m starts from the models of family n, which have the seeds 0, 1 and 2."""
    return sweep({"m": family(init_from="n", **settings), "n": family(seed=[0, 1, 2], samples=100)})


def test_a_correct_job_has_no_mistakes():
    assert check(sweep(stitch=[StitchSection(bottom=("m",), top=("m",))])) == []


@pytest.mark.parametrize(
    ("job", "key", "message"),
    [
        (lambda: sweep({"m": family(arch="resnet20")}), "models.m.arch", "no architecture 'resnet20'"),
        (lambda: sweep({"m": family(depth=3)}), "models.m.depth", "resnet18k has no setting 'depth'"),
        (lambda: sweep({"m": family(samples=[10, 2000])}), "models.m.samples.1", "2000 samples"),
        (lambda: sweep({"m": family(samples=601, shards=2)}), "models.m.samples", "601 samples; the data set has 1347"),
        (lambda: sweep({"m": family(shard=[0, 2], shards=2)}), "models.m.shard.1", "shard is 2, but shards is 2"),
        (lambda: sweep({"m": family(shard=1)}), "models.m.shard", "shard is 1, but shards is 1"),
        (lambda: sweep({"m": family(labels=["classes", "fine"])}), "models.m.labels.1", "no labels 'fine'"),
        (lambda: sweep({"m": family(labels="object_animal")}), "models.m.labels", "groups the classes of cifar10"),
        (lambda: sweep({"m": family(labels=[[0, 1], [2, 3, 4]])}), "models.m.labels", "class 5 is in no group"),
        (lambda: sweep({"m": family(labels=[[0, 1], [1]])}), "models.m.labels", "class 1 is named twice"),
        (lambda: sweep({"m": family(labels=[[0, 1], [10]])}), "models.m.labels", "no class 10"),
        (lambda: sweep({"m": family(labels=[list(range(10))])}), "models.m.labels", "1 groups of 10 classes"),
        (lambda: sweep({"m": family(temperature=0.1)}), "models.m.temperature", "but no objective is simclr"),
        (lambda: sweep({"m": family(probe_steps=9)}), "models.m.probe_steps", "but no objective is simclr"),
        (lambda: sweep({"m": family(objective="simclr", batch=[1, 2])}), "models.m.batch.0", "a single image"),
        (lambda: sweep({"m": family(freeze=[["conv1"], ["conv2"]])}), "models.m.freeze.1", "no cut 'conv2'"),
        (lambda: sweep({"m": family(reset="ends")}), "models.m.reset", "reset needs initial weights"),
        (lambda: sweep({"m": family(reset="ends_torch")}), "models.m.reset", "reset needs initial weights"),
        (lambda: sweep({"m": family(init_from="n")}), "models.m.init_from", "no family 'n'"),
        (lambda: sweep({"m": family(init_from="m")}), "models.m.init_from", "from its own weights"),
        (lambda: job_with_init_from(width=8), "models.m.init_from", "can't start from the weights of 'n'"),
        (lambda: job_with_init_from(seed=[1, 3]), "models.m.init_from", "can't start from the weights of 'n'"),
        (lambda: job_with_init_from(labels=TWO_GROUPS), "models.m.init_from", "can't start from the weights of 'n'"),
        (lambda: sweep({"m": family(epochs=2)}), "models.m.epochs", "both steps and epochs"),
        (lambda: sweep({"m": family(snapshot=11)}), "models.m.snapshot", "after 11 steps of a run of 10"),
        (lambda: sweep({"m": family(zip=["lr", "x"])}), "models.m.zip", "no axis 'x' to zip"),
        (lambda: sweep(dataset="cifar"), "dataset", "no data set 'cifar'"),
        (lambda: sweep(dataset={"parquet": "/nowhere/at/all"}), "dataset.parquet", "there is no folder"),
        (lambda: sweep(dataset={}), "dataset", "not none"),
        (lambda: sweep(dataset={"parquet": "a", "imagefolder": "b"}), "dataset.parquet", "not both"),
        (lambda: sweep(dataset={"parquet": "$NOT_SET_ANYWHERE/x"}), "dataset.parquet", "NOT_SET_ANYWHERE is not set"),
        (lambda: sweep(stitch=[{"bottom": "m", "top": "n"}]), "stitch.0.top", "no family 'n'"),
        (lambda: sweep(stitch=[{"bottom": "m", "top": "m", "layers": ["x"]}]), "stitch.0.layers", "no cut 'x'"),
        (
            lambda: sweep(stitch=[{"bottom": "m", "top": "m", "where": "a"}]),
            "stitch.0.where",
            "not part of the language",
        ),
        (
            lambda: sweep(similarity=[{"bottom": "m", "top": "m", "measure": "cca"}]),
            "similarity.0.measure.name",
            "no measure",
        ),
        (lambda: sweep(limits={"tasks": 1}, stitch=[{"bottom": "m", "top": "m"}]), "stitch.0", "has 11 tasks"),
    ],
)
def test_a_wrong_setting_gives_one_mistake_at_its_key(job, key, message):
    (mistake,) = check(job())
    assert (mistake.key, mistake.file, mistake.line, mistake.column) == (key, "", 0, 0)
    assert message in mistake.problem


VIT = {"arch": "vit", "patch": 2, "dim": 48, "heads": 3}


@pytest.mark.parametrize(
    ("settings", "key", "message"),
    [
        ({"patch": 3}, "models.m.patch", "vit: patch 3 does not divide images of 8x8"),
        ({"patch": [2, 4, 5]}, "models.m.patch.2", "vit: patch 5 does not divide images of 8x8"),
        ({"heads": [3, 5]}, "models.m.heads.1", "vit: heads 5 does not divide dim 48"),
        ({"heads": [3, 4], "dim": [48, 42]}, "models.m.heads.1", "vit: heads 4 does not divide dim 42"),
    ],
)
def test_architecture_settings_that_do_not_fit_the_images_are_mistakes(settings, key, message):
    (mistake,) = check(sweep({"m": family(**{**VIT, **settings})}))
    assert (mistake.key, mistake.problem) == (key, message)
    assert "must divide" in mistake.correction


def test_zipped_settings_are_checked_in_their_combinations():
    zipped = {"heads": [3, 4], "dim": [42, 48], "seed": [0, 1]}
    assert check(sweep({"m": family(**VIT | zipped, zip=["heads", "seed", "dim"])})) == []
    wrong_pairs = {"heads": [4, 3], "dim": [42, 48], "zip": ["heads", "dim"]}
    assert [mistake.key for mistake in check(sweep({"m": family(**VIT | wrong_pairs)}))] == ["models.m.heads.0"]


def test_a_wrong_default_is_reported_at_the_architecture():
    (mistake,) = check(sweep({"m": family(arch="vit", dim=40)}))
    assert (mistake.key, mistake.problem) == ("models.m.arch", "vit: heads 12 does not divide dim 40")


def test_a_wrong_setting_is_reported_once():
    """Check that neither the images nor the cuts are checked against a wrong patch size."""
    sections = [{"bottom": "m", "top": "m", "layers": ["block1"]}]
    assert [mistake.key for mistake in check(sweep({"m": family(**VIT | {"patch": 0})}, stitch=sections))] == [
        "models.m.patch"
    ]
    assert [mistake.key for mistake in check(sweep({"m": family(**VIT | {"patch": 3})}, stitch=sections))] == [
        "models.m.patch"
    ]


def test_outputs_are_counted_once_a_pair_and_permutations_are_an_axis():
    section = {"bottom": "m", "top": "m", "measure": ["linear_cka", "output_agreement"], "null": [0, 20]}
    assert check(sweep(similarity=[section], limits={"tasks": 1 + 2 * (10 + 1)})) == []
    (mistake,) = check(sweep(similarity=[section], limits={"tasks": 2 * (10 + 1)}))
    assert "has 23 tasks" in mistake.problem


def test_zipped_snapshots_are_checked_against_their_own_length():
    zipped = {"steps": [10, 20], "snapshot": [10, 20], "zip": ["steps", "snapshot"]}
    assert check(sweep({"m": family(**zipped)})) == []
    assert [mistake.key for mistake in check(sweep({"m": family(**{**zipped, "snapshot": [10, 21]})}))] == [
        "models.m.snapshot.1"
    ]
    assert [mistake.key for mistake in check(sweep({"m": family(steps=[10, 20], snapshot=[10, 20])}))] == [
        "models.m.snapshot.1"
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"seed": [0, 2]},
        {"width": 64},
        {"reset": "ends", "labels": TWO_GROUPS},
        {"reset": ["ends", "ends_torch"], "labels": TWO_GROUPS},
        {"freeze": ["conv1", 11]},
    ],
)
def test_models_may_start_from_models_of_another_family(settings):
    assert check(job_with_init_from(**settings)) == []


def test_corrections_of_init_from_name_what_the_other_family_needs():
    assert [mistake.correction for mistake in check(job_with_init_from(width=8))] == [
        "both need one architecture with the same settings"
    ]
    assert [mistake.correction for mistake in check(job_with_init_from(seed=[0, 3]))] == [
        "it must have one model with seed 3, and has 0"
    ]
    several_origins = sweep({"m": family(init_from="n"), "n": family(samples=[100, 200])})
    assert [mistake.correction for mistake in check(several_origins)] == [
        "it must have one model with seed 0, and has 2"
    ]
    cycle = sweep({"m": family(init_from="n"), "n": family(init_from="m")})
    assert [mistake.key for mistake in check(cycle)] == ["models.m.init_from", "models.n.init_from"]


def test_zipped_samples_and_shards_are_checked_together():
    zipped = {"samples": [1200, 600], "shards": [1, 2], "shard": [0, 1], "zip": [["samples", "shards", "shard"]]}
    assert check(sweep({"m": family(**zipped)})) == []
    (mistake,) = check(sweep({"m": family(samples=[600, 601], shards=2, shard=[0, 1])}))
    assert (mistake.key, mistake.correction) == ("models.m.samples.1", "it must be at most 600")


def test_a_snapshot_may_be_combined_with_an_untrained_network():
    assert check(sweep({"m": family(steps=[0, 10], snapshot=[5, 10])})) == []


@pytest.mark.parametrize("groups", [["bottom", "top"], [["bottom", "top"], ["seed", "lr"]]])
def test_zipped_families_must_have_equal_numbers_of_models(groups):
    models = {"m": family(seed=[1, 2]), "n": family(seed=[3, 4])}
    section = {"bottom": "m", "top": "n", "zip": groups, "seed": [0, 1], "lr": [0.1, 0.2]}
    assert check(sweep(models, stitch=[section])) == []
    (mistake,) = check(sweep({**models, "n": family(seed=[3, 4, 5])}, stitch=[section]))
    assert "bottom has 2, top has 3" in mistake.problem


def test_a_layer_must_be_a_cut_of_both_architectures():
    models = {"m": family(), "n": family(arch="myrtle")}
    (mistake,) = check(sweep(models, stitch=[{"bottom": "m", "top": "n", "layers": ["conv1", "conv2", 1]}]))
    assert (mistake.key, mistake.problem) == ("stitch.0.layers.1", "resnet18k has no cut 'conv2'")


def test_top_layers_must_be_cuts_of_the_top_only():
    models = {"m": family(), "n": family(arch="myrtle")}
    section = {"bottom": "m", "top": "n", "layers": ["block1"], "top_layers": ["conv2", "conv3"]}
    assert check(sweep(models, stitch=[section], similarity=[section])) == []
    wrong_section = {**section, "layers": ["conv2"], "top_layers": ["conv2", "blok1"]}
    bottom_mistake, top_mistake = check(sweep(models, stitch=[wrong_section]))
    assert (bottom_mistake.key, bottom_mistake.problem) == ("stitch.0.layers", "resnet18k has no cut 'conv2'")
    assert (top_mistake.key, top_mistake.problem) == ("stitch.0.top_layers.1", "myrtle has no cut 'blok1'")


def test_a_probe_has_no_layers_of_the_top():
    """Check that the layers of the top are neither checked nor counted against the limit."""
    section = {"bottom": "m", "top": "n", "layers": ["block1", "block2"], "stitcher": "probe"}
    models = {"m": {"arch": "resnet18k", "steps": 0}, "n": {"arch": "myrtle", "steps": 0}}
    assert check(sweep(models=models, stitch=[section])) == []
    assert check(sweep(models=models, stitch=[{**section, "stitcher": ["probe", "conv1x1"]}])) != []
    all_top_layers = {**section, "top_layers": "all"}
    assert check(sweep(models=models, limits={"tasks": 4}, stitch=[all_top_layers])) == []
    (mistake,) = check(sweep(models=models, limits={"tasks": 3}, stitch=[all_top_layers]))
    assert "has 4 tasks" in mistake.problem


def test_the_product_of_layers_counts_against_the_limit():
    section = {"bottom": "m", "top": "m", "layers": "all", "top_layers": {"every": 3}}
    assert check(sweep(limits={"tasks": 41}, stitch=[section])) == []
    (mistake,) = check(sweep(limits={"tasks": 40}, stitch=[section]))
    assert "has 41 tasks" in mistake.problem


def test_types_in_python_are_strict():
    for settings in ({"steps": "5"}, {"seed": True}, {"lr": "1"}, {"nested": 1}, {"steps": 5.0}, {"lr": float("nan")}):
        with pytest.raises(ValueError):
            family(**settings)


def test_a_whole_number_is_a_number_and_a_scalar_is_an_axis():
    parsed = family(lr=1, width=8)
    assert parsed == family(lr=[1.0], options={"width": [8]})
    assert isinstance(parsed.lr[0], float)


def test_stitchers_measures_and_layers_can_be_given_in_short_form():
    section = StitchSection.model_validate({"bottom": "m", "top": "m", "stitcher": [{"name": "x", "rank": 3}, "y"]})
    assert section.stitcher == (OperationSpec(name="x", options={"rank": (3,)}), OperationSpec(name="y"))
    assert SimilaritySection.model_validate({"bottom": "m", "top": "m"}).measure == (OperationSpec(name="linear_cka"),)
    assert Pairing.model_validate({"bottom": "m", "top": "m", "layers": 3}).layers == (3,)


@pytest.mark.parametrize(
    ("stitcher", "key", "correction"),
    [
        ({"name": "conv", "kernel": [1, 2]}, "kernel.1", "it must be one of 1, 3, 5, 7, 9"),
        ({"name": "conv", "depth": 3}, "depth", "it must be at most 2"),
        ({"name": "adapter", "places": "bilinaer"}, "places", "did you mean 'bilinear'?"),
        ("low_rank", "", "channels of the bottleneck"),
    ],
)
def test_wrong_settings_of_stitchers_are_mistakes(stitcher, key, correction):
    (mistake,) = check(sweep(stitch=[{"bottom": "m", "top": "m", "stitcher": stitcher}]))
    assert (mistake.key, mistake.correction) == (".".join(filter(None, ["stitch.0.stitcher", key])), correction)


def test_a_resolved_job_needs_no_data_set_to_be_checked():
    resolved = resolve.resolve(sweep()).model_copy(update={"dataset": "gone"})
    assert check(resolved) == []
