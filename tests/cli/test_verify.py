"""Tests of `sweeper verify`: what it prints, its exit codes, and the store that it checks."""

import json
import os
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
        "  0 sound saved states, kept versions, lease and progress objects",
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
    assert f"`sweeper verify --repair {complete_store.url}`" in result.stdout
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


def test_a_repair_says_what_was_moved_and_which_command_performs_what_is_missing(sweeper, complete_store):
    folder = Path(complete_store.url)
    flip_in(folder / "rows" / "stitches")
    flip_in(folder / "weights")
    result = sweeper("verify", "--repair")
    assert result.returncode == 0
    assert "moved 2 damaged files to damaged/" in result.stdout
    command = f"`sweeper resume --store {complete_store.url}` performs them"
    assert f"toy: 1 models, 16 stitches are missing now; {command}" in result.stdout
    assert len(list((folder / "damaged").rglob("*.*"))) == 2
    output = json.loads(sweeper("verify", "--repair", "--json").stdout)
    assert output["moved"] == []
    assert output["jobs"][0]["missing"] == {"models": 1, "stitches": 16}


def test_a_missing_mark_is_written_again_by_the_repair(sweeper, complete_store):
    Path(complete_store.url, "sweeper.json").unlink()
    assert sweeper("verify", complete_store.url).returncode == 2
    result = sweeper("verify", "--repair", complete_store.url)
    assert result.returncode == 0
    assert "its mark sweeper.json was missing or damaged, and was written again" in result.stderr
    assert sweeper("verify", complete_store.url).returncode == 0


def test_weights_that_nothing_needs_are_listed_and_deleted_only_on_request(sweeper, complete_store):
    file = Path(complete_store.url, "weights", f"{complete_store.put_weights(b'nobody needs me')}.safetensors")
    os.utime(file, (0, 0))
    result = sweeper("verify", "--gc")
    assert result.returncode == 0
    assert "nothing needs 1 files of weights and 0 saved states, 15 B" in result.stdout
    assert file.exists()
    assert sweeper("verify", "--delete").returncode == 2
    assert sweeper("verify", "--gc", "--repair").returncode == 2
    assert "deleted 1 files of weights" in sweeper("verify", "--gc", "--delete").stdout
    assert not file.exists()


def test_status_and_doctor_name_damaged_weights(sweeper, complete_store):
    flip_in(Path(complete_store.url, "weights"))
    result = sweeper("status")
    assert "1 damaged file(s)" in result.stderr
    assert "23/24" in result.stdout
