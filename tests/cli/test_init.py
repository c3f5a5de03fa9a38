"""Tests of `sweeper init`: each job that it writes loads, has nothing to correct, and fits its JSON Schema."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from PIL import Image

from sweeper.cli.commands.starts import StarterName
from sweeper.cli.init import SCHEMA_FILE, STARTERS, WEAK_SAMPLES
from sweeper.cli.schema import job_schema


def test_the_command_offers_the_starters():
    assert [name.value for name in StarterName] == list(STARTERS)


@pytest.mark.parametrize("name", STARTERS)
def test_a_job_runs_as_it_stands(sweeper, tmp_path, name):
    """Plan it with the commands that `init` prints; that all of it runs is tested with the tutorial, and by hand."""
    result = sweeper("init", name)
    assert result.returncode == 0, result.stderr
    (command,) = [line.removeprefix("next:  sweeper ") for line in result.stderr.splitlines() if "next:" in line]
    plan = sweeper(*command.split(), "--json")
    assert plan.returncode == 0, plan.stderr
    job = yaml.safe_load((tmp_path / f"{name}.yaml").read_text())
    schema = json.loads((tmp_path / SCHEMA_FILE).read_text())
    assert schema == job_schema()
    jsonschema.Draft202012Validator(schema).validate(job)


@pytest.mark.parametrize("name", STARTERS)
def test_a_job_names_its_schema_and_is_commented(sweeper, tmp_path, name):
    sweeper("init", name)
    lines = (tmp_path / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == f"# yaml-language-server: $schema={SCHEMA_FILE}"
    assert sum("#" in line for line in lines) > 10
    assert max(map(len, lines)) <= 120


def test_each_family_has_five_networks_and_no_pair_shares_a_seed():
    for starter in STARTERS.values():
        families = yaml.safe_load(starter.text())["models"].values()
        seeds = [seed for family in families for seed in family["seed"]]
        assert len(set(seeds)) == len(seeds) == 5 * len(families)


def test_nothing_is_replaced(sweeper, tmp_path):
    (tmp_path / "network.py").write_text("mine")
    result = sweeper("init", "own-network")
    assert result.returncode == 2
    assert "network.py exists and is not replaced; name another folder with --into DIR" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["network.py"]
    assert sweeper("init", "own-network", "--into", "deep/folder").returncode == 0
    assert {path.name for path in (tmp_path / "deep" / "folder").iterdir()} == {
        "own-network.yaml", "network.py", SCHEMA_FILE
    }  # fmt: skip
    assert sweeper("init", "paper-figure", "--into", "deep/folder").returncode == 0, "the schema is the same"


def test_images_of_the_user_are_named_and_not_copied(sweeper, tmp_path):
    for split in ("train", "test"):
        for label in ("cat's", "dog"):
            for number in range(20):
                file = tmp_path / "my images" / split / label / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (12, 12), number + 100 * (split == "test")).save(file)
    result = sweeper("init", "own-images", "--images", tmp_path / "my images", "--into", "jobs")
    assert result.returncode == 0, result.stderr
    job = yaml.safe_load((tmp_path / "jobs" / "own-images.yaml").read_text())
    assert job["dataset"] == {"imagefolder": "../my images"}
    assert job["models"]["weak"]["samples"] == 10
    assert not (tmp_path / "jobs" / "images").exists()
    assert sweeper("plan", "jobs/own-images.yaml").returncode == 0


def test_a_folder_that_is_no_data_set_is_refused(sweeper, tmp_path):
    (tmp_path / "empty").mkdir()
    result = sweeper("init", "own-images", "--images", "empty")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "own-images.yaml").exists()
    result = sweeper("init", "own-images", "--images", "none")
    assert result.returncode == 2
    assert result.stderr == "error: --images none: there is no folder none; . exists\n"
    result = sweeper("init", "--images", "empty")
    assert result.returncode == 2
    assert "only the job own-images has a folder of images" in result.stderr


def test_a_place_that_cannot_be_written_is_refused_in_one_sentence(sweeper):
    result = sweeper("init", "--into", "/proc/x")
    assert result.returncode == 2
    assert result.stderr.startswith("error: /proc/x can't be written (")
    assert len(result.stderr.splitlines()) == 1
    Path("file").touch()
    result = sweeper("init", "--into", "file")
    assert (result.returncode, result.stderr) == (2, "error: --into file: file is a file; name a folder\n")


def test_the_example_images_are_a_quarter_and_all(sweeper, tmp_path):
    sweeper("init", "own-images")
    counts = {split: len(list((tmp_path / "images" / split).rglob("*.png"))) for split in ("train", "test")}
    assert counts == {"train": 998, "test": 799}
    assert WEAK_SAMPLES in (tmp_path / "own-images.yaml").read_text()
    assert len(list((tmp_path / "images" / "train").iterdir())) == 10
