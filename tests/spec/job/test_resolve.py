"""Tests of resolved jobs: their data sets, paths with variables, and the JSON form."""

import shutil

import pytest

from sweeper.errors import DataError, JobError
from sweeper.plan.plan import Plan
from sweeper.spec.cards.datasets import DATASETS, all_samples, default_augment, most_samples
from sweeper.spec.job.load import load
from sweeper.spec.job.resolve import from_json, locate, read_data, resolve, to_json
from sweeper.spec.job.sweep import RESOLVED_KEYS, DatasetFolder, ResolvedSweep, Sweep


def sweep(dataset):
    """Return a job with two untrained ResNet-18s, a section of stitches and one of similarities."""
    return Sweep.model_validate(
        {
            "name": "x",
            "dataset": dataset,
            "models": {"m": {"arch": "resnet18k", "width": [4, 8], "steps": 0, "lr": 1e-300}},
            "stitch": [{"bottom": "m", "top": "m", "layers": {"every": 2}, "zip": ["bottom", "top"]}],
            "similarity": [{"bottom": "m", "top": "m", "layers": ["conv1", 11]}],
        }
    )


@pytest.mark.parametrize("name", DATASETS)
def test_a_named_data_set_is_described_by_its_card(name):
    data, card = resolve(sweep(name)).data, DATASETS[name]
    assert (data.name, data.digest, data.train, data.test, data.holdout) == (
        (name, card.digest, card.train, card.test, card.holdout)
    )
    assert data.where == ""


def test_a_data_set_in_a_folder_is_described_by_its_files(parquet_folder):
    data = resolve(sweep({"parquet": str(parquet_folder)})).data
    assert (data.name, data.train, data.test, data.classes, data.shape, data.holdout) == (
        ("parquet", 24, 6, 3, (3, 4, 6), 2)
    )
    assert len(data.digest) == 64
    assert data.where == str(parquet_folder)
    assert default_augment(data) == "crop_flip"


def test_grey_images_are_not_augmented_by_default(image_folder):
    data = resolve(sweep({"imagefolder": str(image_folder)})).data
    assert (default_augment(data), data.holdout) == ("none", 2)
    assert read_data(DatasetFolder(imagefolder=str(image_folder))) == data


def test_the_digest_depends_on_the_data_files_alone(parquet_folder, tmp_path):
    shutil.copytree(parquet_folder, tmp_path / "moved")
    (tmp_path / "moved" / "README.md").write_text("not part of it")
    folders = (parquet_folder, tmp_path / "moved")
    first, second = (resolve(sweep({"parquet": str(folder)})).data for folder in folders)
    assert first.spec == second.spec
    assert first.where != second.where


def test_a_resolved_job_is_restored_from_json_without_its_folder(parquet_folder):
    resolved = resolve(sweep({"parquet": str(parquet_folder)}))
    shutil.rmtree(parquet_folder)
    restored = from_json(to_json(resolved))
    assert restored == resolved
    assert resolve(restored) == restored
    assert set(Plan.of(restored).ids()) == set(Plan.of(resolved).ids())


def test_a_job_loaded_from_a_file_is_restored_from_json(job):
    loaded = load(job())
    assert from_json(to_json(loaded)) == loaded
    assert to_json(from_json(to_json(loaded))) == to_json(loaded)


@pytest.mark.parametrize("dataset", ["cifar", {"parquet": "/nowhere"}, {}])
def test_a_data_set_that_does_not_exist_is_a_mistake_at_its_key(dataset):
    with pytest.raises(JobError) as error:
        resolve(sweep(dataset))
    assert error.value.mistakes[0].key == "dataset"


def test_variables_and_home_in_a_path_are_replaced(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DATA", "/data")
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.chdir(tmp_path)
    assert str(locate("~/x")) == "/home/me/x"
    assert str(locate("${DATA}/x")) == str(locate("$DATA/x")) == "/data/x"
    assert str(locate("x")) == str(tmp_path / "x")
    assert str(locate("x", tmp_path / "y")) == str(tmp_path / "y" / "x")
    with pytest.raises(DataError, match="NOT_SET is not set"):
        locate("${NOT_SET}/x")
    assert str(locate("~no-such-user/x")) == str(tmp_path / "~no-such-user" / "x")


def test_a_folder_with_a_dollar_in_its_name_is_taken_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DATA", "/data")
    folder = tmp_path / "a$b"
    (folder / "c").mkdir(parents=True)
    assert locate("a$b/c", tmp_path) == locate(str(folder / "c")) == locate("c", folder) == folder / "c"
    assert locate(str(folder / "new")) == folder / "new"
    assert str(locate("$DATA/x", folder)) == "/data/x"
    assert str(locate("~/x", folder)) == "/home/me/x"


@pytest.mark.parametrize(
    ("name", "most", "all_"),
    [
        ("digits", 1200, 1200),  # no model trains on the held-out images of an embedded set
        ("cluttered_digits", 4794, 4794),
        ("cifar10", 50_000, 45_000),
    ],
)
def test_held_out_images_of_a_larger_data_set_may_be_trained_on(name, most, all_):
    data = resolve(sweep(name)).data
    assert data is not None
    assert (most_samples(data), all_samples(data)) == (most, all_)


def test_a_job_file_has_no_key_of_a_resolved_job():
    assert RESOLVED_KEYS == ("networks", "user_networks", "stitchers", "weights", "code", "data")
    assert not set(RESOLVED_KEYS) & Sweep.model_fields.keys()


def test_json_restores_the_class_of_a_resolved_job():
    resolved = resolve(Sweep.model_validate({"name": "x", "models": {"m": {"arch": "myrtle", "steps": 1}}}))
    assert type(from_json(to_json(resolved))) is ResolvedSweep
    assert from_json(to_json(resolved)) == resolved
