"""Tests of `sweeper data`: what it prints of folders, jobs and known data sets, and the picture that it writes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.image_sets import encode, write_image_folder, write_parquet

from sweeper.cli.data import IMAGES, contact_sheet

JOB = """
name: birds
dataset: {parquet: hub}
models: {weak: {arch: mlp, seed: 0, epochs: 1}}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def parquet(tmp_path) -> Path:
    write_parquet(tmp_path / "hub" / "train-00000-of-00002.parquet", [0, 1, 2, 1])
    write_parquet(tmp_path / "hub" / "train-00001-of-00002.parquet", [2, 2])
    write_parquet(tmp_path / "hub" / "test-00000-of-00001.parquet", [2, 1, 0])
    write_parquet(tmp_path / "hub" / "test_hard-00000-of-00001.parquet", [2, 1, 0])
    return tmp_path / "hub"


@pytest.fixture
def pets(tmp_path) -> Path:
    images = {
        f"{split}/{name}/{i}.png": encode(abs(i - (split == "val")), "L")
        for split in ("train", "val")
        for name in "ab"
        for i in (0, 9)
    }
    return write_image_folder(tmp_path / "pets", images | {"train/a/notes.txt": b"notes"})


def test_a_parquet_folder(sweeper, parquet):
    result = sweeper("data", parquet)
    assert (result.returncode, result.stderr) == (0, "")
    text = result.stdout
    assert f"data set: parquet in {parquet}" in text
    assert "training: 6 images, 1 to 3 a class, in 2 files (train-00000-of-00002.parquet, train-00001-of" in text
    assert "test: 3 images, 1 a class, in 1 file (test-00000-of-00001.parquet)" in text
    assert "3 classes; colour images of 6 x 4 pixels, values 0 .. 255" in text
    assert "not read: test_hard-00000-of-00001.parquet" in text
    assert [line.split() for line in text.splitlines()[-3:]] == [["0", "1", "1"], ["1", "2", "1"], ["2", "3", "1"]]


def test_an_image_folder(sweeper, pets):
    text = sweeper("data", pets).stdout
    assert f"data set: imagefolder in {pets}" in text
    assert "training: 4 images, 2 a class, in 4 files\n" in text
    assert "2 classes; grey images of 6 x 4 pixels, values 0 .. 9" in text
    assert "not read: train/a/notes.txt" in text


def test_json(sweeper, pets):
    facts = json.loads(sweeper("data", pets, "--json").stdout)
    assert {key: facts[key] for key in ("kind", "train", "test", "outputs", "channels", "height", "width")} == {
        "kind": "imagefolder", "train": 4, "test": 4, "outputs": 2, "channels": 1, "height": 4, "width": 6,
    }  # fmt: skip
    assert facts["classes"][1] == {"label": 1, "name": "b", "train": 2, "test": 2}
    assert (facts["left_out"], facts["notes"]) == (["train/a/notes.txt"], [])
    assert (facts["lowest_value"], facts["highest_value"]) == (0, 9)


def test_the_data_set_of_a_job(sweeper, parquet, tmp_path):
    (tmp_path / "birds.yaml").write_text(JOB)
    result = sweeper("data", "birds.yaml", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == json.loads(sweeper("data", parquet, "--json").stdout)


def test_plan_shows_the_same(sweeper, parquet, tmp_path):
    (tmp_path / "birds.yaml").write_text(JOB)
    described = sweeper("data", parquet).stdout.split("\n\n")[0].splitlines()[:5]
    assert "\n".join(described) in sweeper("plan", "birds.yaml").stdout
    plan = json.loads(sweeper("plan", "birds.yaml", "--json").stdout)
    assert plan["data"] == json.loads(sweeper("data", parquet, "--json").stdout)


def test_a_known_data_set(sweeper):
    result = sweeper("data", "digits")
    assert result.returncode == 0
    assert "digits" in result.stdout
    assert json.loads(sweeper("data", "digits", "--json").stdout)["outputs"] == 10


@pytest.mark.parametrize("name", ["digits", "cluttered_digits", "hub", "pets"])
def test_a_contact_sheet(sweeper, name, parquet, pets, tmp_path):
    result = sweeper("data", name, "--show", "sheet.png")
    assert (result.returncode, result.stderr) == (0, "wrote sheet.png\n")
    with Image.open(tmp_path / "sheet.png") as image:
        rows, side = {
            "digits": (10, 96 + 2),
            "cluttered_digits": (10, 96 + 2),
            "hub": (3, 4 * 16 + 2),
            "pets": (2, 4 * 16 + 2),
        }[name]
        assert (image.mode, image.height) == ("RGB", rows * side)


def test_the_contact_sheet_has_a_row_for_each_class():
    images = np.stack([np.full((1, 400, 300), value, np.uint8) for value in (10, 20, 30)])
    sheet = contact_sheet(images, np.array([1, 0, 1]))
    side = 200 + 2  # every second pixel of a large image
    assert sheet.shape == (2 * side, IMAGES * 152, 3)
    assert [sheet[row, column, 0] for row, column in ((0, 0), (side, 0), (side, 152), (side, 304))] == [20, 10, 30, 255]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "the name is empty; give a folder, a job or a data set"),
        (["~no-such-user"], "there is no folder, job or data set ~no-such-user"),
        (["none"], "there is no folder, job or data set none; known data sets: digits, cluttered_digits, cifar10"),
        (["dem"], "there is no folder, job or data set dem; did you mean 'demo'?"),
        (["digit"], "there is no folder, job or data set digit; did you mean 'digits'?"),
        (["flat"], "expected FOLDER/train/CLASS/IMAGE.png and FOLDER/test/CLASS/IMAGE.png"),
        (["hub/train-00000-of-00002.parquet"], "is a file; name the folder of the data set, such as hub"),
        (["digits", "--show", "sheet.jpg"], "the contact sheet is a PNG"),
        (["digits", "--show", "none/sheet.png"], "--show none/sheet.png: there is no folder none"),
        (["digits", "--show", "folder.png"], "--show folder.png: this is a folder"),
        (["digits", "--show", "/proc/sheet.png"], "can't be written"),
    ],
)
def test_what_is_refused(sweeper, parquet, tmp_path, arguments, message):
    write_image_folder(tmp_path / "flat", {"a.png": encode()})
    (tmp_path / "folder.png").mkdir()
    result = sweeper("data", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_each_bad_image_is_an_error_of_its_own_line(sweeper, pets):
    (pets / "train" / "a" / "0.png").write_bytes(b"")
    (pets / "val" / "b" / "9.png").write_bytes(b"?")
    result = sweeper("data", pets)
    assert result.returncode == 2
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == [
        f"{pets}/train/a/0.png",
        f"{pets}/val/b/9.png",
    ]


def test_names_that_are_not_utf8_are_shown_with_escapes(sweeper, pets):
    Path(os.fsdecode(bytes(pets / "train" / "a") + b"/\xff.txt")).write_bytes(b"")
    assert sweeper("data", pets).stdout.count(r"\xff.txt") == 1
    assert r"train/a/\xff.txt" in json.loads(sweeper("data", pets, "--json").stdout)["left_out"]


def test_a_picture_of_a_data_set_that_cannot_be_downloaded_says_where_to_put_it(sweeper, monkeypatch):
    def no_network(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    result = sweeper("data", "cifar10", "--show", "sheet.png")
    assert result.returncode == 2
    assert "cifar10 is not on this machine and can't be downloaded from https://" in result.stderr
    assert "put cifar-10-batches-py into " in result.stderr
    assert sweeper("data", "cifar10").returncode == 0


def test_a_folder_in_a_folder_of_an_odd_name(sweeper, pets, tmp_path):
    pets.rename(tmp_path / "~p $x 100%")
    (tmp_path / "pets.yaml").write_text(JOB.replace("{parquet: hub}", "{imagefolder: '~p $x 100%'}"))
    for name in ("~p $x 100%", "pets.yaml"):
        assert "training: 4 images" in sweeper("data", name).stdout
