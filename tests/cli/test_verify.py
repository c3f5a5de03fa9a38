"""Tests of `sweeper verify`: what it prints, its exit codes, and the store that it checks."""

import json
from pathlib import Path

import pytest
from support.damage import flipped


def flip_in(folder: Path) -> Path:
    """Flip a bit of the first file in a folder of a store, and return the file."""
    file = sorted(folder.iterdir())[0]
    file.write_bytes(flipped(file.read_bytes(), 100))
    return file


def test_a_sound_store_has_exit_code_0_and_a_short_summary(sweeper, complete_store):
    result = sweeper("verify")
    assert result.returncode == 0
    assert result.stdout.splitlines() == [
        f"{complete_store.url}: sound",
        "  5 sound parts with 26 rows, " + result.stdout.splitlines()[1].rpartition(", ")[2],
        "  4 sound files of weights, 128 B",
        "  0 sound saved states, lease and progress objects",
    ]


def test_damage_has_exit_code_1_and_names_files_models_and_the_command_that_heals(sweeper, complete_store):
    folder = Path(complete_store.url)
    part, weights = flip_in(folder / "rows" / "stitches"), flip_in(folder / "weights")
    result = sweeper("verify", complete_store.url)
    assert result.returncode == 1
    assert f"{complete_store.url}: NOT SOUND" in result.stdout
    assert f"rows/stitches/{part.name}: its digest is" in result.stdout
    assert f"weights/{weights.name}: its content has another digest than its name" in result.stdout
    assert "lost: the weights of 1 models, which are therefore missing, not done" in result.stdout
    assert f"`sweeper resume --store {complete_store.url}`" in result.stdout
    output = json.loads(sweeper("verify", "--json").stdout)
    assert output["sound"] is False
    assert {damage["path"] for damage in output["damaged"]} == {f"rows/stitches/{part.name}", f"weights/{weights.name}"}
    assert [lost["digest"] for lost in output["lost_weights"]] == [weights.stem]


def test_the_summary_of_much_damage_fits_one_screen(sweeper, complete_store):
    for number in range(50):
        Path(complete_store.url, "rows", "stitches", f"r-w-1-{number}-0123456789abcdef.parquet").write_bytes(b"x")
    result = sweeper("verify")
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) < 20
    assert "  and 42 more: --json lists all" in result.stdout


@pytest.mark.parametrize("arguments", [("nowhere",), ("--store", "nowhere"), ("one", "--store", "two")])
def test_a_wrong_store_is_an_error_in_a_sentence(sweeper, arguments):
    result = sweeper("verify", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
